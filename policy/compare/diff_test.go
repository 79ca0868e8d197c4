package compare

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit/world"
	"entry/policy"
	"entry/policy/strict"
)

// labsYAML are the labs that package policy's tests have too.
var labsYAML = func() string {
	text, err := os.ReadFile("../testdata/labs.yaml")
	if err != nil {
		panic(err)
	}
	return string(text)
}()

func parse(t testing.TB, texts ...string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(strict.File{Name: "p.yaml", Data: []byte(strings.Join(texts, "\n"))})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDiffInPeoplesTerms(t *testing.T) {
	const rule = "{name: a, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [exec, agent], limits: {idle: 1h}}"
	for _, tc := range []struct{ name, old, now, want string }{
		{"nothing", rule, rule, ""},
		{"another name and reason", rule, strings.Replace(rule, "name: a", "name: b, because: new", 1), ""},
		{"a rule that adds nothing", rule, rule + "\n- {name: b, who: {users: [bob]}, where: {targets: [home.tinker]}, from: [192.0.2.0/24], may: [agent], limits: {idle: 1h}}", ""},
		{"gone", rule, "{name: a, deny: true}", "alice, bob lose exec on home.tinker\nalice, bob lose download on home.tinker\nalice, bob lose agent on home.tinker"},
		{"denied to one", rule, rule + "\n- {name: d, deny: true, who: {users: [bob]}, may: [agent]}", "bob loses agent on home.tinker"},
		{"denied at times", rule, rule + "\n- {name: d, deny: true, may: [agent], when: {days: [sat, sun], zone: UTC}}",
			"alice, bob: agent on home.tinker narrows: always, but not sat, sun UTC, was always"},
		{"from fewer places", rule, strings.Replace(rule, "limits", "from: [192.0.2.0/24], limits", 1),
			"alice, bob: exec on home.tinker narrows: from 192.0.2.0/24, was always\nalice, bob: download on home.tinker narrows: from 192.0.2.0/24, was always\n" +
				"alice, bob: agent on home.tinker narrows: from 192.0.2.0/24, was always"},
		{"commands", rule, strings.Replace(rule, "limits", "exec: [uptime, id], limits", 1), "alice, bob lose download on home.tinker\nalice, bob: exec on home.tinker reaches \"id\" or \"uptime\", was any command"},
		{"complete recording", rule, strings.Replace(rule, "limits", "record: full, record_complete: true, limits", 1), "alice, bob: recording on home.tinker: full, complete, was full"},
		{"recording", rule, strings.Replace(rule, "limits", "record: manifest, limits", 1), "alice, bob: recording on home.tinker: manifest, was full"},
		{"limits", rule, strings.Replace(rule, "idle: 1h", "session: 8h, day_down: 1GiB", 1), "alice, bob: limits on home.tinker: session 8h, day_down 1GiB, was idle 1h"},
		{"a realm", rule, rule + "\n- {name: r, who: {realms: [uni]}, where: {targets: [home.tailor]}, may: [x11]}", "realm uni gains x11 on home.tailor"},
		{"a realm, one of whom moves files otherwise", "{name: r, who: {realms: [uni]}, where: {targets: [home.tailor]}, may: [upload]}\n- {name: c, who: {users: [carol]}, where: {targets: [home.tailor]}, may: [exec]}",
			"{name: c, who: {users: [carol]}, where: {targets: [home.tailor]}, may: [exec]}", "realm uni loses upload on home.tailor; not enforced where a shell or exec is left, which moves data too"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, c := range Diff(parse(t, labsYAML, "rules:\n- "+tc.old), parse(t, labsYAML, "rules:\n- "+tc.now)) {
				got = append(got, c.String())
			}
			if s := strings.Join(got, "\n"); s != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", s, tc.want)
			}
		})
	}
}

func TestChangesNameFewPeople(t *testing.T) {
	users, targets := []string{"a", "b", "c", "d", "e"}, []string{"h.1", "h.2", "h.3", "h.4", "h.5", "h.6"}
	for _, tc := range []struct {
		users, targets int
		want           string
	}{
		{0, 1, "everybody else gain agent on h.1"},
		{1, 5, "a gains agent on h.1, h.2, h.3, h.4, h.5"},
		{3, 6, "a, b, c gain agent on h.1, h.2, h.3, h.4, h.5 and 1 more"},
		{4, 1, "a, b, c, d gain agent on h.1"},
		{5, 1, "a, b, c and 2 more gain agent on h.1"},
	} {
		c := Change{Aspect: Gains, Users: users[:tc.users], Targets: targets[:tc.targets], Capability: policy.Agent, New: always}
		if got := c.String(); got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
}

func TestDiffOfLabsAndTargets(t *testing.T) {
	now := strings.NewReplacer("members: [alice, bob]", "members: [alice, bob, eve]\n    egress: {user_day: 1GiB}", "10.0.0.5", "10.0.0.55",
		"alice: [alice, analysis]", "alice: [root]", `default_login: "lab-{user}"`, "default_login: guest", "    targets:\n      home: {address: 10.1", "    targets:\n      new: {kind: tcp, address: \"10.1.0.9:80\"}\n      home: {address: 10.1").Replace(labsYAML)
	rules := "rules: [{name: a, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [agent]}]"
	var got []string
	for _, c := range Diff(parse(t, labsYAML, rules), parse(t, now, rules)) {
		got = append(got, c.String())
	}
	want := []string{
		"everybody else: logins on home.tailor: guest, was lab-{user}",
		"home.tinker: ssh at 10.0.0.55:22; host keys " + world.Key + "; certificate, was ssh at 10.0.0.5:22; host keys " + world.Key + "; certificate",
		"alice: logins on home.tinker: root, was alice, analysis",
		"eve gains agent on home.tinker",
		"new.tailor: tcp at 10.1.0.9:80; ports 80, was nothing",
		"lab tinker: egress of 1GiB a user and day, was nothing",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhoCan(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: members, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [agent], mfa: {methods: [publickey+otp], max_age: 1h}}
  - {name: admin, who: {users: [carol]}, where: {targets: [home.tinker]}, may: [agent], approval: {approvers: [alice], for: 1h}}
  - {name: uni, who: {realms: [uni]}, where: {targets: [home.tinker]}, may: [agent], from: [192.0.2.0/24]}
  - {name: uni-dave, who: {users: [dave]}, where: {targets: [home.tinker]}, may: [agent], valid: {until: 2026-03-02, zone: UTC}}
  - {name: guests, deny: true, who: {realms: [uni/guests]}}
  - {name: bob, deny: true, who: {users: [bob]}, may: [agent]}
`)
	target, _ := p.Target("home.tinker")
	who := func(when, from string) string {
		var out []string
		source := netip.MustParseAddr(from)
		at, err := time.Parse(time.RFC3339, when)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range WhoCan(p, target, policy.Agent, at, source) {
			s := h.User + " " + h.Realm + " " + h.Rule.Name
			if h.Approval != nil {
				s += " approved by " + h.Approval.String()
			}
			if !h.Until.IsZero() {
				s += " until " + h.Until.Format(time.DateOnly)
			}
			out = append(out, s)
		}
		return strings.Join(out, "; ")
	}
	if got, want := who("2026-03-02T12:00:00Z", "192.0.2.1"), "alice  members; carol  admin approved by alice; dave  uni-dave until 2026-03-03;  uni uni"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := who("2026-03-03T12:00:00Z", "198.51.100.1"), "alice  members; carol  admin approved by alice"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
