package policy

import (
	"errors"
	"strings"
	"testing"

	"entry/audit/plain"
	"entry/e2e/testkit"
	"entry/policy/strict"
)

// Whatever stands in a file, reading it ends, in a policy that decides or in
// problems that point into the file and can be printed.
func FuzzParse(f *testing.F) {
	testkit.Seeds(f, "testdata/*.bad.yaml", "../configs/policy.d/*.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(strict.File{Name: "f.yaml", Data: data})
		if err != nil {
			var problems strict.Problems
			if !errors.As(err, &problems) || len(problems.Fatal()) == 0 || p != nil {
				t.Fatalf("error %v of type %T", err, err)
			}
			lines := strings.Count(string(data), "\n") + 1
			for _, q := range problems {
				if q.Line < 0 || q.Line > lines || q.Line > 0 && q.Col < 1 || q.Code == "" || q.Message == "" {
					t.Fatalf("problem %+v in a file of %d lines", q, lines)
				}
			}
			if strings.ContainsFunc(strings.ReplaceAll(err.Error(), "\n", ""), func(r rune) bool { return r != '\ufffd' && !plain.Visible(r) }) {
				t.Fatalf("unprintable: %q", err.Error())
			}
			return
		}
		for user := range p.users {
			for _, target := range p.Targets() {
				g, err := p.Decide(Request{User: user, Target: target})
				if (err == nil) != (g.Capabilities() != 0) {
					t.Fatalf("%s on %s: %s, %v", user, target.FullName(), g.Capabilities(), err)
				}
				if g.Record() == Full && g.Valid() && g.AllowsForward("not-listed.example", 4711) {
					for _, r := range g.d.allow {
						for _, d := range r.local {
							if d.host == "not-listed.example" {
								return
							}
						}
					}
					t.Fatal("an unlisted forward under a full recording")
				}
			}
		}
	})
}

// Names come from clients.
func FuzzResolve(f *testing.F) {
	for _, s := range []string{"home", "HOME.tinker.", "10.0.0.5", "[::1]", "\x1b[2J", "home\x00", "tin\u212aer", "..", ""} {
		f.Add("alice", s)
	}
	p := parse(f, labsYAML, resolveRules)
	f.Fuzz(func(t *testing.T, user, name string) {
		target, err := p.Resolve(user, name, "", Groups{})
		if (err == nil) != (target != nil) {
			t.Fatalf("%v, %v", target, err)
		}
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("unprintable: %q", err.Error())
		}
	})
}
