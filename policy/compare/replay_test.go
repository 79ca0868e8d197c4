package compare

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit/world"
	"entry/policy"
	"entry/policy/strict"
)

// yield gives the events, with an error before each that is damaged.
func yield(events ...audit.Event) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		for _, e := range events {
			var err error
			if e.Type == "" {
				err = &audit.BadRecord{Line: 1, Why: "is not an event"}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func TestReplay(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: home, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell], mfa: {methods: [otp], max_age: 1h}}
  - {name: guests, who: {users: [dan, eve]}, where: {labs: [tinker]}, may: [agent], approval: {approvers: [carol], for: 2h}}
  - {name: inside, who: {users: [frank]}, where: {labs: [tinker]}, from: [192.0.2.0/24], may: [agent]}
  - {name: uni, who: {realms: [uni]}, where: {targets: [home.tailor]}, may: [agent, upload]}
`)
	day := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	// at gives e its time, minutes after nine, and what most events have.
	at := func(minutes int, e audit.Event) audit.Event {
		e.Time = day.Add(time.Duration(minutes) * time.Minute)
		if e.Target == "" && e.Type != audit.LoginSucceeded {
			e.Target = "home.tinker"
		}
		return e
	}
	login := func(minutes int, user, conn, method string) audit.Event {
		return at(minutes, audit.Event{Type: audit.LoginSucceeded, User: user, Conn: conn, Method: method})
	}
	session := func(minutes int, user, conn, had string) audit.Event {
		return at(minutes, audit.Event{Type: audit.SessionStarted, User: user, Conn: conn, Capability: had, Source: "192.0.2.7:50122"})
	}
	approval := func(minutes int, user string, until int) audit.Event {
		end := day.Add(time.Duration(until) * time.Minute)
		return at(minutes, audit.Event{Type: audit.ApprovalGiven, User: user, Approver: "carol", Rule: "guests (x.yaml:1)", Until: &end})
	}
	refusal := func(minutes int, user, target, reason, capability string) audit.Event {
		return at(minutes, audit.Event{Type: audit.AccessRefused, User: user, Target: target, Reason: reason, Capability: capability, Source: "192.0.2.7:1"})
	}
	const shell = "shell, download"
	for _, tc := range []struct {
		name    string
		options ReplayOptions
		events  []audit.Event
		want    string // accesses and damaged lines; then what is different, and how often
	}{
		{"nothing", ReplayOptions{}, nil, "0 0"},
		{"as it was", ReplayOptions{}, []audit.Event{login(0, "alice", "1", "publickey+otp"), session(1, "alice", "1", shell)}, "1 0"},
		{"a login that the log hasn't", ReplayOptions{}, []audit.Event{session(1, "alice", "9", shell)}, "1 0"},
		{"alike is counted together", ReplayOptions{}, []audit.Event{session(1, "alice", "1", "exec, "+shell), session(2, "bob", "2", "exec, "+shell), session(3, "bob", "2", "exec, "+shell)},
			"3 0; 2 × bob on home.tinker would be without exec: rule home (p.yaml:18); 1 × alice on home.tinker would be without exec: rule home (p.yaml:18)"},
		{"more than it was", ReplayOptions{}, []audit.Event{session(1, "alice", "1", "download")}, "1 0; 1 × alice on home.tinker would also have shell: rule home (p.yaml:18)"},
		{"an event of an older form", ReplayOptions{}, []audit.Event{session(1, "alice", "1", "")}, "1 0"},
		{"a code that is too old", ReplayOptions{}, []audit.Event{login(0, "alice", "1", "publickey+otp"), session(61, "alice", "1", shell)},
			"1 0; 1 × alice on home.tinker would be refused: no rule allows alice on home.tinker (default deny); rule home (p.yaml:18) would after a fresh login with what it asks for"},
		{"another factor", ReplayOptions{}, []audit.Event{login(0, "alice", "1", "publickey+otp"), login(1, "alice", "2", "publickey+remembered"), session(2, "alice", "2", shell)},
			"1 0; 1 × alice on home.tinker would be refused: no rule allows alice on home.tinker (default deny); rule home (p.yaml:18) would after a fresh login with what it asks for"},
		{"approved", ReplayOptions{}, []audit.Event{approval(0, "dan", 60), session(59, "dan", "1", "agent")}, "1 0"},
		{"approved before", ReplayOptions{}, []audit.Event{approval(0, "dan", 60), session(60, "dan", "1", "agent")},
			"1 0; 1 × dan on home.tinker would wait for approval: rule guests (p.yaml:19) needs the approval of carol"},
		{"approved for somebody else", ReplayOptions{}, []audit.Event{approval(0, "dan", 60), session(1, "eve", "1", "agent")},
			"1 0; 1 × eve on home.tinker would wait for approval: rule guests (p.yaml:19) needs the approval of carol"},
		{"from a network", ReplayOptions{}, []audit.Event{session(1, "frank", "1", "agent")}, "1 0"},
		{"a target that is gone", ReplayOptions{}, []audit.Event{at(0, audit.Event{Type: audit.SessionStarted, User: "bob", Target: "go\u202ene"})},
			"1 0; 1 × bob on go\u202ene would be refused: the policy has no target \"go\\u202ene\""},
		{"a refusal that stays", ReplayOptions{}, []audit.Event{refusal(0, "carol", "home.tinker", "denied", "")}, "1 0"},
		{"a refusal that falls", ReplayOptions{}, []audit.Event{refusal(0, "alice", "home.tinker", "denied", "")}, "1 0; 1 × alice on home.tinker would be allowed: rule home (p.yaml:18)"},
		{"a refused capability", ReplayOptions{}, []audit.Event{refusal(0, "alice", "home.tinker", "denied", "shell"), refusal(0, "alice", "home.tinker", "denied", "x11")},
			"2 0; 1 × alice on home.tinker would be allowed: rule home (p.yaml:18)"},
		{"other refusals", ReplayOptions{}, []audit.Event{refusal(0, "alice", "home.tinker", "concurrent", ""), at(0, audit.Event{Type: audit.AccessRefused, User: "alice", Reason: "unknown target"})}, "0 0"},
		{"a realm", ReplayOptions{Realm: "uni"}, []audit.Event{refusal(0, "gus", "home.tailor", "denied", "")}, "1 0; 1 × gus on home.tailor would be allowed: rule uni (p.yaml:21)"},
		{"within a time", ReplayOptions{From: day.Add(10 * time.Minute), Until: day.Add(20 * time.Minute)},
			[]audit.Event{approval(0, "dan", 60), session(9, "zoe", "1", shell), session(10, "dan", "1", "agent"), session(19, "zoe", "1", shell), session(20, "zoe", "1", shell)},
			"2 0; 1 × zoe on home.tinker would be refused: no rule allows zoe on home.tinker (default deny)"},
		{"damaged lines", ReplayOptions{}, []audit.Event{{}, session(1, "alice", "1", shell), {}}, "1 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := Replay(p, tc.options, yield(tc.events...))
			if err != nil {
				t.Fatal(err)
			}
			got := []string{fmt.Sprint(r.Accesses, r.Damaged)}
			different := 0
			for _, d := range r.Differences {
				got = append(got, fmt.Sprintf("%d × %s on %s %s: %s", d.Count, d.User, d.Target, d.What, d.Why))
				different += d.Count
				if d.First.IsZero() || d.Last.Before(d.First) || (d.Count == 1) != d.First.Equal(d.Last) {
					t.Errorf("first %s, last %s of %d", d.First, d.Last, d.Count)
				}
			}
			if s := strings.Join(got, "; "); s != tc.want {
				t.Errorf("got  %s\nwant %s", s, tc.want)
			}
			if different != r.Different {
				t.Errorf("%d different, %d listed", r.Different, different)
			}
		})
	}
}

// Types that Replay doesn't ask for change nothing, and an error ends it.
func TestReplayTakesWhatItNeeds(t *testing.T) {
	p := parse(t, labsYAML)
	for e := range slices.Values([]audit.Type{audit.LoginFailed, audit.SessionEnded, audit.PolicyLoaded}) {
		if slices.Contains(ReplayTypes, e) {
			t.Errorf("%s is asked for", e)
		}
		if r, err := Replay(p, ReplayOptions{}, yield(audit.Event{Type: e, User: "alice", Target: "home.tinker", Reason: "denied"})); err != nil || r.Accesses != 0 {
			t.Errorf("%s: %+v, %v", e, r, err)
		}
	}
	gone := errors.New("the disk is gone")
	_, err := Replay(p, ReplayOptions{}, func(yield func(audit.Event, error) bool) { yield(audit.Event{}, gone) })
	if !errors.Is(err, gone) {
		t.Error(err)
	}
}

// A million events are to take less than 10 s; the policy is a site's of 100
// labs.
func BenchmarkReplay(b *testing.B) {
	const n = 1_000_000
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var text []byte
	for i := range n {
		e := audit.Event{Seq: uint64(i + 1), Time: at.Add(time.Duration(i) * time.Second), Type: audit.SessionStarted, Conn: fmt.Sprintf("01JCONN%08d", i), Session: fmt.Sprintf("01JSESS%08d", i),
			User: fmt.Sprintf("u%d", i%5000), Source: "192.0.2.7:50122", Lab: "tinker", Target: fmt.Sprintf("home.lab%d", i%5000/50), Login: "alice",
			Policy: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", Rule: "home (tinker.yaml:12)", Capability: "shell, upload, download", Detail: "record: full"}
		if i%5 == 0 {
			e.Type, e.Method = audit.LoginSucceeded, "passphrase+otp"
		}
		if text = append(e.AppendJSON(text), '\n'); len(text) > 1<<20 || i == n-1 {
			if _, err := f.Write(text); err != nil {
				b.Fatal(err)
			}
			text = text[:0]
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	var labs, rules strings.Builder
	for l := range 100 {
		fmt.Fprintf(&labs, "  lab%d:\n    members: [", l)
		for u := range 50 {
			fmt.Fprintf(&labs, "u%d, ", l*50+u)
		}
		fmt.Fprintf(&labs, "]\n    targets:\n      home: {address: 10.0.%d.1, host_keys: %q}\n", l, world.Key)
		fmt.Fprintf(&rules, "  - {name: r%d, who: {labs: [lab%d]}, where: {labs: [lab%d]}, may: [shell], when: {days: [mon-fri], zone: Europe/Oslo}}\n", l, l, l)
	}
	p, err := policy.Parse(strict.File{Name: "p.yaml", Data: []byte("labs:\n" + labs.String() + "rules:\n" + rules.String())})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := Replay(p, ReplayOptions{From: at}, audit.Scan(dir, ReplayTypes...))
		if err != nil || r.Damaged != 0 || r.Accesses != n*4/5 || r.Different == 0 {
			b.Fatal(err, r.Damaged, r.Accesses, r.Different)
		}
	}
}
