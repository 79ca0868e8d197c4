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
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"entry/audit/names"
)

// What BeginAnew refuses.
var (
	ErrNoWitness = errors.New("the witness directory has no checkpoint of the log: is its disk mounted?")
	ErrOwnKey    = errors.New("that is a signing key of the log itself: an auditor signs with a key of their own")
)

// Anew is what BeginAnew needs. Witness may be empty.
type Anew struct {
	Dir, Witness   string // of the log that can't go on
	Key, PublicKey string // files of its key, which are replaced
	Auditor        string // signing key of who accepts the gap, as GenerateKey returns it
	Reason         string
	Known          uint64 // records that the database knows the log to have had
	Unwitnessed    bool   // what the witness had is lost too, or will come back later
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
	keys, err := keysIn(o.Dir, old)
	if err != nil {
		return err
	}
	auditor, err := note.NewSigner(strings.TrimSpace(o.Auditor))
	if err != nil {
		return errors.New("the auditor's signing key is malformed") // x/mod's error may hold it
	}
	public, err := PublicOf(strings.TrimSpace(o.Auditor))
	if err != nil {
		return err
	}
	for _, dir := range append(Before(o.Dir), "") {
		own := keys
		if dir != "" {
			key, err := ReadKey(filepath.Join(dir, publicName))
			if err == nil {
				own, err = keysIn(dir, key)
			}
			if err != nil {
				continue // nobody can tell what it signed
			}
		}
		if own.Has(public) {
			return ErrOwnKey
		}
	}
	last, err := lastCheckpoint(o, keys)
	if err != nil {
		return err
	}
	signer, verifier, err := GenerateKey(nextOrigin(keys.Name()))
	if err != nil {
		return err
	}
	gap := &Gap{Checkpoint: last, Known: o.Known, Earlier: strings.Join(earlier(o.Dir, keys.First(), keys.Name()), " "), Auditor: public}
	accepted, err := note.Sign(&note.Note{Text: gap.text(verifier, o.Reason)}, auditor)
	if err != nil {
		return errors.New("the auditor's key can't sign")
	}
	gap.Accepted = string(accepted)
	for _, s := range []string{o.Reason, last, gap.Accepted, public, "-" + gap.Earlier} {
		if s == "" || len(s) > MaxDetail {
			return fmt.Errorf("reason, checkpoint, key and earlier gaps have 1 to %d bytes each", MaxDetail)
		}
	}
	log := filepath.Join(next, "audit")
	if err := os.MkdirAll(log, 0o700); err != nil {
		return err
	}
	l, err := Open(log, Options{Key: signer, Witness: filepath.Join(next, "witness"), Now: o.Now})
	if err != nil {
		return err
	}
	err = l.Append(context.Background(), Event{Type: LogGap, Detail: o.Reason, Gap: gap})
	if err := errors.Join(err, l.Close()); err != nil {
		return err
	}
	return errors.Join(
		writeDurable(filepath.Join(next, "audit.key"), signer+"\n", 0o600),
		writeDurable(filepath.Join(next, "audit.pub"), verifier+"\n", 0o644),
		writeDurable(filepath.Join(next, "before.pub"), old+"\n", 0o644),
		writeDurable(filepath.Join(next, "ready"), "", 0o600))
}

// earlier are the IDs of the gaps that the log in dir has, the first first. One that
// must be there and can't be read has an ID too.
func earlier(dir, key, origin string) (ids []string) {
	add := func(id string) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	own, g := firstGap(dir, key)
	if own != nil {
		for _, id := range strings.Fields(g.Earlier) {
			add(id)
		}
	}
	for _, g := range gapsBefore(dir) {
		add(g.ID)
	}
	switch {
	case own != nil:
		add(own.ID)
	case numbered.MatchString(origin):
		add(gapID("unreadable", key))
	}
	return ids
}

