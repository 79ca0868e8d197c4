//go:build linux

package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	format "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/audit/names"
)

// The files of a witness's directory.
const (
	keyName   = "witness.key" // secret
	logsName  = "logs"        // whose checkpoints it cosigns: see ParseLogs
	stateName = "state"       // what it has cosigned
	stateTemp = "state.new"
	lockName  = "lock"
)

// maxState bounds the file of state, in bytes: maxLogs checkpoints fit.
const maxState = 16 << 20

var (
	// ErrLocked says that another witness runs in the directory.
	ErrLocked = errors.New("another witness runs on this directory")
	// ErrNoState says that a witness's state isn't there.
	ErrNoState = errors.New("the file of what was cosigned is missing")
)

// Init makes dir into a witness's, with a key of its own called name, and no logs. It
// returns the public key, and an error that wraps fs.ErrExist where there is one.
func Init(dir, name string) (public string, err error) {
	signer, verifier, err := audit.GenerateKey(name)
	if err != nil {
		return "", err
	}
	if public, err = format.VKeyToCosignatureV1(verifier); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	const about = "# The logs whose checkpoints this witness cosigns: their public keys, one a line,\n# each as its server has it in keys/audit.pub. SIGHUP reads this again.\n"
	// The key comes last: a directory with one is whole.
	for _, f := range []struct{ name, text string }{{logsName, about}, {stateName, `{"checkpoints":[]}` + "\n"}, {keyName, signer + "\n"}} {
		if err := writeNew(root, f.name, f.text); err != nil {
			return "", err
		}
	}
	return public, names.SyncIn(root)
}

func writeNew(dir *os.Root, name, text string) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Open opens the witness in dir, which Init has made. It returns ErrLocked while
// another one has it, and ErrNoState where its state is missing: a witness that
// forgot what it cosigned would cosign anything.
func Open(dir string) (_ *Witness, err error) {
	w := &Witness{known: map[string]cosigned{}, keys: map[string]usedKeys{}}
	text, err := audit.ReadKey(filepath.Join(dir, keyName))
	if err != nil {
		return nil, err
	}
	signer, err := format.NewSignerForCosignatureV1(text)
	if err != nil { // the error might quote the key
		return nil, fmt.Errorf("%s holds no signing key", filepath.Join(dir, keyName))
	}
	w.signer = signer
	if w.key, err = publicKey(text); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(root)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	w.keeper = fileKeeper{root}
	w.close = func() error { return errors.Join(root.Close(), lock.Close()) }
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := w.load(root, signer.Verifier()); err != nil {
		return nil, err
	}
	logs, err := ReadLogs(dir)
	w.Know(logs)
	return w, err
}

// publicKey is the cosigner's key that belongs to a signing key's text.
func publicKey(signer string) (string, error) {
	plain, err := audit.PublicOf(signer)
	if err != nil {
		return "", err
	}
	return format.VKeyToCosignatureV1(plain)
}

// lockDir makes this the only witness in dir.
func lockDir(dir *os.Root) (*os.File, error) {
	f, err := dir.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadLogs reads which logs the witness in dir cosigns.
func ReadLogs(dir string) (Logs, error) {
	text, err := os.ReadFile(filepath.Join(dir, logsName))
	if err != nil {
		return nil, err
	}
	logs, err := ParseLogs(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, logsName), err)
	}
	return logs, nil
}

// load reads what was cosigned. It takes only what v's key has signed.
func (w *Witness) load(dir *os.Root, v note.Verifier) error {
	f, err := dir.Open(stateName)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoState
	}
	if err != nil {
		return err
	}
	defer f.Close()
	d := json.NewDecoder(io.LimitReader(f, maxState))
	d.DisallowUnknownFields()
	var s stored
	if err := d.Decode(&s); err != nil {
		return fmt.Errorf("read %s: %w", stateName, err)
	}
	for i, signed := range s.Checkpoints {
		n, err := note.Open([]byte(signed), note.VerifierList(v))
		if err != nil {
			return fmt.Errorf("read %s: checkpoint %d isn't cosigned by this witness's key", stateName, i+1)
		}
		h, err := parseHead(n.Text)
		if err != nil {
			return fmt.Errorf("read %s: checkpoint %d: %w", stateName, i+1, err)
		}
		origin, _, _ := strings.Cut(n.Text, "\n")
		if _, twice := w.known[origin]; twice {
			return fmt.Errorf("read %s: two checkpoints of the log %.80q", stateName, origin)
		}
		w.known[origin] = cosigned{h, signed}
	}
	if s.Keys != nil { // of a version before there is none
		w.keys = s.Keys
	}
	return nil
}

// fileKeeper keeps the state in a directory.
type fileKeeper struct{ dir *os.Root }

func (k fileKeeper) keep(s stored) error {
	slices.Sort(s.Checkpoints)
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := k.dir.Remove(stateTemp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(k.dir, stateTemp, string(text)+"\n"); err != nil {
		return err
	}
	if err := k.dir.Rename(stateTemp, stateName); err != nil {
		return err
	}
	return names.SyncIn(k.dir)
}
