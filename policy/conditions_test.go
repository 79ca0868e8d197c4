package policy

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func ask(t testing.TB, p *Policy, r Request, target string) (Grant, *Denied) {
	t.Helper()
	r.Target, _ = p.Target(target)
	g, err := p.Decide(r)
	var no *Denied
	if err != nil && !errors.As(err, &no) {
		t.Fatalf("error %v of type %T", err, err)
	}
	return g, no
}

// Hours are read off the clock of their zone: 31 March 2024 has no 02:30 in
// Oslo, 27 October has two.
func TestWindows(t *testing.T) {
	for _, tc := range []struct{ name, when, at, end string }{
		{"inside", `{days: [mon-fri], hours: "08:00-18:00", zone: Europe/Oslo}`, "2024-03-04T07:00:00Z", "2024-03-04T17:00:00Z"},
		{"before", `{days: [mon-fri], hours: "08:00-18:00", zone: Europe/Oslo}`, "2024-03-04T06:59:59Z", ""},
		{"at its end", `{days: [mon-fri], hours: "08:00-18:00", zone: Europe/Oslo}`, "2024-03-04T17:00:00Z", ""},
		{"in summer", `{days: [mon-fri], hours: "08:00-18:00", zone: Europe/Oslo}`, "2024-07-01T06:00:00Z", "2024-07-01T16:00:00Z"},
		{"weekend", `{days: [mon-fri], hours: "08:00-18:00", zone: Europe/Oslo}`, "2024-03-03T10:00:00Z", ""},
		{"days round the week", `{days: [sat-mon], zone: UTC}`, "2024-03-03T10:00:00Z", "2024-03-05T00:00:00Z"},
		{"night before midnight", `{days: [fri], hours: "22:00-06:00", zone: UTC}`, "2024-03-01T23:00:00Z", "2024-03-02T06:00:00Z"},
		{"night after midnight", `{days: [fri], hours: "22:00-06:00", zone: UTC}`, "2024-03-02T05:59:59Z", "2024-03-02T06:00:00Z"},
		{"the night before", `{days: [fri], hours: "22:00-06:00", zone: UTC}`, "2024-03-01T05:00:00Z", ""},
		{"until midnight", `{days: [fri], hours: "22:00-24:00", zone: UTC}`, "2024-03-01T23:59:59Z", "2024-03-02T00:00:00Z"},
		{"windows that meet", `[{days: [fri], hours: "12:00-24:00", zone: UTC}, {days: [sat], hours: "00:00-06:00", zone: UTC}]`, "2024-03-01T13:00:00Z", "2024-03-02T06:00:00Z"},
		{"two stretches a day", `{hours: ["08:00-12:00", "13:00-17:00"], zone: UTC}`, "2024-03-01T12:30:00Z", ""},
		{"the hour that is skipped", `{hours: "02:00-03:00", zone: Europe/Oslo}`, "2024-03-31T01:00:00Z", ""},
		{"up to the skipped hour", `{hours: "01:00-02:30", zone: Europe/Oslo}`, "2024-03-31T00:30:00Z", "2024-03-31T01:00:00Z"},
		{"the hour that comes twice, first", `{hours: "01:00-02:30", zone: Europe/Oslo}`, "2024-10-27T00:00:00Z", "2024-10-27T00:30:00Z"},
		{"between the two", `{hours: "01:00-02:30", zone: Europe/Oslo}`, "2024-10-27T00:45:00Z", ""},
		{"the hour that comes twice, again", `{hours: "01:00-02:30", zone: Europe/Oslo}`, "2024-10-27T01:00:00Z", "2024-10-27T01:30:00Z"},
		{"a night with 25 hours in its day", `{hours: "22:00-04:00", zone: Europe/Oslo}`, "2024-10-26T21:00:00Z", "2024-10-27T03:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := parse(t, labsYAML, "rules: [{name: a, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [agent], when: "+tc.when+"}]")
			g, no := ask(t, p, Request{User: "alice", Time: at(t, tc.at)}, "home.tinker")
			switch {
			case tc.end == "" && no == nil:
				t.Fatal("granted")
			case tc.end == "":
				if want := "no rule allows alice on home.tinker (default deny); rule a (b.yaml:1) would at another time"; no.Error() != want {
					t.Errorf("%q, want %q", no.Error(), want)
				}
				return
			case no != nil:
				t.Fatal(no)
			}
			if got := g.Until(); !got.Equal(at(t, tc.end)) {
				t.Errorf("until %s, want %s", got.UTC().Format(time.RFC3339), tc.end)
			}
			if next := g.NextChange(); next.IsZero() || next.After(g.Until()) {
				t.Errorf("next change %s, until %s", next, g.Until())
			}
		})
	}
}

