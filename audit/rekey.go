//go:build linux

package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// rekeying is a change of the log's key that is asked for.
type rekeying struct {
	next   note.Signer
	public string
	event  Event
}

// turning is one at work.
type turning struct {
	next note.Signer
	keys *Keys
}

// ErrKey says that a key can't follow on the log's.
var ErrKey = errors.New("not a key that can follow on the log's")

// ChangeKey has the log signed by another key from its next record on: an event log.key of
// e's Actor and Detail, which the key so far and the new one both sign. next is o.Key or
// o.Signer of the Options with which the log is opened from then on. It returns once that
// is durable. A crash before leaves the log with its key, and one after with the new one:
// CurrentKey says which. The error wraps ErrKey for a key of another origin, or one that
// the log has or had; other errors are as Append's. ErrFull may be of the witness's disk
// alone: then the key is changed.
func (l *Log) ChangeKey(ctx context.Context, o Options, e Event) error {
	r := &rekeying{event: Event{Type: LogKey, Actor: e.Actor, Detail: e.Detail}, next: o.Signer}
	var err error
	if o.Signer != nil {
		r.public = strings.TrimSpace(o.Signer.PublicKey())
	} else if r.next, err = note.NewSigner(strings.TrimSpace(o.Key)); err == nil {
		r.public, err = PublicOf(strings.TrimSpace(o.Key))
	}
	if err != nil {
		return errors.New("malformed signing key") // x/mod's error need not be trusted with it
	}
	if k := l.keys.Load(); r.next.Name() != k.Name() || k.Has(r.public) || len(r.public) > maxKeyText {
		return ErrKey
	}
	q := &request{rekey: r, done: make(chan error, 1)}
	if err := l.hand(ctx, q); err != nil {
		return fmt.Errorf("change the audit log's key: %w", err)
	}
	return nil
}

// rekeyed is the body of the record that changes the key after the records of at.
func (l *Log) rekeyed(r *rekeying, at checkpoint) ([]byte, error) {
	k := l.keys.Load()
	if k.Has(r.public) || l.turn != nil { // asked for twice
		return nil, ErrKey
	}
	signed, err := note.Sign(&note.Note{Text: at.change(k.Name(), k.Text(at.size), r.public)}, l.signer, r.next)
	if err != nil {
		return nil, fmt.Errorf("sign the change of the key: %w", err)
	}
	c, err := parseChange(signed)
	if err != nil { // one of the two signs with another key than it says
		return nil, fmt.Errorf("%w: it %w", ErrKey, err)
	}
	next, err := KeysOf(k.named, append(k.all(), signed...))
	if err != nil {
		return nil, fmt.Errorf("%w: the changes %w", ErrKey, err)
	}
	if !next.Has(r.public) {
		return nil, ErrKey
	}
	r.event.Rekey = c.rekey()
	l.turn = &turning{r.next, next}
	return r.event.appendBody(nil), nil
}

// keepKeys makes the file of k's changes durable.
func (l *Log) keepKeys(k *Keys) error {
	f, err := l.replace(keysTemp, keysName, func(f *os.File) error { return l.disk.write(f, k.all()) })
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close %s: %w", keysName, err)
	}
	if err := l.disk.sync(l.parent, false); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// turnBack takes a change of the key out of the file again, where the log couldn't take it.
// What is in the way of that too ends the log, and the next start does it.
func (l *Log) turnBack(why error) error {
	if !errors.Is(why, ErrFull) {
		return why
	}
	if err := l.keepKeys(l.keys.Load()); err != nil {
		return fmt.Errorf("%w, and the change of the key can't be taken back: %w: %w", why, errUnsynced, err)
	}
	return why
}

// takeKeys finds the log's keys, of which named is one, and what the database knows of it.
func (l *Log) takeKeys(o Options, named string, f *found) (*Keys, error) {
	k, err := readKeys(l.dir, named)
	var bad *BadRecord
	if errors.As(err, &bad) { // the records have the same
		k, err = scanKeys(l.dir, named)
	}
	if err != nil {
		return nil, err
	}
	if o.Renamed != nil {
		renamed, err := o.Renamed(k.LogName())
		if err == nil && renamed {
			k, err = scanKeys(l.dir, named)
		}
		if err == nil && renamed {
			renamed, err = o.Renamed(k.LogName())
		}
		if err != nil {
			return nil, err
		}
		if renamed {
			return nil, &BadRecord{File: keysName, Why: "isn't there, or lacks changes of the log's key that the database knows of, and the records with them aren't here: put it or their segments back"}
		}
	}
	f.wrongKeys = k.unkept
	if o.Known != nil {
		if f.replay.known, err = o.Known(k.LogName()); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// inForce leaves out of k a change that no tree head has, which a crash left, and holds the
// key named, which is to sign from now on, against the rest.
func (l *Log) inForce(k *Keys, named string, f *found) (*Keys, error) {
	if err := k.back(f.signed); err != nil {
		return nil, err
	}
	if len(k.Changes(f.signed.size)) < len(k.all()) {
		f.wrongKeys = true
		cut, err := KeysOf(k.Text(f.signed.size), k.Changes(f.signed.size))
		if err != nil {
			return nil, &BadRecord{File: keysName, Why: err.Error()}
		}
		k = cut
	}
	if now := k.Text(f.signed.size); now != named {
		return nil, &OldKey{Has: named, Now: now}
	}
	k.unkept = false
	l.keys.Store(k)
	return k, nil
}

// OldKey says that a log isn't opened with a key that it has changed, or not changed to.
type OldKey struct{ Has, Now string } // public keys

func (o *OldKey) Error() string {
	return fmt.Sprintf("the log's key is %s now, and not %s", hashOf(o.Now), hashOf(o.Has))
}

// CurrentKey is the public key that signs the log in dir from now on, of whose keys named is
// one, or is about to be. The error wraps os.ErrNotExist where there is no log.
func CurrentKey(dir, named string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	c, k, err := readSigned(root, named)
	if err != nil {
		return "", fmt.Errorf("audit log %s: %w", dir, err)
	}
	return k.Text(c.size), nil
}