// lastCheckpoint is the newest of the log before: witnessed, or its own.
func lastCheckpoint(o Anew, k *Keys) (string, error) {
	var last string
	size, witnessed := int64(-1), false
	take := func(signed []byte) {
		if c, err := openCheckpoint(signed, k); err == nil && int64(c.size) > size {
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
			r := newWitnessReader(bufio.NewReader(f), k.Name())
			for {
				w, err := r.next()
				if err != nil {
					if !errors.Is(err, io.EOF) && !errors.Is(err, errWitnessCut) {
						return "", err
					}
					break
				}
				witnessed = true
				if int64(w.size) > size {
					take(w.signed)
				}
			}
		}
	}
	if o.Witness != "" && !witnessed && !o.Unwitnessed {
		return "", ErrNoWitness
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
			return errors.Join(writeDurable(to+".new", string(text), mode), os.Rename(to+".new", to), names.Sync(filepath.Dir(to)))
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
		func() error {
			if o.Witness == "" || !there(o.Witness) {
				return nil // where it isn't mounted, a start says so
			}
			return replace(filepath.Join("witness", witnessName), filepath.Join(o.Witness, witnessName), 0o600)()
		},
		replace("audit.key", o.Key, 0o600),
		replace("audit.pub", o.PublicKey, 0o644),
		func() error {
			if !there(log) {
				return nil
			}
			return errors.Join(names.Sync(log), os.Rename(log, o.Dir), names.Sync(filepath.Dir(next)))
		},
		func() error { return errors.Join(os.RemoveAll(next), names.Sync(filepath.Dir(next))) },
	}
}

// aside renames the checkpoints of the log before, if they are its.
func aside(witness, public string) error {
	if witness == "" {
		return nil
	}
	key, err := ReadKey(public)
	if err != nil {
		return err
	}
	k, err := keysIn(filepath.Dir(public), key)
	if err != nil {
		return err
	}
	last, err := lastWitnessed(witness, k)
	if last.number == 0 && (err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrOtherLog)) {
		return nil
	}
	_, err = renameWitness(witness, k)
	return err
}

// renameWitness gives the checkpoints in the witness directory the name of k's log, and
// returns it.
func renameWitness(witness string, k *Keys) (name string, err error) {
	name = fmt.Sprintf("%s.%08x", witnessName, k.verifier.KeyHash())
	for n, base := 2, name; ; n++ { // none is ever overwritten
		if _, err := os.Lstat(filepath.Join(witness, name)); err != nil {
			break
		}
		name = fmt.Sprintf("%s.%d", base, n)
	}
	return name, errors.Join(os.Rename(filepath.Join(witness, witnessName), filepath.Join(witness, name)), names.Sync(witness))
}

// lastWitnessed is the newest checkpoint in the witness directory, of k's log; its
// number is 0 where there is none. An incomplete one at the end is passed over.
func lastWitnessed(witness string, k *Keys) (last witnessed, err error) {
	f, err := os.Open(filepath.Join(witness, witnessName))
	if err != nil {
		return last, err
	}
	defer f.Close()
	for r := newWitnessReader(f, k.Name()); ; {
		w, err := r.next()
		if errors.Is(err, io.EOF) || errors.Is(err, errWitnessCut) {
			return last, last.verify(k)
		}
		if err != nil {
			return last, err
		}
		last = w
	}
}

// Witnessed tells whether anything is in the witness directory.
func Witnessed(witness string) bool {
	info, err := os.Stat(filepath.Join(witness, witnessName))
	return err == nil && info.Size() > 0
}

// SetAside renames the checkpoints of a log before the one in dir that are in the
// place of its own, as they are where its witness came back after it began anew. It
// says which log's they are, up to which record, and their new name.
func SetAside(dir, witness string) (log string, size uint64, name string, err error) {
	err = errors.New("the witness directory holds no checkpoints of a log before this one")
	for _, before := range Before(dir) {
		key, kerr := ReadKey(filepath.Join(before, publicName))
		if kerr != nil {
			return "", 0, "", kerr
		}
		k, kerr := keysIn(before, key)
		if kerr != nil {
			return "", 0, "", kerr
		}
		if last, werr := lastWitnessed(witness, k); werr == nil && last.number > 0 {
			name, err = renameWitness(witness, k)
			return k.LogName(), last.size, name, err
		}
	}
	return "", 0, "", err
}

func writeDurable(path, text string, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Sync(), f.Close(), names.Sync(filepath.Dir(path)))
}