func TestValid(t *testing.T) {
	for _, tc := range []struct{ name, valid, at, end string }{
		{"inside", `{from: 2026-03-02, until: 2026-03-08, zone: Europe/Oslo}`, "2026-03-05T12:00:00Z", "2026-03-08T23:00:00Z"},
		{"the first moment", `{from: 2026-03-02, until: 2026-03-08, zone: Europe/Oslo}`, "2026-03-01T23:00:00Z", "2026-03-08T23:00:00Z"},
		{"before", `{from: 2026-03-02, until: 2026-03-08, zone: Europe/Oslo}`, "2026-03-01T22:59:59Z", ""},
		{"over", `{from: 2026-03-02, until: 2026-03-08, zone: Europe/Oslo}`, "2026-03-08T23:00:00Z", ""},
		{"to the minute", `{until: "2026-03-08 08:00", zone: UTC}`, "2026-03-08T07:59:00Z", "2026-03-08T08:00:00Z"},
		{"with its offset", `{until: 2026-03-08T08:00:00+02:00}`, "2026-03-08T05:59:00Z", "2026-03-08T06:00:00Z"},
		{"open", `{from: 2026-03-08T08:00:00Z}`, "2026-03-08T08:00:00Z", "never"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := parse(t, labsYAML, "rules: [{name: a, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [agent], valid: "+tc.valid+"}]")
			g, no := ask(t, p, Request{User: "alice", Time: at(t, tc.at)}, "home.tinker")
			if (no != nil) != (tc.end == "") {
				t.Fatalf("%v", no)
			}
			switch got := g.Until(); {
			case no != nil:
			case tc.end == "never":
				if !got.IsZero() {
					t.Errorf("until %s", got)
				}
			case !got.Equal(at(t, tc.end)):
				t.Errorf("until %s, want %s", got, tc.end)
			}
		})
	}
}

// Each capability goes on for as long as any rule gives it, and no longer than
// until a deny rule begins.
func TestUntilFollowsFromRuleToRule(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: monday, who: {users: [alice]}, where: {labs: [tinker]}, may: [agent, upload], valid: {until: 2026-03-02, zone: UTC}}
  - {name: tuesday, who: {users: [alice]}, where: {labs: [tinker]}, may: [agent], valid: {from: 2026-03-03, until: 2026-03-03, zone: UTC}}
  - {name: always, who: {users: [alice]}, where: {labs: [tinker]}, may: [x11]}
  - {name: thursday, who: {users: [alice]}, where: {labs: [tinker]}, may: [agent], valid: {from: 2026-03-05, zone: UTC}}
  - {name: night, deny: true, may: [x11], when: {hours: "22:00-06:00", zone: UTC}}
