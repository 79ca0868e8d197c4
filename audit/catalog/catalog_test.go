package catalog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"filippo.io/age"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/auditors"
)

var start = time.Date(2026, 3, 2, 14, 0, 0, 0, time.UTC)

// three are sessions, an hour each, every two hours.
func three() (list []recording.Info, notes evidence.Notes) {
	var events []audit.Event
	for n, user := range []string{"alice", "bob", "al\x1bice"} {
		id := "01JQ8Z3M6" + string(rune('W'+n)) + "0000000000000001"
		h := recording.Header{ID: id, User: user, Lab: []string{"tinker", "kestrel", "tinker"}[n], Target: "home." + []string{"tinker", "kestrel", "tinker"}[n], Source: "192.0.2.7:50122", Start: start.Add(time.Duration(2*n) * time.Hour)}
		list = append(list, recording.Info{Header: h, State: recording.Complete, End: h.Start.Add(time.Hour), Size: 2048, Segments: 2})
		events = append(events, audit.Event{Type: audit.SessionEnded, Session: id, Time: h.Start.Add(time.Hour), Coverage: "recorded"})
	}
	by := &audit.Actor{Name: "ada", UID: 1000, LoginUID: 1000}
	events = append(events,
		audit.Event{Type: audit.SessionKilled, Session: list[1].ID, Time: list[1].End, Actor: by, Detail: "maintenance"},
		audit.Event{Type: audit.SessionReviewed, Session: list[0].ID, Time: list[1].End, Actor: by, Detail: "as announced"},
		audit.Event{Type: audit.SessionReviewed, Session: list[0].ID, Time: list[1].End, Actor: by},
		audit.Event{Type: audit.AlarmStartFile, Session: list[0].ID, Detail: "put .bashrc"}, audit.Event{Type: audit.AlarmStartFile, Session: list[0].ID, Detail: "rename bin"},
		audit.Event{Type: audit.AlarmBeside, Session: list[0].ID, Reason: "words"},
		audit.Event{Type: audit.HoldPlaced, Ref: "k7q2mxab", User: "alice", Time: list[1].End, Actor: by, Detail: "case 17"})
	return list, evidence.NotesBy(events)
}

