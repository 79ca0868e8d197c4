// Package world has a small world of users, labs and targets, draws policies for
// it and gives all requests that can be made in it, for tests of what has to hold
// of every policy.
package world

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"entry/policy"
	"entry/policy/strict"
)

// Key is a public key for hosts.
const Key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN"

// Labs are the world's labs, as YAML.
const Labs = `
labs:
  one:
    members: [ann, ben]
    groups: {stewards: [ben]}
    targets:
      home: {address: 10.0.0.1, host_keys: "` + Key + `"}
      tool: {kind: tcp, address: "10.0.0.2:80"}
  two:
    members: [ben, cid]
    targets:
      home: {address: 10.0.0.3, host_keys: "` + Key + `"}
`

// Rule draws a rule of that name, with whatever condition there is, as YAML.
func Rule(t *rapid.T, name string) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	some := func(label string, of ...string) string {
		return "[" + strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, 2, rapid.ID[string]).Draw(t, label), ", ") + "]"
	}
	deny := rapid.IntRange(0, 3).Draw(t, "deny") == 0
	who := pick("who", "users: "+some("users", "ann", "ben", "cid"), "labs: "+some("labs", "one", "two"), "groups: [one/stewards]", "realms: "+some("realms", "uni", "uni/staff"))
	where := pick("where", "targets: "+some("targets", "home.one", "home.two"), "labs: "+some("whereLabs", "one", "two"))
	s := fmt.Sprintf("  - {name: %s, who: {%s}, where: {%s}", name, who, where)
	s += pick("from", "", "", ", from: [192.0.2.0/24]", ", from: [192.0.0.0/16, 203.0.113.0/24]")
	s += pick("when", "", "", `, when: {days: [mon-fri], hours: "08:00-18:00", zone: UTC}`, `, when: [{hours: "06:00-20:00", zone: UTC}]`, `, when: {days: [mon, tue], hours: "22:00-06:00", zone: Europe/Oslo}`)
	s += pick("valid", "", "", ", valid: {until: 2026-03-03, zone: UTC}", ", valid: {from: 2026-03-03, zone: UTC}", ", valid: {from: 2026-03-02, until: 2026-03-04, zone: UTC}")
	if deny {
		return s + ", deny: true" + pick("deny may", "", ", may: [agent]", ", may: [exec, download]") + "}\n"
	}
	s += pick("mfa", "", "", ", mfa: {methods: [otp]}", ", mfa: {methods: [publickey+otp], max_age: 1h}", ", mfa: {max_age: 2h}")
	s += pick("approval", "", "", "", ", approval: {approvers: [cid, dot], for: 4h}", ", approval: {approvers: [cid, dot], for: 4h, uses: 1}", ", approval: {approvers: [ann, ben, cid], need: 2, for: 90m}")
	s += pick("may", ", may: [agent]", ", may: [upload, agent]", ", may: [exec]", `, may: [exec], exec: [id]`, `, may: [exec], exec: [id, uptime]`,
		`, may: [forward-local], forward_local: ["db:1"]`, `, may: [forward-local, agent], forward_local: ["db:1", "db:2"]`)
	s += pick("record", "", ", record: manifest", ", record: metadata", ", record: full, record_input: true", ", record: full, record_complete: true", ", bulk: {keep: 1MiB, then: end}", ", bulk: {then: keep}")
	if strings.Contains(s, "may: [exec]") || strings.Contains(s, "may: [upload") {
		s += pick("env", "", "", ", env: [LANG]", ", env: [LANG, LC_*, TERM, COLORTERM, GIT_PROTOCOL, MY_*]")
	}
	s += pick("limits", "", ", limits: {session: 1h, day_down: 1MiB}", ", limits: {session: 2h, concurrent: 1}", ", limits: {session: 2h, connections: 2}")
	return s + "}\n"
}

// Rules draws up to most rules, named r0, r1, …
func Rules(t *rapid.T, most int) []string {
	var out []string
	for i := range rapid.IntRange(0, most).Draw(t, "rules") {
		out = append(out, Rule(t, fmt.Sprintf("r%d", i)))
	}
	return out
}

// Policy is the labs and the rules.
func Policy(t *rapid.T, rules []string) *policy.Policy {
	text := Labs
	if len(rules) > 0 {
		text += "rules:\n" + strings.Join(rules, "")
	}
	p, err := policy.Parse(strict.File{Name: "l.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Requests are all requests of the world, without and with approvals by
// whatever rule of the policies asks; the first one's targets are asked for.
func Requests(ps ...*policy.Policy) map[string]policy.Request {
	p := ps[0]
	names := map[string]bool{}
	for _, p := range ps {
		for _, rule := range p.Rules() {
			names[rule.Ref().Name] = true
		}
	}
	out := map[string]policy.Request{}
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // a Monday
	for _, user := range []string{"ann", "ben", "eve"} {
		for _, target := range []string{"home.one", "home.two"} {
			for _, source := range []string{"192.0.2.1", "192.0.3.1", "198.51.100.1", ""} {
				for _, hour := range []int{-100, 7, 12, 23, 28, 60} {
					for login := range 4 {
						r := policy.Request{User: user, Realm: "local", Time: day.Add(time.Duration(hour) * time.Hour)}
						r.Target, _ = p.Target(target)
						if source != "" {
							r.Source = netip.MustParseAddr(source)
						}
						switch login {
						case 1:
							r.Realm, r.Method, r.CodeAt = "uni", "passphrase+otp", r.Time.Add(-90*time.Minute)
						case 2:
							r.Realm, r.Groups, r.Method, r.CodeAt = "uni", policy.GroupsNamed("staff"), "publickey+otp", r.Time
						case 3:
							r.Realm, r.Method, r.CodeAt = "", "publickey+remembered", r.Time.Add(-time.Minute)
						}
						out[fmt.Sprint(user, target, source, hour, login)] = r
						for _, name := range slices.Sorted(maps.Keys(names)) {
							for i, by := range []string{"ann", "ben", "cid"} {
								for _, p := range ps {
									a := policy.Approval{By: by, Rule: name, At: r.Time.Add(-time.Hour), Until: r.Time.Add(time.Duration(i+1) * time.Hour)}
									if a.Gives = p.Gives(name, policy.Seat{User: user, Target: target}); !slices.Contains(r.Approvals, a) {
										r.Approvals = append(r.Approvals, a)
									}
								}
							}
						}
						out[fmt.Sprint(user, target, source, hour, login, "approved")] = r
					}
				}
			}
		}
	}
	return out
}

// Decided is all that a decision says but for names and places of rules.
func Decided(p *policy.Policy, r policy.Request) string {
	r.Target, _ = p.Target(r.Target.FullName())
	g, err := p.Decide(r)
	var no *policy.Denied
	waits := errors.As(err, &no) && no.Approval != nil
	if err != nil {
		return fmt.Sprint("denied ", waits)
	}
	return fmt.Sprint(g.Capabilities(), g.Record(), g.RecordInput(), g.RecordComplete(), g.Bulk(), g.Limits(), g.AllowsExec("id"), g.AllowsExec("uptime"), g.AllowsExec("sh"),
		g.AllowsForward("db", 1), g.AllowsForward("db", 2), g.Env(), g.Approval().Uses)
}
