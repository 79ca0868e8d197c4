package recording

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"entry/e2e/testkit"
)

// What was sealed anew opens for the new auditor and not for the old one; what is said of
// it holds as it was said, and in no other way.
func TestReseal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, other := seal(t, dir, 1), seal(t, dir, 2)
	h := testkit.Must(Stat(dir, w.id))(t).Header
	next := testkit.Must(age.GenerateX25519Identity())(t)
	said := Rewrap{Set: SetOf([]string{"b", "a"}), Count: 1, In: []string{strings.Repeat("1", 32)}, Out: []string{strings.Repeat("2", 32)}}
	r, sealed, err := Reseal(dir, w.id, []age.Identity{auditor()}, []age.Recipient{next.Recipient()}, said)
	testkit.Check(t, err)
	if was := testkit.Must(KeyHash(dir, w.id))(t); r.ID != w.id || r.From != hex.EncodeToString(was[:]) {
		t.Errorf("%+v", r)
	}
	if proven, err := r.Check(h); err != nil || !proven {
		t.Errorf("%v, %v", proven, err)
	}
	if err := r.Makes(sealed); err != nil {
		t.Error(err)
	}
	if err := r.Makes(sealed[:len(sealed)-1]); err == nil {
		t.Error("a key that was cut is the one that was made")
	}
	testkit.WriteFile(t, filepath.Join(dir, w.id+KeyExt), string(sealed))
	if _, err := OpenRecording(dir, w.id, auditor()); !errors.Is(err, ErrKey) {
		t.Errorf("the old auditor: %v", err)
	}
	if all, err := readAll(t, dir, w.id, next); len(all) != 3 {
		t.Errorf("the new one: %d frames, %v", len(all), err)
	}
	for what, change := range map[string]func(r *Rewrap){
		"another recording": func(r *Rewrap) { r.ID = other.id },
		"from":              func(r *Rewrap) { r.From = r.To },
		"to":                func(r *Rewrap) { r.To = r.From },
		"set":               func(r *Rewrap) { r.Set = SetOf([]string{"a"}) },
		"count":             func(r *Rewrap) { r.Count++ },
		"nobody":            func(r *Rewrap) { r.Count = 0 },
		"in":                func(r *Rewrap) { r.In = nil },
		"out":               func(r *Rewrap) { r.Out = append(r.Out, r.In...) },
		"in and out":        func(r *Rewrap) { r.In, r.Out = r.Out, r.In },
		"a line more":       func(r *Rewrap) { r.In = []string{r.In[0] + "\nout " + r.Out[0]}; r.Out = nil },
		"no proof":          func(r *Rewrap) { r.Proof = "" },
		"another proof":     func(r *Rewrap) { r.Proof = strings.Repeat("A", 86) + "==" },
	} {
		changed := r
		change(&changed)
		if _, err := changed.Check(h); err == nil {
			t.Errorf("with %s changed it holds", what)
		}
	}
	forged, _, err := Reseal(dir, other.id, []age.Identity{auditor()}, []age.Recipient{next.Recipient()}, said)
	testkit.Check(t, err)
	forged.ID = w.id
	if _, err := forged.Check(h); err == nil {
		t.Error("what is said of another recording holds")
	}
	old := h
	old.RewrapKey = "" // as an older version has it
	if proven, err := r.Check(old); err != nil || proven {
		t.Errorf("%v, %v", proven, err)
	}
}

func TestResealRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := seal(t, dir, 1)
	next := testkit.Must(age.GenerateX25519Identity())(t)
	said := Rewrap{Set: SetOf([]string{"a"}), Count: 1}
	try := func(id string, ids []age.Identity, to []age.Recipient) error {
		_, _, err := Reseal(dir, id, ids, to, said)
		return err
	}
	to, ids := []age.Recipient{next.Recipient()}, []age.Identity{auditor()}
	if err := try(w.id, []age.Identity{next}, to); !errors.Is(err, ErrKey) {
		t.Errorf("by who can't open it: %v", err)
	}
	if err := try(w.id, nil, to); !errors.Is(err, ErrKey) {
		t.Errorf("by nobody: %v", err)
	}
	if err := try(w.id, ids, nil); err == nil {
		t.Error("to nobody")
	}
	if err := try(id(9), ids, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what isn't there: %v", err)
	}
	// Whose it is, and who could open it, stands in the clear, with hashes that anybody can
	// make: a key isn't sealed to another lab's auditors for that.
	testkit.WriteFile(t, w.path, string(relabelled(w)))
	if err := try(w.id, ids, to); err == nil || !strings.Contains(err.Error(), "segment 0") {
		t.Errorf("under another lab's name: %v", err)
	}
	for _, cut := range [][]byte{w.all[:w.starts[0]], relabelled(w)[:w.starts[0]+1]} {
		testkit.WriteFile(t, w.path, string(cut))
		if err := try(w.id, ids, to); !errors.Is(err, ErrNothing) {
			t.Errorf("without a segment: %v", err)
		}
	}
	testkit.WriteFile(t, w.path, string(w.all))
	// Another recording's key in its place is opened for nobody.
	other := seal(t, dir, 2)
	testkit.WriteFile(t, filepath.Join(dir, w.id+KeyExt), testkit.ReadFile(t, filepath.Join(dir, other.id+KeyExt)))
	if err := try(w.id, ids, to); !errors.Is(err, ErrKey) {
		t.Errorf("another recording's key: %v", err)
	}
	testkit.Check(t, os.Remove(filepath.Join(dir, w.id+KeyExt)))
	if err := try(w.id, ids, to); !errors.Is(err, ErrShredded) {
		t.Errorf("without a key: %v", err)
	}
}

// relabelled is a recording that says that it is another lab's, with all hashes that
// follow from that.
func relabelled(w written) []byte {
	line := bytes.Replace(w.all[:bytes.IndexByte(w.all, '\n')+1], []byte(`"lab":"tinker"`), []byte(`"lab":"tailors"`), 1)
	head := sha256.Sum256(line)
	out := append(line, head[:]...)
	for i, from := range w.starts[:len(w.starts)-1] {
		sealed := w.all[from : w.starts[i+1]-sha256.Size]
		head = sha256.Sum256(slices.Concat([]byte{1}, head[:], sealed))
		out = append(append(out, sealed...), head[:]...)
	}
	return out
}

// A header says of auditors what it has to, or isn't one.
func TestHeaderOfAuditors(t *testing.T) {
	t.Parallel()
	many := make([]string, MaxAuditors)
	for i := range many {
		many[i] = SetOf([]string{id(i)})
	}
	for what, tt := range map[string]struct {
		auditors []string
		ok       bool
	}{
		"as many as there may be": {many, true},
		"one more":                {append(many, many[0]), false},
		"no fingerprint":          {[]string{"age1abc"}, false},
		"capitals":                {[]string{strings.Repeat("A", 32)}, false},
	} {
		_, record, _, err := NewSealer(Header{ID: id(1), Auditors: tt.auditors}, []age.Recipient{auditor().Recipient()})
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil {
			continue
		}
		if h, _, _, err := parseHeader(record); err != nil || len(h.Auditors) != len(tt.auditors) || len(h.RewrapKey) != 64 {
			t.Errorf("%s: %v", what, err)
		}
	}
}
