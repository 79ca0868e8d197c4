package audit

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"entry/audit/plain"
)

const (
	// keysName is, in a log's directory, the file with the changes of its key: signed notes,
	// one after the other. It isn't there before the first.
	keysName = "keys"
	keysTemp = "keys.new"
	// maxKeys bounds that file, in bytes: a few hundred changes.
	maxKeys = 256 << 10
)

// maxRekeys is how many changes of its key a LogDropped carries on.
const maxRekeys = 24

// Keys are the keys of a log, one after the other: whoever knows one of them, from whatever
// time, can follow the others, each change being signed by the key before and the new one.
type Keys struct {
	first, named string // public keys
	verifier     note.Verifier
	changes      []keyChange
	unkept       bool // the file of changes lacks some of them
}

// KeysOf are those of a log whose key named is known, with its changes as ReadKeys or a
// bundle has them: nil for none. Where they aren't about named, it is the only one. The error
// is the predicate of a sentence about the changes.
func KeysOf(named string, changes []byte) (*Keys, error) {
	named = strings.TrimSpace(named)
	v, err := note.NewVerifier(named)
	if err != nil {
		return nil, errors.New("are held against a malformed public key")
	}
	list, err := parseChanges(changes)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if c.from == named || c.to == named {
			return &Keys{first: list[0].from, named: named, verifier: list[0].old, changes: list}, nil
		}
	}
	return &Keys{first: named, named: named, verifier: v}, nil
}

// Name is the log's origin.
func (k *Keys) Name() string { return k.verifier.Name() }

// LogName tells the log from others, whatever its key is now: as Log.Name.
func (k *Keys) LogName() string { return nameOf(k.verifier) }

// First is the public key that the log began with.
func (k *Keys) First() string { return k.first }

// Signs is the key that signs the tree head of the first size records.
func (k *Keys) Signs(size uint64) note.Verifier {
	v := k.verifier
	for _, c := range k.changes {
		if size > c.at.size {
			v = c.new
		}
	}
	return v
}

// Text is the key that signs the tree head of the first size records, in its text form.
func (k *Keys) Text(size uint64) string {
	text := k.first
	for _, c := range k.changes {
		if size > c.at.size {
			text = c.to
		}
	}
	return text
}

// Changed is after how many records the key was changed last; false where it never was.
func (k *Keys) Changed() (after uint64, ok bool) {
	if n := len(k.changes); n > 0 {
		return k.changes[n-1].at.size, true
	}
	return 0, false
}

// rekeys are the changes in the first size records, the last of them, as a LogDropped has them.
func (k *Keys) rekeys(size uint64) (all []Rekey) {
	for _, c := range k.changes {
		if c.at.size < size {
			r := *c.rekey()
			r.Size = c.at.size
			all = append(all, r)
		}
	}
	return all[max(0, len(all)-maxRekeys):]
}

// Has tells whether a public key is one of them.
func (k *Keys) Has(public string) bool {
	public = strings.TrimSpace(public)
	return public == k.first || slices.ContainsFunc(k.changes, func(c keyChange) bool { return c.to == public })
}

// Changes are those of the first size records, as KeysOf takes them; nil for none.
func (k *Keys) Changes(size uint64) (text []byte) {
	for _, c := range k.changes {
		if c.at.size < size {
			text = append(text, c.signed...)
		}
	}
	return text
}

// all is Changes, with one that no tree head has.
func (k *Keys) all() []byte { return k.Changes(1 << 63) }

// change is the change that record n has to be.
func (k *Keys) change(n uint64) (keyChange, bool) {
	for _, c := range k.changes {
		if c.at.size+1 == n {
			return c, true
		}
	}
	return keyChange{}, false
}

// notBy is why a tree head of so many records that v hasn't signed is refused; other is the
// hash of a key that has.
func (k *Keys) notBy(v note.Verifier, signed []byte) error {
	for _, c := range k.changes {
		for _, other := range []note.Verifier{c.old, c.new} {
			if _, err := note.Open(signed, note.VerifierList(other)); err != nil || other.KeyHash() == v.KeyHash() {
				continue
			}
			for _, c := range k.changes {
				if c.old.KeyHash() == other.KeyHash() {
					return fmt.Errorf("is signed by the key %s, which the log has changed after record %d: whoever still has that key wrote it, and it is to be signed by %s", nameOf(other), c.at.size, nameOf(v))
				}
			}
			return fmt.Errorf("is signed by the key %s before the log changed to that", nameOf(other))
		}
	}
	return fmt.Errorf("is not signed by the key %s", nameOf(v))
}

