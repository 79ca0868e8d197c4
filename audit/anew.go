//go:build linux

package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Anew is what BeginAnew needs. Witness may be empty.
type Anew struct {
	Dir, Witness   string // of the log that can't go on
	Key, PublicKey string // files of its key, which are replaced
	Auditor        string // signing key of who accepts the gap, as GenerateKey returns it
	Reason         string
	Now            func() time.Time
}

// nextDir is where a log is prepared that begins anew. While it is there no
// server starts.
func nextDir(dir string) string { return filepath.Clean(dir) + ".next" }

// Beginning tells whether BeginAnew was cut off for the log in dir, and has to be
// called again.
func Beginning(dir string) bool {
	_, err := os.Lstat(nextDir(dir))
	return err == nil
}

// BeginAnew puts a new log in the place of one that can't go on: with a key and
// an origin of its own, and the gap as its first record. The log before stays
// whole in its folder "before", with its public key; its checkpoints stay in the
// witness directory under another name; its signing key is gone. It is cut off
// nowhere: called again after a crash, it goes on where it was. ErrLocked means
// that a writer has the log.
func BeginAnew(o Anew) error {
	next := nextDir(o.Dir)
	if locked, err := lockDir(o.Dir); err == nil {
		defer locked.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(filepath.Join(next, "ready")); err != nil {
		if err := errors.Join(os.RemoveAll(next), prepare(o, next)); err != nil {
			return fmt.Errorf("prepare a new log: %w", err)
		}
	}
	if err := takePlace(o, next); err != nil {
		return fmt.Errorf("put a new log in place (run it again): %w", err)
	}
	return nil
}

func lockDir(dir string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return lock(root)
}

var numbered = regexp.MustCompile(`/([0-9]+)$`)

// nextOrigin is the name of the log after the one called name.
func nextOrigin(name string) string {
	if m := numbered.FindStringSubmatch(name); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return strings.TrimSuffix(name, m[0]) + "/" + strconv.Itoa(n+1)
		}
	}
	return name + "/2"
}

// prepare makes the new log and its key in next; the file "ready" comes last.
func prepare(o Anew, next string) error {
	old, err := ReadKey(o.PublicKey)
	if err != nil {
		return err
	}
	v, err := note.NewVerifier(old)
	if err != nil {
		return errors.New("the log's public key is malformed")
	}
	auditor, err := note.NewSigner(strings.TrimSpace(o.Auditor))
	if err != nil {
		return errors.New("the auditor's signing key is malformed") // x/mod's error may hold it
	}
	public, err := publicOf(strings.TrimSpace(o.Auditor))
	if err != nil {
		return err
	}
	last, err := lastCheckpoint(o, v)
	if err != nil {
		return err
	}
	signer, verifier, err := GenerateKey(nextOrigin(v.Name()))
	if err != nil {
		return err
	}
	accepted, err := note.Sign(&note.Note{Text: gapText(nextOrigin(v.Name()), last, o.Reason)}, auditor)
	if err != nil {
		return errors.New("the auditor's key can't sign")
	}
	for _, s := range []string{o.Reason, last, string(accepted), public} {
		if s == "" || len(s) > MaxDetail {
			return fmt.Errorf("reason, checkpoint and key have 1 to %d bytes each", MaxDetail)
		}
	}
	log := filepath.Join(next, "audit")
	if err := os.MkdirAll(log, 0o700); err != nil {
		return err
	}
	l, err := Open(log, Options{Key: signer, Now: o.Now})
	if err != nil {
		return err
	}
	err = l.Append(context.Background(), Event{Type: LogGap, Detail: o.Reason, Gap: &Gap{Checkpoint: last, Auditor: public, Accepted: string(accepted)}})
	if err := errors.Join(err, l.Close()); err != nil {
		return err
	}
	return errors.Join(
		writeDurable(filepath.Join(next, "audit.key"), signer+"\n", 0o600),
		writeDurable(filepath.Join(next, "audit.pub"), verifier+"\n", 0o644),
		writeDurable(filepath.Join(next, "before.pub"), old+"\n", 0o644),
		writeDurable(filepath.Join(next, "ready"), "", 0o600))
}

// lastCheckpoint is the newest of the log before: witnessed, or its own.
func lastCheckpoint(o Anew, v note.Verifier) (string, error) {
	var last string
	size := int64(-1)
	take := func(signed []byte) {
		if c, err := openCheckpoint(signed, v); err == nil && int64(c.size) > size {
			last, size = string(signed), int64(c.size)
		}
	}
	if b, err := os.ReadFile(filepath.Join(o.Dir, checkpointName)); err == nil && len(b) <= maxCheckpoint {
		take(b)
	}
	if o.Witness != "" {
		f, err := os.Open(filepath.Join(o.Witness, witnessName))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err == nil {
			defer f.Close()
			r := newWitnessReader(bufio.NewReader(f), v.Name())
			for {
				w, err := r.next()
				if err != nil {
					if !errors.Is(err, io.EOF) && !errors.Is(err, errWitnessCut) {
						return "", err
					}
					break
				}
				if int64(w.size) > size {
					take(w.signed)
				}
			}
		}
	}
	if size < 0 {
		return "", errors.New("neither log nor witness has a checkpoint that the log's key signed")
	}
	return last, nil
}

// takePlace moves what prepare has made to its place.
func takePlace(o Anew, next string) error {
	for _, step := range placing(o, next) {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// placing are takePlace's steps. Each finds out whether it was done before.
func placing(o Anew, next string) []func() error {
	log, before := filepath.Join(next, "audit"), filepath.Join(next, "audit", beforeName)
	there := func(path string) bool { _, err := os.Lstat(path); return err == nil }
	replace := func(from, to string, mode fs.FileMode) func() error {
		return func() error {
			text, err := os.ReadFile(filepath.Join(next, from))
			if err != nil || !there(log) {
				return err
			}
			return errors.Join(writeDurable(to+".new", string(text), mode), os.Rename(to+".new", to), syncFolder(filepath.Dir(to)))
		}
	}
	return []func() error{
		func() error {
			switch {
			case !there(log) || there(before):
				return nil
			case !there(o.Dir): // it is lost as a whole
				return os.Mkdir(before, 0o700)
			}
			return os.Rename(o.Dir, before)
		},
		func() error {
			if from := filepath.Join(next, "before.pub"); there(log) && there(from) {
				return os.Rename(from, filepath.Join(before, publicName))
			}
			return nil
		},
		func() error {
			if !there(log) {
				return nil
			}
			return aside(o.Witness, filepath.Join(before, publicName))
		},
		replace("audit.key", o.Key, 0o600),
		replace("audit.pub", o.PublicKey, 0o644),
		func() error {
			if !there(log) {
				return nil
			}
			return errors.Join(syncFolder(log), os.Rename(log, o.Dir), syncFolder(filepath.Dir(next)))
		},
		func() error { return errors.Join(os.RemoveAll(next), syncFolder(filepath.Dir(next))) },
	}
}

// aside renames the checkpoints of the log before.
func aside(witness, public string) error {
	if witness == "" {
		return nil
	}
	key, err := ReadKey(public)
	if err != nil {
		return err
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		return errors.New("the log's public key is malformed")
	}
	err = os.Rename(filepath.Join(witness, witnessName), filepath.Join(witness, fmt.Sprintf("%s.%08x", witnessName, v.KeyHash())))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, syncFolder(witness))
}

func writeDurable(path, text string, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Sync(), f.Close(), syncFolder(filepath.Dir(path)))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