`)
	g, no := ask(t, p, Request{User: "alice", Time: at(t, "2026-03-02T12:00:00Z")}, "home.tinker")
	if no != nil {
		t.Fatal(no)
	}
	for _, tc := range []struct {
		what string
		got  time.Time
		want string
	}{
		{"agent, taken over once", g.UntilFor(Agent), "2026-03-04T00:00:00Z"},
		{"upload", g.UntilFor(Upload), "2026-03-03T00:00:00Z"},
		{"x11, until it is denied", g.UntilFor(X11), "2026-03-02T22:00:00Z"},
		{"all of it", g.Until(), "2026-03-04T00:00:00Z"},
		{"the next change", g.NextChange(), "2026-03-02T22:00:00Z"},
	} {
		if !tc.got.Equal(at(t, tc.want)) {
			t.Errorf("%s: %s, want %s", tc.what, tc.got.UTC(), tc.want)
		}
	}
	if !g.UntilFor(Shell).IsZero() {
		t.Error("what isn't there ends")
	}
}

func TestNoTimeMeetsNoWindow(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: a, who: {users: [alice, bob]}, where: {targets: [home.tinker]}, may: [agent]}
  - {name: w, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [upload], when: {zone: UTC, days: [mon]}}
  - {name: d, deny: true, who: {users: [bob]}, valid: {from: 2026-03-02, zone: UTC}}
`)
	if g, no := ask(t, p, Request{User: "alice"}, "home.tinker"); no != nil || g.Capabilities() != capabilitiesOf(Agent) || !g.Until().IsZero() {
		t.Errorf("%s, %v", g.Capabilities(), no)
	}
	if _, no := ask(t, p, Request{User: "bob"}, "home.tinker"); no == nil || !no.ByDeny {
		t.Errorf("a deny rule is passed by not telling the time: %v", no)
	}
	if _, no := ask(t, p, Request{User: "bob", Time: at(t, "2026-03-01T00:00:00Z")}, "home.tinker"); no != nil {
		t.Error(no)
	}
}

func TestMFA(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: code, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [agent], mfa: {methods: [otp, sk]}}
  - {name: key, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [upload], mfa: {methods: [publickey+otp]}}
  - {name: fresh, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [x11], mfa: {max_age: 1h}}
`)
	now := at(t, "2026-03-02T12:00:00Z")
	for _, tc := range []struct {
		name, method string
		age          time.Duration
		code         bool
		began        time.Time
		want         string
	}{
		{"nothing known", "", 0, false, time.Time{}, "nothing"},
		{"passphrase and code", "passphrase+otp", 0, true, time.Time{}, "agent, x11"},
		{"key and code", "publickey+otp", time.Hour, true, time.Time{}, "upload, agent, x11"},
		{"the other order", "otp+publickey", time.Hour + 1, true, time.Time{}, "upload, agent"},
		{"remembered", "publickey+remembered", 59 * time.Minute, true, time.Time{}, "x11"},
		{"part of a word", "publickey+otpx", 0, false, time.Time{}, "nothing"},
		{"no code", "publickey+otp", 0, false, time.Time{}, "upload, agent"},
		{"code of tomorrow", "", -24 * time.Hour, true, time.Time{}, "nothing"},
		{"clock put back", "", -time.Second, true, time.Time{}, "x11"},
		{"a session that goes on", "", 3 * time.Hour, true, now.Add(-2 * time.Hour), "x11"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := Request{User: "alice", Time: now, Began: tc.began, Method: tc.method}
			if tc.code {
				r.CodeAt = now.Add(-tc.age)
			}
			g, no := ask(t, p, r, "home.tinker")
			if got := g.Capabilities().String(); got != tc.want {
				t.Errorf("%s (%v), want %s", got, no, tc.want)
			}
			if no != nil && no.Error() != "no rule allows alice on home.tinker (default deny); rule code (b.yaml:3) would after a fresh login with what it asks for" {
				t.Error(no)
			}
		})
	}
}

func TestExecIsLimitedToCommands(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: sync, who: {users: [alice, bob]}, where: {targets: [home.tinker]}, may: [exec], exec: ["/usr/bin/rsync --server --sender -logDtpr . /data/", uptime]}
  - {name: any, who: {users: [bob]}, where: {targets: [home.tinker]}, may: [exec]}
  - {name: other, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [upload]}
`)
	alice, _ := ask(t, p, Request{User: "alice"}, "home.tinker")
	bob, _ := ask(t, p, Request{User: "bob"}, "home.tinker")
	for _, tc := range []struct {
		name, command string
		alice         bool
	}{
		{"listed", "uptime", true},
		{"listed with arguments", "/usr/bin/rsync --server --sender -logDtpr . /data/", true},
		{"more arguments", "uptime -s", false},
		{"white space", "uptime ", false},
		{"another", "sh", false},
		{"two", "uptime\nsh", false},
		{"nothing", "", false},
	} {
		if alice.AllowsExec(tc.command) != tc.alice || !bob.AllowsExec(tc.command) {
			t.Errorf("%s: alice %v, bob %v", tc.name, alice.AllowsExec(tc.command), bob.AllowsExec(tc.command))
		}
	}
	if got := alice.Refusal(Exec).Error(); got != "rule sync (b.yaml:3) does not list that command" {
		t.Error(got)
	}
	if (Grant{}).AllowsExec("uptime") {
		t.Error("the zero Grant runs it")
	}
}

