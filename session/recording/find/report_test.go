package find

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// Each reason why something wasn't looked at is told once, with the sessions that it is of:
// what should be there apart from what is known not to be.
func TestReport(t *testing.T) {
	t.Parallel()
	r := Report{Summary: Summary{Sessions: 9}}
	session := func(n int) recording.Info {
		return recording.Info{Header: recording.Header{ID: id(n), User: "al\x1bice", Target: "home.tinker"}}
	}
	r.Take(Result{Hit: &Hit{}})
	for n := range maxNamed + 2 {
		r.Take(Result{Unread: &Unread{Session: session(n), Why: "open recording " + id(n) + ": damaged \x1b", Missing: true}})
	}
	r.Take(Result{Unread: &Unread{Session: session(9), Why: "no key", Missing: true, Sealed: true}})
	r.Take(Result{Unread: &Unread{Session: session(1), Channels: []uint32{0, 3}, Why: "metadata"}})
	r.Take(Result{Unread: &Unread{Session: session(2), Channels: []uint32{1}, Why: "metadata"}})
	if r.Summary != (Summary{9, 1, maxNamed + 5, maxNamed + 3}) || r.Sealed != 1 {
		t.Errorf("%+v", r.Summary)
	}
	missing, kept := r.NotLookedAt()
	if len(missing) != 2 || !strings.HasPrefix(missing[0], id(0)+` ("al\x1bice" on home.tinker); `) || !strings.HasSuffix(missing[0], `, and 2 more, which --json names: not all searched: "damaged \x1b"`) ||
		!strings.HasSuffix(missing[1], ": not all searched: this identity doesn't open it") {
		t.Errorf("%q", missing)
	}
	if !slices.Equal(kept, []string{"3 channels of 2 sessions: metadata"}) {
		t.Errorf("%q", kept)
	}
	line := testkit.Must(json.Marshal(Unread{Session: session(1), Channels: []uint32{3}, Why: "metadata"}.Line()))(t)
	if want := `{"session":"` + id(1) + `","user":"al\u001bice","target":"home.tinker","channels":[3],"not_searched":"metadata","missing":false}`; string(line) != want {
		t.Errorf("%s", line)
	}
}

// A hit is one line, whatever is in it, and of a long one what is near the match.
func TestHitLine(t *testing.T) {
	t.Parallel()
	h := Hit{Session: recording.Info{Header: recording.Header{ID: id(1), User: "alice", Target: "home.tinker", Start: start}}, Channel: 2, At: 1500 * time.Millisecond, In: Output, Note: "erased", Stood: 20 * time.Millisecond}
	h.Text = strings.Repeat("é", 1000) + "a\tb\x1b\nfound" + strings.Repeat("ü", 1000)
	h.From = strings.Index(h.Text, "found")
	h.To = h.From + len("found")
	line := h.String()
	head := id(1) + " 2026-03-02T14:00:01.5Z alice on home.tinker, output (erased after 20ms): …éé"
	if !strings.HasPrefix(line, head) || !strings.Contains(line, "éa b? ⏎ foundü") || !strings.HasSuffix(line, "ü…") || len(line) > 600 || strings.ContainsAny(line, "\n\x1b\ufffd") {
		t.Errorf("%q", line)
	}
	j := h.Line("entry sessions play")
	if j.Match != "found" || j.Offset != 1.5 || j.Stood != 0.02 || j.Replay != "entry sessions play" || !j.Time.Equal(start.Add(h.At)) {
		t.Errorf("%+v", j)
	}
	h.Stood, h.File = 0, &recording.File{Path: "results.csv"}
	if got, want := h.String(), fmt.Sprintf("output (erased): %s", h.File.Names()); !strings.HasSuffix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
