//go:build linux

package verdict

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/segment"
	"entry/audit/witness"
	"entry/e2e/testkit"
)

// newCase is a log of three records, with a witness directory.
func newCase(t *testing.T) Case {
	t.Helper()
	top := t.TempDir()
	signer, public, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	c := Case{Dir: filepath.Join(top, "audit"), Options: audit.VerifyOptions{PublicKey: public, Witness: filepath.Join(top, "witness"), Copies: true}}
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	l := testkit.Must(audit.Open(c.Dir, audit.Options{Key: signer, Witness: c.Options.Witness, Now: func() time.Time { return at }}))(t)
	for _, user := range []string{"alice", "bob"} {
		testkit.Check(t, l.Append(t.Context(), audit.Event{Type: audit.LoginSucceeded, User: user}))
	}
	testkit.Check(t, l.Append(t.Context(), audit.Event{Type: audit.SessionStarted, Session: "01JQ8Z3M6W0000000000000001", Recording: &audit.Recording{ID: "01JQ8Z3M6W0000000000000001", Header: strings.Repeat("0", 64)}}))
	testkit.Check(t, l.Close())
	return c
}

// hinted is what a verdict says, and advises.
func hinted(t *testing.T, v Verdict) (hint string, err error) {
	t.Helper()
	var w *Wrong
	if err = v.Err(); errors.As(err, &w) {
		hint = w.Hint()
	}
	return hint, err
}

func TestSound(t *testing.T) {
	t.Parallel()
	c := newCase(t)
	v := testkit.Must(c.Judge())(t)
	var out bytes.Buffer
	if v.Tell(&out); v.Err() != nil || out.String() != "3 events consistent; witnessed up to seq 3 (2026-03-01T09:00:00Z)\nno recordings were held against it\n" {
		t.Errorf("%q, %v", out.String(), v.Err())
	}
	var j map[string]any
	testkit.Check(t, json.Unmarshal(testkit.Must(json.Marshal(v))(t), &j))
	if j["consistent"] != true || j["witnessed"] != 3.0 || j["why"] != nil {
		t.Errorf("%v", j)
	}
}

// Each thing that is wrong is said, with what to do.
func TestWrong(t *testing.T) {
	t.Parallel()
	c := newCase(t)
	if _, err := (Case{Dir: t.TempDir()}).Judge(); !errors.Is(err, ErrNoLog) {
		t.Errorf("no log: %v", err)
	}

	// The log is sound, and a recording that it knows isn't there: that is no fault of the log.
	withSpool := c
	withSpool.Recordings = t.TempDir()
	v := testkit.Must(withSpool.Judge())(t)
	var out bytes.Buffer
	v.Tell(&out)
	var m *evidence.Mismatch
	if err := v.Err(); !errors.As(err, &m) || m.Kind != evidence.Missing || !strings.HasPrefix(out.String(), "3 events consistent") {
		t.Errorf("%q, %v", out.String(), err)
	}
	var j map[string]any
	if testkit.Check(t, json.Unmarshal(testkit.Must(json.Marshal(v))(t), &j)); j["consistent"] != false || !strings.Contains(j["why"].(string), "missing") {
		t.Errorf("%v", j)
	}

	// Nobody has cosigned it.
	key := testkit.Must(witness.Init(filepath.Join(t.TempDir(), "w"), "witness.test"))(t)
	unwitnessed := c
	unwitnessed.Witnesses = testkit.Must(witness.ParseKeys([]string{key}))(t)
	v = testkit.Must(unwitnessed.Judge())(t)
	if hint, err := hinted(t, v); err == nil || !strings.Contains(hint, "alarm.witness") || !v.sound {
		t.Errorf("%v, %q", err, hint)
	}

	// A record was changed: what is said is that, and nothing of recordings.
	file := filepath.Join(c.Dir, "events.jsonl")
	testkit.Check(t, os.WriteFile(file, bytes.Replace([]byte(testkit.ReadFile(t, file)), []byte("bob"), []byte("eve"), 1), 0o600))
	v = testkit.Must(withSpool.Judge())(t)
	out.Reset()
	v.Tell(&out)
	if hint, err := hinted(t, v); out.Len() > 0 || err == nil || !strings.Contains(err.Error(), "line 2 (seq 2)") || !strings.HasPrefix(hint, "keep these files as they are") {
		t.Errorf("%q, %v, %q", out.String(), err, hint)
	}
	clear(j)
	if testkit.Check(t, json.Unmarshal(testkit.Must(json.Marshal(v))(t), &j)); j["line"] != 2.0 || j["consistent"] != false {
		t.Errorf("%v", j)
	}
}

