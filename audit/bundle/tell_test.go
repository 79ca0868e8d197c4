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
	"time"

	"entry/audit/witness"
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
	if notes := rep.Notes(); len(notes) != 3 || !strings.HasPrefix(notes[0], "a crash of the server cut the recording") || !strings.HasPrefix(notes[1], "it has 1 signature beside the log's") || !strings.Contains(notes[2], s.Key) {
		t.Errorf("%q", notes)
	}

	record := testkit.Must(s.Prove(2))(t).Marshal()
	rep = testkit.Must(VerifyFile(put(record), Trust{Key: s.Key}))(t)
	if notes := rep.Notes(); len(notes) != 1 || !strings.HasPrefix(notes[0], "it has 1 signature beside the log's, which weren't looked at") {
		t.Errorf("%q", notes)
	}
	if notes := testkit.Must(VerifyFile(put(record), Trust{Key: s.Key, Witnesses: s.Witnesses}))(t).Notes(); len(notes) > 0 {
		t.Errorf("%q", notes)
	}
	if notes := testkit.Must(VerifyFile(put(testkit.Must(s.Prove(s.log.Position().Size))(t).Marshal()), Trust{Key: s.Key}))(t).Notes(); len(notes) != 1 || !strings.HasPrefix(notes[0], "no witness has cosigned it") {
		t.Errorf("%q", notes)
	}
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

// Why there is no bundle of a session is said with what to do; only where nothing of the log
// is away is it known not to be there.
func TestRefusedInWords(t *testing.T) {
	t.Parallel()
	lacks := errors.New("records 7 to 9 aren't here")
	for _, tc := range []struct {
		r          Refused
		none       bool
		text, hint string
	}{
		{Refused{ID: "01", err: ErrUnknown}, true, "the audit log has no record of session 01", "is this the log of the server"},
		{Refused{ID: "01", err: ErrUnknown, lacks: lacks}, false, "may be in records that aren't here: records 7 to 9", "put their segments back"},
		{Refused{ID: "01", err: ErrRunning}, false, "session 01 has no end in the log yet", "entry sessions kill"},
		{Refused{ID: "01", err: ErrRunning, lacks: lacks}, false, "may be in records that aren't here", "put their segments back"},
		{Refused{ID: "01", err: ErrFailed}, false, "session 01: the log says that recording the session failed", "entry audit proof 01 -o"},
	} {
		if got := tc.r.Error(); !strings.Contains(got, tc.text) || !strings.Contains(tc.r.Hint(), tc.hint) || tc.r.NotFound() != tc.none || !errors.Is(&tc.r, tc.r.err) {
			t.Errorf("%s; %s; %v", got, tc.r.Hint(), tc.r.NotFound())
		}
	}
	other := errors.New("other")
	if err := (Source{}).refused("01", other); !errors.Is(err, other) || errors.As(err, new(*Refused)) {
		t.Errorf("%v", err)
	}
}

func TestSummaryInWords(t *testing.T) {
	t.Parallel()
	bare := Summary{Records: 1}
	if got := bare.Lines("a.tar", "01"); len(got) != 1 || got[0] != "a.tar has 1 record of session 01" {
		t.Errorf("%q", got)
	}
	if got := bare.Notes(); len(got) != 1 || !strings.HasPrefix(got[0], "no witness has cosigned the log") {
		t.Errorf("%q", got)
	}
	bare.Awaits = true
	if got := bare.Notes(); len(got) != 1 || !strings.HasSuffix(got[0], "make it again once one has, which takes ten seconds where it can be reached") {
		t.Errorf("%q", got)
	}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	whole := Summary{Records: 3, Recording: 2048, Later: 2, Cosigned: []witness.Cosigned{{Name: "w.example", At: at}}, Unheld: []string{"record 7 isn't here"}}
	if got := strings.Join(whole.Lines("a.tar", "01"), "|"); got != "a.tar has 3 records and the recording (2048 B) of session 01|cosigned by w.example (2026-03-02T12:00:00Z)" {
		t.Error(got)
	}
	if got := whole.Notes(); len(got) != 2 || !strings.HasPrefix(got[0], "record 7 isn't here, and may say") || !strings.HasPrefix(got[1], "without 2 later records about it") {
		t.Errorf("%q", got)
	}
}
