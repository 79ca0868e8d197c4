package takeover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// What others than its owner may do with a file.
const (
	ownersAlone fs.FileMode = 0     // a seed (google-authenticator-libpam takes no other)
	othersRead  fs.FileMode = 0o055 // public keys
)

// owned returns why a file in a home is not its owner's alone, as sshd's StrictModes
// and google-authenticator-libpam judge it: somebody else may have written it. A
// group of the owner's number is the owner's own, as Debian's sshd has it, and root
// owns what root copied.
func owned(home *os.Root, name string, allowed fs.FileMode) error {
	const mayWrite fs.FileMode = 0o022
	owner := uint32(0)
	for _, at := range []string{".", path.Dir(name), name} {
		fi, err := home.Stat(at)
		if err != nil {
			return err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("whose it is can't be told")
		}
		others := fi.Mode().Perm() & 0o077
		if st.Gid == st.Uid {
			others &= 0o007
		}
		switch {
		case others&0o002 != 0:
			return fmt.Errorf("everybody may write to it (%s)", at)
		case others&mayWrite != 0:
			return fmt.Errorf("others of its group may write to it (%s), so it opened nothing", at)
		case st.Uid != 0 && owner != 0 && st.Uid != owner:
			return fmt.Errorf("it belongs to somebody else than what it is in (%s), so it opened nothing", at)
		case at == name && others&^allowed&^0o011 != 0:
			return fmt.Errorf("others may read it (mode %04o), so it opened nothing and may be known to them; it should be 0600", fi.Mode().Perm())
		}
		if st.Uid != 0 {
			owner = st.Uid
		}
	}
	return nil
}
