package rewrap

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"filippo.io/age"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/auditors"
)

// Schema is what a file's first line says.
const Schema = "entry.rewrap/v1"

// maxLine bounds a line of a file, in bytes: a key file has 1 MiB at most, in base64.
const maxLine = 2 << 20

// ErrNotRewrap says that a file isn't one of new keys, or isn't whole.
var ErrNotRewrap = errors.New("isn't a file of recordings' new keys (entry sessions rewrap -o FILE), or not a whole one")

// Key is a recording's key, sealed to others.
type Key struct {
	recording.Rewrap
	Sealed []byte `json:"sealed"` // what ID.key is to be
}

// Target is to whom recordings are sealed.
type Target struct {
	Set        string // recording.SetOf them
	Auditors   []auditors.Auditor
	recipients []age.Recipient
}

// To is the target that all are, at least one.
func To(all []auditors.Auditor) Target {
	return Target{Set: recording.SetOf(auditors.Fingerprints(all)), Auditors: all, recipients: auditors.Recipients(all)}
}

// Changes are the fingerprints of who can open a recording then and couldn't before, and
// the reverse. before are those who can now, nil where that isn't known: then all come in,
// and of those who go out none is known.
func (t Target) Changes(before []string) (in, out []string) {
	now := auditors.Fingerprints(t.Auditors)
	for _, f := range now {
		if !slices.Contains(before, f) {
			in = append(in, f)
		}
	}
	for _, f := range before {
		if !slices.Contains(now, f) {
			out = append(out, f)
		}
	}
	return in, out
}

// Seal opens the key of a recording in dir with ids and seals it to the target. before is
// as in Changes. Errors are as recording.OpenRecording's.
func (t Target) Seal(dir, id string, ids []age.Identity, before []string) (Key, error) {
	in, out := t.Changes(before)
	r := recording.Rewrap{Set: t.Set, Count: len(t.Auditors), In: first(in), Out: first(out)}
	r, sealed, err := recording.Reseal(dir, id, ids, t.recipients, r)
	return Key{r, sealed}, err
}

func first(list []string) []string { return list[:min(len(list), recording.MaxNamed)] }

type (
	head struct {
		Schema string `json:"schema"`
	}
	tail struct {
		Keys int `json:"keys"`
	}
)

// Writer writes a file of new keys.
type Writer struct {
	enc *json.Encoder
	n   int
}

// NewWriter begins a file.
func NewWriter(w io.Writer) (*Writer, error) {
	enc := json.NewEncoder(w)
	return &Writer{enc: enc}, enc.Encode(head{Schema})
}

// Add adds a key.
func (w *Writer) Add(k Key) error {
	w.n++
	return w.enc.Encode(k)
}

// Close ends the file.
func (w *Writer) Close() error { return w.enc.Encode(tail{w.n}) }

// Read yields the keys in a file, and at last, where it isn't one or not a whole one, an
// error that wraps ErrNotRewrap. Nothing of a key is looked at but its form.
func Read(r io.Reader) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxLine)
		var h head
		if !lines.Scan() || decode(lines.Bytes(), &h) != nil || h.Schema != Schema {
			yield(Key{}, errors.Join(ErrNotRewrap, readError(lines)))
			return
		}
		had := map[string]bool{}
		for n := 0; lines.Scan(); n++ {
			var end tail
			if decode(lines.Bytes(), &end) == nil {
				if end.Keys != n || lines.Scan() {
					yield(Key{}, fmt.Errorf("%w: it has %s, and says that it has %d", ErrNotRewrap, plain.Count(n, "key"), end.Keys))
				}
				return
			}
			var k Key
			if decode(lines.Bytes(), &k) != nil || !recording.ValidID(k.ID) {
				yield(Key{}, fmt.Errorf("%w: line %d", ErrNotRewrap, n+2))
				return
			}
			if had[k.ID] {
				yield(Key{}, fmt.Errorf("%w: line %d has recording %s once more", ErrNotRewrap, n+2, k.ID))
				return
			}
			had[k.ID] = true
			if !yield(k, nil) {
				return
			}
		}
		yield(Key{}, errors.Join(fmt.Errorf("%w: it ends too early", ErrNotRewrap), readError(lines)))
	}
}

// readError is what went wrong with reading, if it wasn't that a line is too long.
func readError(lines *bufio.Scanner) error {
	if err := lines.Err(); !errors.Is(err, bufio.ErrTooLong) {
		return err
	}
	return nil
}

// decode reads a line, which has one object and no fields but those of v.
func decode(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one object")
	}
	return nil
}
