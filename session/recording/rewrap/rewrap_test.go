package rewrap

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/auditors"
)

const id = "01JQ8Z3M6W0000000000000001"

// keys makes a file with the new keys of a recording, n times.
func keys(t testing.TB, n int) (file []byte, k Key) {
	t.Helper()
	dir := t.TempDir()
	old, next := testkit.Must(age.GenerateX25519Identity())(t), testkit.Must(age.GenerateX25519Identity())(t)
	all := testkit.Must(auditors.Parse(strings.NewReader(next.Recipient().String())))(t)
	before := testkit.Must(auditors.Parse(strings.NewReader(old.Recipient().String())))(t)
	s, record, key, err := recording.NewSealer(recording.Header{ID: id, User: "alice", Start: time.Unix(1e9, 0), Auditors: auditors.Fingerprints(before)}, auditors.Recipients(before))
	testkit.Check(t, err)
	c := testkit.Must(recording.NewCompressor())(t)
	record = append(record, testkit.Must(s.Seal(c, nil, nil, 1, true))(t)...)
	testkit.Check(t, errors.Join(c.Close(), os.WriteFile(filepath.Join(dir, id+recording.Ext), record, 0o600), os.WriteFile(filepath.Join(dir, id+recording.KeyExt), key, 0o600)))
	k = testkit.Must(To(all).Seal(dir, id, []age.Identity{old}, auditors.Fingerprints(before)))(t)
	var b bytes.Buffer
	w := testkit.Must(NewWriter(&b))(t)
	for i := range n {
		k.ID = id[:len(id)-1] + string(rune('1'+i)) // each has another
		testkit.Check(t, w.Add(k))
	}
	testkit.Check(t, w.Close())
	if !slices.Equal(k.In, auditors.Fingerprints(all)) || !slices.Equal(k.Out, auditors.Fingerprints(before)) || k.Count != 1 || k.Set != recording.SetOf(k.In) {
		t.Errorf("%+v", k)
	}
	return b.Bytes(), k
}

func read(b []byte) (all []Key, err error) {
	for k, err := range Read(bytes.NewReader(b)) {
		if err != nil {
			return all, err
		}
		all = append(all, k)
	}
	return all, nil
}

// A file reads as it was written; cut anywhere, or with anything behind it, it is none.
func TestFile(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3} {
		file, k := keys(t, n)
		all, err := read(file)
		if err != nil || len(all) != n || n > 0 && !reflect.DeepEqual(all[n-1], k) {
			t.Errorf("%d: %d, %v", n, len(all), err)
		}
		for at := range len(file) - 1 { // the last LF may go
			if _, err := read(file[:at]); !errors.Is(err, ErrNotRewrap) {
				t.Fatalf("cut after %d of %d bytes: %v", at, len(file), err)
			}
		}
		for _, more := range []string{"{}\n", "\n", string(file)} {
			if _, err := read(append(slices.Clone(file), more...)); !errors.Is(err, ErrNotRewrap) {
				t.Errorf("with %q behind it: %v", more, err)
			}
		}
	}
	head, line := `{"schema":"entry.rewrap/v1"}`+"\n", `{"id":"`+id+`","from":"","to":"","set":"","count":1,"sealed":""`
	for what, text := range map[string]string{
		"another schema":   `{"schema":"entry.rewrap/v2"}` + "\n" + `{"keys":0}` + "\n",
		"an unknown field": head + line + `,"more":1}` + "\n" + `{"keys":1}` + "\n",
		"two on a line":    head + line + `}{}` + "\n" + `{"keys":1}` + "\n",
		"a path for an ID": head + strings.Replace(line, id, "../../etc/x", 1) + `}` + "\n" + `{"keys":1}` + "\n",
		"one twice":        head + line + "}\n" + line + "}\n" + `{"keys":2}` + "\n",
		"another number":   head + `{"keys":1}` + "\n",
		"a line too long":  head + strings.Repeat(" ", maxLine+1) + "\n" + `{"keys":0}` + "\n",
	} {
		if _, err := read([]byte(text)); !errors.Is(err, ErrNotRewrap) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Who can open more than are named is known by the set all the same.
func TestManyAuditors(t *testing.T) {
	t.Parallel()
	var lines []string
	for range recording.MaxNamed + 6 {
		lines = append(lines, testkit.Must(age.GenerateX25519Identity())(t).Recipient().String())
	}
	to := To(testkit.Must(auditors.Parse(strings.NewReader(strings.Join(lines, "\n"))))(t))
	if in, out := to.Changes(nil); len(first(in)) != recording.MaxNamed || len(out) != 0 || len(to.recipients) != len(lines) {
		t.Errorf("%d, %d", len(in), len(out))
	}
	if in, out := to.Changes([]string{to.Auditors[3].Fingerprint(), "gone"}); len(in) != len(lines)-1 || !slices.Equal(out, []string{"gone"}) {
		t.Errorf("%d, %q", len(in), out)
	}
}

// What was sealed to classic keys is sealed to post-quantum ones, and opens with theirs.
func TestToHybrid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, next := testkit.Must(age.GenerateX25519Identity())(t), testkit.Must(age.GenerateHybridIdentity())(t)
	s, record, key, err := recording.NewSealer(recording.Header{ID: id, Start: time.Unix(1e9, 0)}, []age.Recipient{old.Recipient()})
	testkit.Check(t, err)
	c := testkit.Must(recording.NewCompressor())(t)
	record = append(record, testkit.Must(s.Seal(c, nil, nil, 1, true))(t)...)
	testkit.Check(t, errors.Join(c.Close(), os.WriteFile(filepath.Join(dir, id+recording.Ext), record, 0o600), os.WriteFile(filepath.Join(dir, id+recording.KeyExt), key, 0o600)))
	k := testkit.Must(To(testkit.Must(auditors.Parse(strings.NewReader(next.Recipient().String())))(t)).Seal(dir, id, []age.Identity{old}, nil))(t)
	testkit.WriteFile(t, filepath.Join(dir, id+recording.KeyExt), string(k.Sealed))
	if _, err := recording.OpenRecording(dir, id, old); !errors.Is(err, recording.ErrKey) {
		t.Errorf("the old auditor: %v", err)
	}
	testkit.Check(t, testkit.Must(recording.OpenRecording(dir, id, next))(t).Close())
}

func FuzzRead(f *testing.F) {
	file, _ := keys(f, 2)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte(`{"schema":"entry.rewrap/v1"}` + "\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := read(b)
		if err != nil {
			return
		}
		var again bytes.Buffer
		w := testkit.Must(NewWriter(&again))(t)
		for _, k := range all {
			testkit.Check(t, w.Add(k))
		}
		testkit.Check(t, w.Close())
		if same, err := read(again.Bytes()); err != nil || !reflect.DeepEqual(same, all) {
			t.Errorf("%v: %q becomes %q", err, b, again.Bytes())
		}
	})
}