func TestApproval(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - name: out
    who: {labs: [tinker]}
    where: {targets: [home.tinker]}
    may: [download, agent]
    approval: {approvers: [carol, dave, tinker/members], need: 2, for: 2h, wait: 10m}
    record: full
    because: results leave by four eyes
  - {name: in, who: {users: [bob]}, where: {targets: [home.tinker]}, may: [upload, agent], record: metadata, limits: {session: 1h}}
  - {name: no-agent, deny: true, who: {users: [bob]}, may: [agent]}
`)
	now := at(t, "2026-03-02T12:00:00Z")
	gives := func(user string) string { return p.Gives("out", Seat{User: user, Target: "home.tinker"}) }
	ok := func(by string, from, until time.Duration) Approval {
		return Approval{By: by, Rule: "out", At: now.Add(from), Until: now.Add(until), Gives: gives("alice")}
	}
	for _, tc := range []struct {
		name  string
		given []Approval
		until string // "" where they don't suffice
		by    string
	}{
		{"none", nil, "", "[]"},
		{"one", []Approval{ok("carol", -time.Minute, time.Hour)}, "", "[carol]"},
		{"two", []Approval{ok("carol", -time.Minute, time.Hour), ok("bob", 0, 90*time.Minute)}, "2026-03-02T13:00:00Z", "[bob carol]"},
		{"twice the same", []Approval{ok("carol", -time.Minute, time.Hour), ok("carol", 0, time.Hour)}, "", "[carol]"},
		{"oneself", []Approval{ok("carol", 0, time.Hour), ok("alice", 0, time.Hour)}, "", "[carol]"},
		{"a stranger", []Approval{ok("carol", 0, time.Hour), ok("eve", 0, time.Hour)}, "", "[carol]"},
		{"over", []Approval{ok("carol", 0, time.Hour), ok("dave", -2*time.Hour, 0)}, "", "[carol]"},
		{"to come", []Approval{ok("carol", 0, time.Hour), ok("dave", 1, time.Hour)}, "", "[carol]"},
		{"no longer than the rule says", []Approval{ok("carol", -time.Hour, 9*time.Hour), ok("dave", 0, 9*time.Hour)}, "2026-03-02T13:00:00Z", "[carol dave]"},
		{"renewed", []Approval{ok("carol", -time.Hour, time.Hour), ok("carol", 0, 2*time.Hour), ok("dave", 0, 2*time.Hour)}, "2026-03-02T14:00:00Z", "[carol dave]"},
		{"of three the best two", []Approval{ok("bob", 0, time.Minute), ok("carol", 0, time.Hour), ok("dave", 0, 2*time.Hour)}, "2026-03-02T13:00:00Z", "[bob carol dave]"},
		{"for another rule", []Approval{ok("carol", 0, time.Hour), {By: "dave", Rule: "in", At: now, Until: now.Add(time.Hour), Gives: gives("alice")}}, "", "[carol]"},
		{"for no rule", []Approval{ok("carol", 0, time.Hour), {By: "dave", At: now, Until: now.Add(time.Hour), Gives: gives("alice")}}, "", "[carol]"},
		{"without end", []Approval{ok("carol", 0, time.Hour), {By: "dave", Rule: "out", At: now, Gives: gives("alice")}}, "", "[carol]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, no := ask(t, p, Request{User: "alice", Time: now, Approvals: tc.given}, "home.tinker")
			q := g.Approval()
			if tc.until == "" {
				if no == nil || no.Approval == nil {
					t.Fatalf("%s, %v", g.Capabilities(), no)
				}
				if q = *no.Approval; no.Error() != "rule out (b.yaml:3) needs the approval of 2 of carol, dave, tinker/members" {
					t.Error(no)
				}
			} else if no != nil || !g.Until().Equal(at(t, tc.until)) {
				t.Errorf("until %s (%v), want %s", g.Until(), no, tc.until)
			}
			if q.Zero() || q.Need != 2 || q.For != 2*time.Hour || q.Wait != 10*time.Minute || q.Because == "" || q.Rule.Name != "out" {
				t.Errorf("quorum %+v", q)
			}
			if got := "[" + join(q.By) + "]"; got != tc.by {
				t.Errorf("approved by %s, want %s", got, tc.by)
			}
			if !q.Admits("bob") || q.Admits("alice") || q.Admits("eve") {
				t.Error("the wrong people may approve")
			}
		})
	}
	// What a rule gives without approval needs none; what waits changes nothing.
	g, no := ask(t, p, Request{User: "bob", Time: now}, "home.tinker")
	if no != nil || g.Capabilities() != capabilitiesOf(Upload) || g.Record() != Metadata || !g.Approval().Zero() || g.Limits().Session != time.Hour {
		t.Fatalf("%s, %v", g.Capabilities(), no)
	}
	if no := g.Refusal(Download); no.Approval == nil || no.Approval.Rule.Name != "out" {
		t.Errorf("%v tells nothing of approval", no)
	}
	if no := g.Refusal(Agent); no.Approval != nil || !no.ByDeny {
		t.Errorf("%v: an approval can't undo a deny rule", no)
	}
	// With it, the rule counts: the recording is the strictest, the limit gone.
	given := []Approval{ok("carol", 0, time.Hour), ok("dave", 0, time.Hour)}
	for i := range given {
		given[i].Gives = gives("bob")
	}
	g, _ = ask(t, p, Request{User: "bob", Time: now, Approvals: given}, "home.tinker")
	if g.Capabilities() != capabilitiesOf(Upload, Download) || g.Record() != Full || g.Limits().Session != 0 || g.Approval().Rule.Name != "out" {
		t.Errorf("%s", g.Capabilities())
	}
	if !g.Until().IsZero() || !g.UntilFor(Download).Equal(now.Add(time.Hour)) || !g.NextChange().Equal(now.Add(time.Hour)) {
		t.Errorf("until %s, download %s, next change %s", g.Until(), g.UntilFor(Download), g.NextChange())
	}
	// No time, no approval.
	if g, _ := ask(t, p, Request{User: "alice", Approvals: given}, "home.tinker"); g.Valid() {
		t.Error("an approval holds at no time")
	}
}

func join(names []string) string {
	s := ""
	for i, n := range names {
		if i > 0 {
			s += " "
		}
		s += n
	}
	return s
}

func TestRealms(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: uni, who: {realms: [uni]}, where: {targets: [home.tailor]}, may: [agent]}
  - {name: physics, who: {realms: ["uni/cn=physics,ou=groups,dc=uni"]}, where: {targets: [home.tinker]}, may: [upload]}
  - {name: local, who: {users: [alice]}, where: {labs: [tinker]}, may: [x11]}
  - {name: guests, deny: true, who: {realms: [guests, uni/guests]}, because: guests stay out}
  - {name: left, deny: true, who: {realms: ["uni/surname=left,ou=groups,dc=uni"]}, because: they left}
`)
	for _, tc := range []struct {
		name, user, realm string
		groups            []string
		target, want      string
	}{
		{"of the realm", "zoe", "uni", nil, "home.tailor", "agent"},
		{"of another", "zoe", "elsewhere", nil, "home.tailor", ""},
		{"of none known", "alice", "", nil, "home.tinker", ""},
		{"of a realm without rules", "alice", "local", nil, "home.tinker", "x11"},
		{"of its group", "alice", "uni", []string{"x", "cn=physics,ou=groups,dc=uni"}, "home.tinker", "upload, x11"},
		{"of that group elsewhere", "alice", "local", []string{"cn=physics,ou=groups,dc=uni"}, "home.tinker", "x11"},
		{"denied by realm", "alice", "guests", nil, "home.tinker", ""},
		{"of its group, as the directory writes it", "alice", "uni", []string{"CN=Physics,OU=Groups,DC=Uni"}, "home.tinker", "upload, x11"},
		{"denied by group", "alice", "uni", []string{"guests"}, "home.tinker", ""},
		{"denied by group, as the directory writes it", "alice", "uni", []string{"GUESTS"}, "home.tinker", ""},
		{"denied by group, with an invisible character", "alice", "uni", []string{"guests\u200b"}, "home.tinker", ""},
		{"of what only looks like its group", "alice", "uni", []string{"cn=physics\u200b,ou=groups,dc=uni"}, "home.tinker", "x11"},
		{"denied by a DN, with the type's other name", "alice", "uni", []string{"2.5.4.4=Left,ou=groups,dc=uni"}, "home.tinker", ""},
		{"denied by a DN, in BER", "alice", "uni", []string{"sn=#04044c454654,ou=groups,dc=uni"}, "home.tinker", ""},
		{"denied by a DN, of a type that nobody knows", "alice", "uni", []string{"x-name=LEFT,ou=groups,dc=uni"}, "home.tinker", ""},
		{"of another group, of a type that nobody knows", "alice", "uni", []string{"ipaUniqueID=1-2,cn=hbac,dc=uni", "x-name=right,ou=groups,dc=uni"}, "home.tinker", "x11"},
		{"denied by group, with a space", "alice", "uni", []string{"Guests "}, "home.tinker", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, no := ask(t, p, Request{User: tc.user, Realm: tc.realm, Groups: GroupsNamed(tc.groups...)}, tc.target)
			if got := g.Capabilities().String(); no == nil && got != tc.want || no != nil && tc.want != "" {
				t.Errorf("%s (%v), want %s", got, no, tc.want)
			}
		})
	}
	// Groups that nobody has asked for open nothing, and may be any that is denied.
	for target, realm := range map[string]string{"home.tinker": "uni", "home.tailor": "uni"} {
		if g, no := ask(t, p, Request{User: "alice", Realm: realm}, target); no == nil {
			t.Errorf("%s with unknown groups: %s", target, g.Capabilities())
		}
	}
	if g, no := ask(t, p, Request{User: "alice", Realm: "local"}, "home.tinker"); no != nil || g.Capabilities().String() != "x11" {
		t.Errorf("in a realm without groups that are denied: %s %v", g.Capabilities(), no)
	}
	if target, err := p.Resolve("zoe", "home", "uni", Groups{}); err != nil || target.FullName() != "home.tailor" {
		t.Errorf("%v, %v", target, err)
	}
	if target, err := p.Resolve("zoe", "home", "uni", GroupsNamed("cn=physics,ou=groups,dc=uni")); err == nil {
		t.Errorf("%s isn't ambiguous", target.FullName())
	}
	if target, err := p.Resolve("zoe", "home", "", Groups{}); err == nil {
		t.Errorf("%s was named to a stranger", target.FullName())
	}
	if got := p.TargetsOf("zoe", "uni", Groups{}); len(got) != 1 || got[0].FullName() != "home.tailor" {
		t.Errorf("%d targets", len(got))
	}
}

