package index

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"entry/audit/room"
	"entry/audit/segment"
)

// settled is how long ago a file has to have been changed for its times to tell whether it
// is changed again: those of some file systems stand still for as long.
const settled = 3 * time.Second

// stateOf is which file a part is, how long it is and when anything of it was
// changed, its times too; "" where that is too short a time ago, or can't be told. Who has
// changed a file without changing that has set the machine's clock back for it.
func (x *Index) stateOf(p segment.Part) string {
	info, err := p.Stat()
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	changed, written := time.Unix(st.Ctim.Unix()), time.Unix(st.Mtim.Unix())
	if now := x.now(); now.Sub(changed) < settled || now.Sub(written) < settled {
		return ""
	}
	var b []byte
	for _, n := range []int64{int64(st.Dev), int64(st.Ino), st.Size, changed.UnixNano(), written.UnixNano()} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return string(b)
}

// mine tells whether a file is this user's, and nobody else may read or write it.
func mine(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}

// own refuses a folder that somebody else could put something in, or in the place of: it
// and those above it are this user's or root's, and nobody else may write there.
func own(folder string) error {
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return err
	}
	for at := real; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		const others = 0o022
		switch {
		case !ok:
			return fmt.Errorf("nobody can tell whose %s is", at)
		case !info.IsDir():
			return fmt.Errorf("%s is no folder", at)
		case st.Uid != 0 && int(st.Uid) != os.Geteuid(), at == real && int(st.Uid) != os.Geteuid():
			return fmt.Errorf("%s is somebody else's", at)
		case info.Mode().Perm()&others != 0 && (at == real || info.Mode()&os.ModeSticky == 0):
			return fmt.Errorf("others may write in %s", at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// roomy tells whether the folder's disk has room for an index that grows.
func roomy(folder string) bool {
	d, err := os.Open(folder)
	if err != nil {
		return false
	}
	defer func() { _ = d.Close() }() // only looked at
	free, err := room.Of(d)
	return err == nil && free.Bytes >= leastFree
}