// back says of changes beyond the records that are signed that the log was put back. The
// next record's may stand there: a crash came before its tree head, and it never was.
func (k *Keys) back(signed checkpoint) error {
	for _, c := range k.changes {
		if c.at.size > signed.size {
			return badLine(signed.size+1, 0, "is missing: the log was put back to an older state, its key was changed after record %d", c.at.size)
		}
	}
	return nil
}

// ReadKeys are the keys of the log in dir, of which named is one.
func ReadKeys(dir, named string) (*Keys, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return readKeys(root, named)
}

// keysIn is ReadKeys, where what the directory has of changes may be damaged or gone.
func keysIn(dir, named string) (*Keys, error) {
	k, err := ReadKeys(dir, named)
	if err != nil {
		k, err = KeysOf(named, nil)
	}
	if err != nil {
		return nil, errors.New("the log's public key is malformed")
	}
	return k, nil
}

// readKeys is ReadKeys. Where the file doesn't lead to the key that signed the checkpoint, the
// log's records may. What isn't right in the file is a *BadRecord.
func readKeys(dir *os.Root, named string) (*Keys, error) {
	text, err := readSmall(dir, keysName, maxKeys)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	k, err := KeysOf(named, text)
	if err != nil {
		return nil, &BadRecord{File: keysName, Why: err.Error()}
	}
	signed, err := readSmall(dir, checkpointName, maxCheckpoint)
	if err != nil {
		return k, nil // reading it says more
	}
	if _, err := openCheckpoint(signed, k); err == nil {
		return k, nil
	}
	if scanned, err := scanKeys(dir, named); err == nil && len(scanned.changes) > len(k.changes) {
		if _, err := openCheckpoint(signed, scanned); err == nil {
			return scanned, nil
		}
	}
	return k, nil
}

// KeyReport is a change of a log's key.
type KeyReport struct {
	Seq  uint64 `json:"seq"`  // of the record from which on the new key signs
	From string `json:"from"` // public keys
	To   string `json:"to"`
}

// String is one line for people.
func (k KeyReport) String() string {
	return fmt.Sprintf("from record %d on the log is signed by the key %s, as the one before it signed: %s", k.Seq, plain.Word(hashOf(k.To)), plain.Word(hashOf(k.From)))
}

// hashOf is the name and the hash of a public key, as signatures have them.
func hashOf(public string) string {
	name, rest, _ := strings.Cut(public, "+")
	hash, _, _ := strings.Cut(rest, "+")
	return name + "+" + hash
}

// Reports are the changes of the first size records.
func (k *Keys) Reports(size uint64) (all []KeyReport) {
	for _, c := range k.changes {
		if c.at.size < size {
			all = append(all, KeyReport{c.at.size + 1, c.from, c.to})
		}
	}
	return all
}

// scanKeys are the keys of the log in dir as its records say, of those that are here.
func scanKeys(dir *os.Root, named string) (*Keys, error) {
	var text []byte
	last := uint64(0)
	for e, err := range ScanWhole(dir.Name(), LogKey, LogDropped) {
		if err != nil {
			if Told(err) {
				continue
			}
			return nil, err
		}
		all, err := changesIn(e)
		if err != nil {
			return nil, badLine(e.Seq, e.Seq, "%s", err)
		}
		for _, c := range all {
			if c.at.size > last || len(text) == 0 { // each event that drops records has them anew
				text, last = append(text, c.signed...), c.at.size
			}
		}
	}
	k, err := KeysOf(named, text)
	if err == nil {
		k.unkept = true
	}
	return k, err
}

// changesIn are the changes that an event records, or carries on from records that are
// dropped; they are proven.
func changesIn(e Event) (all []keyChange, err error) {
	if e.Type == LogKey {
		c, err := changeOf(e)
		return []keyChange{c}, err
	}
	for i := range e.Rekeys {
		c, err := e.Rekeys[i].change(e.Rekeys[i].Size)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}