// A gap counts until whoever verifies names it.
func TestGaps(t *testing.T) {
	t.Parallel()
	v := Verdict{Report: audit.Report{Gaps: []audit.GapReport{{ID: "g1"}, {ID: "g2"}}}}
	if hint, err := hinted(t, v); err == nil || !strings.Contains(err.Error(), "2 gaps") || !strings.HasSuffix(hint, "--gap g1 --gap g2") {
		t.Errorf("%v, %q", err, hint)
	}
	v.c.Gaps = []string{"g2"}
	if hint, err := hinted(t, v); err == nil || !strings.HasSuffix(hint, "name it: --gap g1") {
		t.Errorf("%v, %q", err, hint)
	}
	v.c.Gaps = []string{"g2", "g1"}
	if err := v.Err(); err != nil {
		t.Error(err)
	}
}

func TestParseAbsent(t *testing.T) {
	t.Parallel()
	a := testkit.Must(ParseAbsent("4711-9000"))(t)
	if a.From != 4711 || a.To != 9000 || absentFlags([]segment.Absent{a, a}) != "--absent 4711-9000 --absent 4711-9000" {
		t.Errorf("%+v", a)
	}
	for _, s := range []string{"", "1", "0-3", "3-2", "a-b", "1-2-3", "-1-2"} {
		if a, err := ParseAbsent(s); err == nil {
			t.Errorf("%q is %+v", s, a)
		}
	}
}

// Records that were dropped, and lie here again, are told of.
func TestTellDroppedThatIsHere(t *testing.T) {
	t.Parallel()
	for absent, says := range map[uint64]string{1: "", 4: "of the records that were dropped 3 are here again", 11: "of the records that were dropped 10 are here again"} {
		v := Verdict{sound: true, Report: audit.Report{Dropped: audit.Dropped{Through: 10}}}
		if absent <= 10 {
			v.Report.Absent = []segment.Absent{{From: absent, To: 10}}
		}
		var out strings.Builder
		v.Tell(&out)
		if says == "" && strings.Contains(out.String(), "here again") || !strings.Contains(out.String(), says) {
			t.Errorf("from %d on: %s", absent, out.String())
		}
	}
}

// A recording whose records were lost in a gap stays unknown: what to do is said.
func TestUnknownRecordingBesideAGap(t *testing.T) {
	t.Parallel()
	v := Verdict{err: errors.Join(&evidence.Mismatch{Kind: evidence.Unknown, ID: "01JQ8Z3M6W0000000000000001"})}
	if errors.As(v.Err(), new(*Wrong)) {
		t.Error("advice without a gap")
	}
	v.Report.Gaps = []audit.GapReport{{ID: "0123456789abcdef"}}
	var w *Wrong
	if !errors.As(v.Err(), &w) || !strings.Contains(w.Hint(), "move its files to a directory of their own") {
		t.Error("no advice beside a gap")
	}
	v.err = errors.Join(&evidence.Mismatch{Kind: evidence.Missing})
	if errors.As(v.Err(), &w) && strings.Contains(w.Hint(), "move its files") {
		t.Errorf("of a missing one: %v", w.Hint())
	}
}
