package policy

import (
	_ "embed"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"entry/policy/strict"
)

const testKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN"

//go:embed testdata/labs.yaml
var labsYAML string

func parse(t testing.TB, texts ...string) *Policy {
	t.Helper()
	var files []strict.File
	for i, text := range texts {
		files = append(files, strict.File{Name: string(rune('a'+i)) + ".yaml", Data: []byte(text)})
	}
	p, err := Parse(files...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func decide(t testing.TB, p *Policy, user, target, from string) (Grant, *Denied) {
	t.Helper()
	tg, ok := p.Target(target)
	if !ok {
		t.Fatalf("no target %s", target)
	}
	r := Request{User: user, Target: tg}
	if from != "" {
		r.Source = netip.MustParseAddr(from)
	}
	g, err := p.Decide(r)
	if err == nil {
		return g, nil
	}
	var no *Denied
	if !errors.As(err, &no) {
		t.Fatalf("error %v of type %T, want *Denied", err, err)
	}
	if g.Valid() {
		t.Fatal("a grant beside an error")
	}
	return g, no
}

func TestDecide(t *testing.T) {
	for _, tc := range []struct {
		name, rules        string
		user, target, from string
		want               string // capabilities, or the refusal
	}{
		{"nothing is allowed by default", "", "alice", "home.tinker", "", "no rule allows alice on home.tinker (default deny)"},
		{"shell brings download", "{name: a, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [shell]}", "alice", "home.tinker", "", "shell, download"},
		{"agent doesn't", "{name: a, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [agent]}", "alice", "home.tinker", "", "agent"},
		{"a lab is its members", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [exec]}", "alice", "home.tinker", "", "exec, download"},
		{"and not its admins", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [exec]}", "carol", "home.tinker", "", "no rule allows carol on home.tinker (default deny)"},
		{"admins are a group", "{name: a, who: {groups: [tinker/admins]}, where: {labs: [tinker]}, may: [exec]}", "carol", "home.tinker", "", "exec, download"},
		{"a group is a part of the lab", "{name: a, who: {groups: [tinker/stewards]}, where: {labs: [tinker]}, may: [exec]}", "alice", "home.tinker", "", "no rule allows alice on home.tinker (default deny)"},
		{"another lab's target", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [exec]}", "alice", "home.tailor", "", "no rule allows alice on home.tailor (default deny)"},
		{"from inside", "{name: a, who: {users: [alice]}, where: {labs: [tinker]}, from: [192.0.2.0/24], may: [exec]}", "alice", "home.tinker", "192.0.2.9", "exec, download"},
		{"from inside, mapped to IPv6", "{name: a, who: {users: [alice]}, where: {labs: [tinker]}, from: [192.0.2.0/24], may: [exec]}", "alice", "home.tinker", "::ffff:192.0.2.9", "exec, download"},
		{"from inside, with a zone", "{name: a, who: {users: [alice]}, where: {labs: [tinker]}, from: [\"fe80::/10\"], may: [exec]}", "alice", "home.tinker", "fe80::1%eth0", "exec, download"},
		{"from outside", "{name: a, who: {users: [alice]}, where: {labs: [tinker]}, from: [192.0.2.0/24], may: [exec]}", "alice", "home.tinker", "192.0.3.9", "no rule allows alice on home.tinker (default deny); rule a (b.yaml:2) would, from certain networks only"},
		{"from nowhere known", "{name: a, who: {users: [alice]}, where: {labs: [tinker]}, from: [192.0.2.0/24], may: [exec]}", "alice", "home.tinker", "", "no rule allows alice on home.tinker (default deny); rule a (b.yaml:2) would, from certain networks only"},
		{"rules add up", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [upload]}\n- {name: b, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [agent]}", "alice", "home.tinker", "", "upload, agent"},
		{"deny takes one", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [upload, agent]}\n- {name: b, deny: true, may: [agent]}", "alice", "home.tinker", "", "upload"},
		{"any command brings download", "{name: a, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [exec]}", "alice", "home.tinker", "", "exec, download"},
		{"listed commands bring none", "{name: a, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [exec], exec: [id]}", "alice", "home.tinker", "", "exec"},
		{"deny takes the implied one", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell]}\n- {name: b, deny: true, may: [download]}", "alice", "home.tinker", "", "shell"},
		{"deny takes all", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [agent]}\n- {name: b, deny: true, who: {users: [alice]}, because: gone}", "alice", "home.tinker", "", "denied by rule b (b.yaml:3): gone"},
		{"deny before allow wins too", "{name: b, deny: true, where: {labs: [tinker]}}\n- {name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [agent]}", "alice", "home.tinker", "", "denied by rule b (b.yaml:2)"},
		{"deny of the last capability", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [agent]}\n- {name: b, deny: true, may: [agent]}", "alice", "home.tinker", "", "denied by rule b (b.yaml:3)"},
		{"deny from unknown holds", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [agent]}\n- {name: b, deny: true, from: [192.0.2.0/24]}", "alice", "home.tinker", "", "denied by rule b (b.yaml:3)"},
		{"deny from elsewhere doesn't", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [agent]}\n- {name: b, deny: true, from: [192.0.2.0/24]}", "alice", "home.tinker", "198.51.100.1", "agent"},
		{"deny for a stranger names the rule", "{name: b, deny: true}", "zoe", "home.tinker", "", "denied by rule b (b.yaml:2)"},
		{"tcp needs metadata", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell, forward-local], forward_local: [\"localhost:80\"]}", "alice", "bench.tinker", "", "no rule allows alice on bench.tinker (default deny)"},
		{"tcp has the forward only", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell, forward-local], record: metadata}", "alice", "bench.tinker", "", "forward-local"},
		{"tcp denied", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [forward-local], record: metadata}\n- {name: b, deny: true, where: {labs: [tinker]}, may: [forward-local]}", "alice", "bench.tinker", "", "denied by rule b (b.yaml:3)"},
		{"a name that can't be a user's", "{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell]}", "Alice", "home.tinker", "", "no rule allows this (default deny)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rules := "rules:\n- " + tc.rules
			if tc.rules == "" {
				rules = "rules: []"
			}
			g, no := decide(t, parse(t, labsYAML, rules), tc.user, tc.target, tc.from)
			got := g.Capabilities().String()
			if no != nil {
				got = no.Error()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestGrantTellsWhy(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: files, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [upload], record: manifest, limits: {session: 8h, idle: 1h, concurrent: 2}, because: files}
  - name: steward
    who: {groups: [tinker/stewards]}
    where: {targets: [home.tinker]}
    may: [shell, x11, forward-local, forward-remote]
    forward_local: ["localhost:8888", "db.example:5432", "/run/hub.sock"]
    forward_remote: [0, 8080, "/run/back.sock"]
    record_input: true
    limits: {session: 12h, concurrent: 1}
  - {name: no-x11, deny: true, may: [x11], because: keyboards}
`)
	g, no := decide(t, p, "bob", "home.tinker", "")
	if no != nil {
		t.Fatal(no)
	}
	for _, c := range []struct{ what, got, want string }{
		{"user", g.User(), "bob"},
		{"target", g.Target().FullName(), "home.tinker"},
		{"capabilities", g.Capabilities().String(), "shell, upload, download, forward-local, forward-remote"},
		{"record", g.Record().String(), "full"},
		{"rule", g.Rule().String(), "files (b.yaml:3)"},
		{"rule for shell", g.RuleFor(Shell).String(), "steward (b.yaml:4)"},
		{"rule for upload", g.RuleFor(Upload).String(), "files (b.yaml:3)"},
		{"rule for x11", g.RuleFor(X11).String(), "default deny"},
		{"because", g.Because(), "files"},
		{"no x11", g.Refusal(X11).Error(), "x11 denied by rule no-x11 (b.yaml:12): keyboards"},
		{"no agent", g.Refusal(Agent).Error(), "rule files (b.yaml:3) does not allow agent"},
		{"no such destination", g.Refusal(ForwardLocal).Error(), "rule steward (b.yaml:4) does not list that destination"},
		{"no such port", g.Refusal(ForwardRemote).Error(), "rule steward (b.yaml:4) does not list that port"},
		{"policy", g.PolicyHash(), p.Hash()},
		{"login", g.Login("root"), "bob"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	if !g.RecordInput() {
		t.Error("input isn't recorded though one rule asks for it")
	}
	if got, want := g.Limits(), (Limits{Session: 12 * time.Hour, Concurrent: 2}); got != want {
		t.Errorf("limits %+v, want %+v: the most generous, and none where a rule has none", got, want)
	}
	for _, c := range []struct {
		what      string
		got, want bool
	}{
		{"localhost", g.AllowsForward("localhost", 8888), true},
		{"LOCALHOST.", g.AllowsForward("LOCALHOST.", 8888), true},
		{"127.0.0.1", g.AllowsForward("127.0.0.1", 8888), true},
		{"::1", g.AllowsForward("::1", 8888), true},
		{"127.0.0.2", g.AllowsForward("127.0.0.2", 8888), false},
		{"another port", g.AllowsForward("localhost", 8889), false},
		{"another host", g.AllowsForward("evil.example", 5432), false},
		{"no host", g.AllowsForward("", 8888), false},
		{"socket", g.AllowsStreamLocal("/run/hub.sock"), true},
		{"a way round to it", g.AllowsStreamLocal("/run/x/../hub.sock"), false},
		{"another socket", g.AllowsStreamLocal("/run/back.sock"), false},
		{"listen 0", g.AllowsListen(0), true},
		{"listen 8080", g.AllowsListen(8080), true},
		{"listen 8081", g.AllowsListen(8081), false},
		{"listen socket", g.AllowsStreamListen("/run/back.sock"), true},
		{"listen elsewhere", g.AllowsStreamListen("/run/hub.sock"), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", c.what, c.got)
		}
	}
	// Capabilities without their own list don't borrow another rule's.
	if a, _ := decide(t, p, "alice", "home.tinker", ""); a.AllowsForward("localhost", 8888) || a.AllowsListen(0) {
		t.Error("alice forwards by the stewards' rule")
	}
}

func TestWildcards(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: ports, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [forward-local, forward-remote], forward_local: ["*:80", "db:*", "/run/app/*"], forward_remote: ["/tmp/x/*"], record: manifest}
  - {name: all, who: {users: [bob]}, where: {targets: [home.tinker]}, may: [forward-local, forward-remote], forward_remote: ["*"], record: metadata}
`)
	alice, _ := decide(t, p, "alice", "home.tinker", "")
	bob, _ := decide(t, p, "bob", "home.tinker", "")
	for _, c := range []struct {
		what      string
		got, want bool
	}{
		{"*:80", alice.AllowsForward("anything", 80), true},
		{"*:80 at 81", alice.AllowsForward("anything", 81), false},
		{"db:*", alice.AllowsForward("db", 81), true},
		{"db:0", alice.AllowsForward("db", 0), false},
		{"below", alice.AllowsStreamLocal("/run/app/a/b"), true},
		{"itself", alice.AllowsStreamLocal("/run/app"), false},
		{"beside", alice.AllowsStreamLocal("/run/apple"), false},
		{"out of it", alice.AllowsStreamLocal("/run/app/../x"), false},
		{"not absolute", alice.AllowsStreamLocal("run/app/x"), false},
		{"listen below", alice.AllowsStreamListen("/tmp/x/y"), true},
		{"listen on a port", alice.AllowsListen(1), false},
		{"no list is any", bob.AllowsForward("anything", 1), true},
		{"any socket", bob.AllowsStreamLocal("/run/x"), true},
		{"any listen", bob.AllowsListen(4711), true},
		{"any listen socket", bob.AllowsStreamListen("/run/x"), true},
		{"no port", bob.AllowsForward("x", 65536), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", c.what, c.got)
		}
	}
}

func TestZeroGrantPermitsNothing(t *testing.T) {
	var g Grant
	if g.Valid() || g.User() != "" || g.Target() != nil || g.Capabilities() != 0 || g.Allows(Shell) || g.Login("root") != "" ||
		g.AllowsForward("localhost", 80) || g.AllowsListen(0) || g.AllowsStreamLocal("/x") || g.AllowsStreamListen("/x") ||
		g.Record() != Full || g.RecordInput() || g.Rule() != (RuleRef{}) || g.RuleFor(Shell) != (RuleRef{}) ||
		g.PolicyHash() != "" || g.Because() != "" || g.Limits() != (Limits{}) {
		t.Error("the zero Grant gives something away")
	}
	if no := g.Refusal(Shell); no == nil || no.Capability != Shell {
		t.Errorf("refusal %v", no)
	}
}

// A session keeps its Target across a reload: the new policy's decides.
func TestDecideFindsTheTargetByName(t *testing.T) {
	rules := "rules: [{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell]}]"
	old := parse(t, labsYAML, rules)
	now := parse(t, strings.Replace(labsYAML, "10.0.0.5", "10.0.0.55", 1), rules)
	target, _ := old.Target("home.tinker")
	g, err := now.Decide(Request{User: "alice", Target: target})
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Target().Addresses[0]; got != "10.0.0.55:22" {
		t.Errorf("address %s", got)
	}
	if _, err := now.Decide(Request{User: "alice", Target: &Target{Name: "home", Lab: "gone"}}); err == nil {
		t.Error("a target that the policy doesn't have was granted")
	}
	if _, err := now.Decide(Request{User: "alice"}); err == nil {
		t.Error("no target was granted")
	}
}

func TestLogin(t *testing.T) {
	p := parse(t, labsYAML)
	for _, tc := range []struct{ target, user, asked, want string }{
		{"home.tinker", "alice", "", "alice"},
		{"home.tinker", "alice", "analysis", "analysis"},
		{"home.tinker", "alice", "root", "alice"},
		{"home.tinker", "bob", "alice", "bob"},
		{"home.tailor", "bob", "bob", "lab-bob"},
	} {
		target, _ := p.Target(tc.target)
		if got := target.Login(tc.user, tc.asked); got != tc.want {
			t.Errorf("%s as %s asking %q: %q, want %q", tc.target, tc.user, tc.asked, got, tc.want)
		}
	}
}