func TestFind(t *testing.T) {
	t.Parallel()
	list, _ := three()
	for name, want := range map[string]string{"last": list[2].ID, "01jq8z3m6x": list[1].ID, list[0].ID: list[0].ID} {
		if i, err := Find(list, name); err != nil || i.ID != want {
			t.Errorf("%s: %s, %v", name, i.ID, err)
		}
	}
	for name, fits := range map[string]int{"01JQ": 3, "nobody": 0, "": 0, "../x": 0} {
		var e *NameError
		if _, err := Find(list, name); !errors.As(err, &e) || len(e.Fits) != fits || e.NotFound() == e.Misused() || e.NotFound() != (fits == 0) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Find(nil, Last); err == nil {
		t.Error("the last of none")
	}
	var none *NoneLive
	if _, err := NewestLive(list, ""); !errors.As(err, &none) || !none.NotFound() {
		t.Errorf("none runs: %v", err)
	}
	list[0].State, list[1].State = recording.Live, recording.Live
	for user, want := range map[string]int{"": 1, "alice": 0} {
		if i, err := NewestLive(list, user); err != nil || i.ID != list[want].ID {
			t.Errorf("%q: %s, %v", user, i.ID, err)
		}
	}
	if _, err := NewestLive(list, "al\x1bice"); err == nil || err.Error() != `no recorded session of "al\x1bice" is running` {
		t.Errorf("%v", err)
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	list, notes := three()
	yes, no := true, false
	for name, c := range map[string]struct {
		f    Filter
		want string // which of the three
	}{
		"all":               {Filter{}, "012"},
		"user":              {Filter{About: About{User: "bob"}}, "1"},
		"target":            {Filter{About: About{Target: "home"}}, "012"},
		"full target":       {Filter{About: About{Target: "home.tinker"}}, "02"},
		"lab and user":      {Filter{About: About{Lab: "tinker", User: "bob"}}, ""},
		"killed":            {Filter{State: evidence.Killed}, "1"},
		"coverage":          {Filter{Coverage: recording.Partial}, ""},
		"reviewed":          {Filter{Reviewed: &yes}, "0"},
		"not reviewed":      {Filter{Reviewed: &no}, "12"},
		"since":             {Filter{Since: start.Add(time.Second)}, "12"},
		"until":             {Filter{Until: start.Add(2 * time.Hour)}, "0"},
		"ran at a moment":   {Filter{At: start.Add(30 * time.Minute), AtEnd: start.Add(30 * time.Minute)}, "0"},
		"began that second": {Filter{At: start.Add(2 * time.Hour), AtEnd: start.Add(2 * time.Hour)}, "1"},
		"in a day":          {Filter{At: start.Add(-14 * time.Hour), AtEnd: start.Add(10 * time.Hour)}, "012"},
		"between them":      {Filter{At: start.Add(90 * time.Minute), AtEnd: start.Add(100 * time.Minute)}, ""},
		"source":            {Filter{Source: netip.MustParsePrefix("192.0.2.0/24")}, "012"},
		"other source":      {Filter{Source: netip.MustParsePrefix("198.51.100.0/24")}, ""},
	} {
		got := ""
		for n, i := range list {
			if c.f.Wants(i, notes) {
				got += string(rune('0' + n))
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A name that nobody ever had is refused; one that only the log or the policy has isn't,
// and none is where they can't be read.
func TestCheck(t *testing.T) {
	t.Parallel()
	list, _ := three()
	asked := 0
	others := func(err error) func() (evidence.Names, error) {
		return func() (evidence.Names, error) {
			asked++
			return evidence.Names{Users: map[string]bool{"carol": true}, Labs: map[string]bool{"osprey": true}, Targets: map[string]bool{"desk.osprey": true}}, err
		}
	}
	for _, a := range []About{{}, {User: "bob", Target: "home"}} {
		if err := a.Check(list, others(nil)); err != nil || asked > 0 {
			t.Errorf("%+v: %v", a, err)
		}
	}
	for _, a := range []About{{User: "carol"}, {Lab: "osprey"}, {Target: "desk"}, {Target: "desk.osprey", User: "bob"}} {
		if err := a.Check(list, others(nil)); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
	}
	var u *Unknown
	if err := (About{User: "bob", Lab: "tinkr"}).Check(list, others(nil)); !errors.As(err, &u) || u.Kind != "lab" || !strings.HasSuffix(err.Error(), `no such lab; did you mean "tinker"?`) || !u.NotFound() {
		t.Errorf("%v", err)
	}
	if err := (About{User: "eve"}).Check(list, others(errors.New("no log"))); err != nil {
		t.Errorf("without the log: %v", err)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	list, notes := three()
	var out strings.Builder
	testkit.Check(t, Table(&out, list, notes))
	lines := strings.Split(out.String(), "\n")
	for n, want := range []string{"ID ", " ada ", " killed ", `"al\x1bice"`} {
		if len(lines) != 5 || !strings.Contains(lines[n], want) {
			t.Errorf("%q isn't in line %d of\n%s", want, n, out.String())
		}
	}
}

func TestSheet(t *testing.T) {
	t.Parallel()
	list, notes := three()
	known := testkit.Must(age.GenerateX25519Identity())(t)
	ada := testkit.Must(auditors.Parse(strings.NewReader(known.Recipient().String())))(t)
	status := uint32(3)
	v := evidence.Verdict{Info: list[0], Against: evidence.KnowingLog, Sealed: evidence.Sealing{Rewraps: 1, Last: start, Auditors: []string{ada[0].Fingerprint(), "00112233445566778899aabbccddeeff"}}}
	s := Sheet{Verdict: v, Notes: notes, Refused: []string{"a \x1b line", "another"}, Readers: Readers(v, ada), Channels: []recording.Channel{
		{Number: 0, Program: "exec", Command: "id \x1b", Down: 3, Beside: 2, Coverage: recording.Recorded, Exit: &recording.ExitStatus{Status: &status}},
		{Number: 1, Program: "shell"}, // without its end
	}}
	var out strings.Builder
	testkit.Check(t, s.Tell(&out))
	for _, want := range []string{"open to      " + ada[0].Text + ", the key with the fingerprint 00112233445566778899aabbccddeeff; sealed anew 1 time, last at 2026-03-02T14:00:00Z\n",
		"verified     yes, against the audit log\n", "coverage     1 channel recorded, 1 channel partial\n", `refused      "a \x1b line"` + "\n             another\n",
		"said beside  the user's targets said more in words that day", ", 3 B down and 0 B up passed, 2 B of it said beside the files",
		"start files  put .bashrc, rename bin: what starts there since may be another program than its name says\n", ` (the newest of 2 reviews)`, "held         by hold k7q2mxab on ", `"case 17"`, "exit status 3", "channels     0 exec"} {
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%q isn't in\n%s", want, out.String())
		}
	}
	var j map[string]any
	testkit.Check(t, json.Unmarshal(testkit.Must(json.Marshal(s))(t), &j))
	if j["coverage"] != "partial" || j["verified"] != true || j["rewrapped"] != 1.0 || len(j["channels"].([]any)) != 2 || j["reviews"] != 2.0 {
		t.Errorf("%v", j)
	}
	// What no UTF-8 is shows as its bytes, and is there whole as JSON, escaped for terminals.
	s.Channels = []recording.Channel{{Program: "exec", Command: "rm Bj\xf8rk\u009b", PTY: true, Term: "\xe5", Env: []string{"LC_X=\xe3"}, Destination: "\xff:1",
		Modes: []byte{1, 255}, Said: []recording.Said{{As: "signal", Text: "\xfe"}, {As: "forward from", Text: "192.0.2.7"}, {As: "X11 cookie", Text: strings.Repeat("0", 32)}, {As: "forward from", Text: "\xfd"}}}}
	out.Reset()
	testkit.Check(t, s.Tell(&out))
	testkit.Check(t, plain.JSON(&out).Encode(s))
	for _, want := range []string{`0 exec "rm Bj\xf8rk\u009b" to "\xff:1", terminal "\xe5" of unknown size, 0 B out`, `environment LC_X="\xe3"`, `signal "\xfe"`, `forward from "\xfd"`,
		`"command":{"raw":"` + base64.StdEncoding.EncodeToString([]byte("rm Bj\xf8rk\u009b")) + `"}`, `"term":{"raw":"5Q=="}`, `"env":[{"raw":"TENfWD3j"}]`, `"modes":"Af8="`, `"said":[{"as":"signal","text":{"raw":"/g=="}}`} {
		if !strings.Contains(out.String(), want) || !utf8.ValidString(out.String()) || strings.ContainsAny(out.String(), "\u009b\ufffd") {
			t.Errorf("%q isn't in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "forward from \"192") || strings.Contains(out.String(), "X11 cookie \"0") {
		t.Errorf("what clients always say is told:\n%s", out.String())
	}
	s.Err, s.Channels = errors.New("one\ntwo"), nil
	out.Reset()
	if testkit.Check(t, s.Tell(&out)); !strings.Contains(out.String(), "verified     NO: one; two\n") || !strings.Contains(out.String(), "coverage     recorded\n") {
		t.Errorf("%s", out.String())
	}
	for n, want := range []string{" ended at 2026-03-02T15:00:00Z (complete)", ` ended at 2026-03-02T17:00:00Z (killed): ada ended it, "maintenance"`} {
		if said := Ending(list[n], notes); said != "session "+list[n].ID+want {
			t.Errorf("%q", said)
		}
	}
	running := recording.Info{Header: list[0].Header, State: recording.Live}
	if said := Ending(running, notes); said != "session "+list[0].ID+" goes on" {
		t.Errorf("%q", said)
	}
	if said := EndedBy(notes, list[1].ID); said != `: ada ended it, "maintenance"` || EndedBy(notes, list[0].ID) != "" {
		t.Errorf("%q", said)
	}
}

// What is said of who can open a recording is shown as it is, of a post-quantum key, too, of
// which some letters and the fingerprint are; and where its key isn't held against all of
// the log that is said twice.
func TestReadersOfLongKeys(t *testing.T) {
	t.Parallel()
	list, _ := three()
	long := testkit.Must(age.GenerateHybridIdentity())(t)
	ada := testkit.Must(auditors.Parse(strings.NewReader(long.Recipient().String())))(t)
	v := evidence.Verdict{Info: list[0], Against: evidence.KnowingLog, Sealed: evidence.Sealing{Auditors: []string{ada[0].Fingerprint()}, Unheld: []string{"records 14 to 23 aren't here"}}}
	var out strings.Builder
	testkit.Check(t, Sheet{Verdict: v, Readers: Readers(v, ada)}.Tell(&out))
	for _, want := range []string{
		"\nopen to      age1pq1" + ada[0].Text[len("age1pq1"):40] + "... (fingerprint " + ada[0].Fingerprint() + "); it may have been sealed anew since: records 14 to 23 aren't here\n",
		"\nverified     yes, against the audit log; but its key not against all of it: records 14 to 23 aren't here\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q isn't in\n%s", want, out.String())
		}
	}
	if j := testkit.Must(json.Marshal(Sheet{Verdict: v}))(t); !strings.Contains(string(j), `"key_unheld":["records 14 to 23 aren't here"]`) {
		t.Errorf("%s", j)
	}
}

// Of many refusals the first some are told, and how to see the others.
func TestRefused(t *testing.T) {
	t.Parallel()
	n := uint32(2)
	all := []audit.Event{{Type: audit.ChannelRefused, Session: "s", Time: start, Channel: &n, ChannelType: "x11\x1b", Reason: "denied", Count: 3}}
	for range maxRefused + 1 {
		all = append(all, audit.Event{Type: audit.ForwardRefused, Session: "s", Time: start, Capability: "forward-local", Destination: "db:5432", Detail: "no rule"})
	}
	got := Refused(evidence.RefusalsBy(all, "s"), "entry audit search --session s")
	want := []string{"2026-03-02T14:00:00Z a request on channel 2: denied (3 times)"}
	for range maxRefused - 1 {
		want = append(want, "2026-03-02T14:00:00Z forward-local to db:5432: no rule")
	}
	if want = append(want, "and 2 more: entry audit search --session s"); !slices.Equal(got, want) || bytes.Contains([]byte(strings.Join(got, "")), []byte{0x1b}) {
		t.Errorf("%q", got)
	}
}
