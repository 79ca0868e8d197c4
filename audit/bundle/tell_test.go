//go:build linux

package bundle

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// A file is verified whatever it is, a bundle or one record; what was proven is told with
// what isn't shown, and as JSON.
func TestVerifyFile(t *testing.T) {
	s := newSite(t)
	t.Setenv("TMPDIR", t.TempDir())
	put := func(text []byte) string {
		path := filepath.Join(t.TempDir(), "f")
		testkit.WriteFile(t, path, string(text))
		return path
	}
	rep := testkit.Must(VerifyFile(put(s.made(whole)), Trust{Key: s.Key, Witnesses: s.Witnesses}))(t)
	var out strings.Builder
	testkit.Check(t, rep.Tell(&out))
	for _, want := range []string{" records proven to stand in the log entry.test+", "\ncosigned by w.example (", "\nrecording " + whole + ", ", ": complete, the one that these records speak of, and so is its sealed key\n", " session.started "} {
		if !strings.Contains(out.String(), want) || len(rep.Notes()) > 0 {
			t.Errorf("%q isn't in\n%s, or there is more to say: %q", want, out.String(), rep.Notes())
		}
	}
	var j struct {
		Session   string
		Recording string
		Records   []map[string]any
		Size      int `json:"tree_size"`
	}
	testkit.Check(t, json.Unmarshal(testkit.Must(json.Marshal(rep))(t), &j))
	if j.Session != whole || j.Recording != "complete" || len(j.Records) != len(rep.Events) || j.Size == 0 || j.Records[0]["schema"] != "entry.audit/v1" {
		t.Errorf("%+v", j)
	}

	rep = testkit.Must(VerifyFile(put(s.made(cut)), Trust{Witnesses: []string{}}))(t)
	if notes := rep.Notes(); len(notes) != 3 || !strings.HasPrefix(notes[0], "a crash of the server cut the recording") || !strings.HasPrefix(notes[1], "no witness has cosigned it") || !strings.Contains(notes[2], s.Key) {
		t.Errorf("%q", notes)
	}

	record := testkit.Must(s.Prove(2))(t).Marshal()
	rep = testkit.Must(VerifyFile(put(record), Trust{Key: s.Key}))(t)
	if out.Reset(); rep.Tell(&out) != nil || !strings.HasPrefix(out.String(), "1 record proven") || strings.Contains(out.String(), "session "+whole) {
		t.Errorf("%s", out.String())
	}
	if _, err := VerifyFile(put(record), Trust{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("a record without a key: %v", err)
	}
	if _, err := VerifyFile(put(record[:len(record)/2][:40]), Trust{Key: s.Key}); !errors.Is(err, ErrNotRecord) {
		t.Errorf("no record: %v", err)
	}
	if _, err := VerifyFile(put([]byte("x")), Trust{Key: s.Key}); !errors.Is(err, ErrNotBundle) {
		t.Errorf("no bundle: %v", err)
	}
	if _, err := VerifyFile("none", Trust{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if left := testkit.Must(os.ReadDir(os.Getenv("TMPDIR")))(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