func TestLabAndByteLimits(t *testing.T) {
	p := parse(t, `
labs:
  tinker:
    members: [alice]
    egress: {user_day: 20GiB}
    retention: 365d
    targets:
      home: {address: 10.0.0.5, host_keys: "`+testKey+`"}
rules:
  - {name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [upload], limits: {session_down: 1GiB, session_up: 10, day_down: 2GiB, day_up: 5}}
  - {name: b, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [agent], limits: {session_down: 2GiB, session_up: 1, day_down: 1MiB}}
`)
	g, no := ask(t, p, Request{User: "alice", Source: netip.MustParseAddr("192.0.2.1")}, "home.tinker")
	if no != nil {
		t.Fatal(no)
	}
	if got, want := g.Limits(), (Limits{SessionDown: 2 << 30, SessionUp: 10, DayDown: 2 << 30}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if g.Egress() != 20<<30 || p.Retention("tinker") != 365*24*time.Hour || p.Retention("other") != 0 {
		t.Errorf("egress %d, retention %s", g.Egress(), p.Retention("tinker"))
	}
	if z := (Grant{}); z.Egress() != 0 || !z.Until().IsZero() || !z.NextChange().IsZero() || !z.Approval().Zero() {
		t.Error("the zero Grant has limits of its own")
	}
	if !slices.Contains(g.Capabilities().List(), Upload) {
		t.Error(g.Capabilities())
	}
}
