package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const resolveRules = `
rules:
  - {name: tinker, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell]}
  - {name: bench, who: {labs: [tinker]}, where: {targets: [bench.tinker]}, may: [forward-local], record: metadata}
  - {name: helper, who: {users: [erin]}, where: {targets: [home.tailor]}, may: [shell]}
  - {name: all-homes, who: {users: [frank]}, where: {targets: [home.tailor, home.tinker]}, may: [shell]}
`

func TestResolve(t *testing.T) {
	p := parse(t, strings.Replace(labsYAML, "default_lab: {bob: tailor}", "", 1), resolveRules)
	both := strings.Replace(resolveRules, "rules:\n", "rules:\n  - {name: tailor, who: {users: [bob]}, where: {targets: [home.tailor]}, may: [shell]}\n", 1)
	onlyTinker := p
	p = parse(t, strings.Replace(labsYAML, "default_lab: {bob: tailor}", "", 1), both)
	byDefault := parse(t, labsYAML, both)
	for _, tc := range []struct {
		name, user, asked string
		policy            *Policy
		want              string // the full name, or the error
	}{
		{"bare name", "alice", "home", p, "home.tinker"},
		{"full name", "alice", "home.tinker", p, "home.tinker"},
		{"folded", "alice", "HOME.Tinker", p, "home.tinker"},
		{"one trailing dot", "alice", "home.", p, "home.tinker"},
		{"two trailing dots", "alice", "home..", p, `no target "home.."; yours: bench.tinker, home.tinker`},
		{"kind tcp", "alice", "bench", p, "bench.tinker"},
		{"admins see the lab", "carol", "home", p, "home.tinker"},
		{"in two labs", "bob", "home", p, `"home" is ambiguous; ask for home.tailor, home.tinker`},
		{"in two labs, of which one opens", "bob", "home", onlyTinker, "home.tinker"},
		{"in two labs, the other one in full", "bob", "home.tailor", onlyTinker, "home.tailor"},
		{"in two labs, in full", "bob", "home.tinker", p, "home.tinker"},
		{"in two labs, one the default", "bob", "home", byDefault, "home.tailor"},
		{"elsewhere by a rule", "erin", "home", p, "home.tailor"},
		{"elsewhere by a rule, in full", "erin", "home.tailor", p, "home.tailor"},
		{"elsewhere without one", "erin", "home.tinker", p, `no target "home.tinker"; yours: home.tailor`},
		{"elsewhere twice", "frank", "home", p, `"home" is ambiguous; ask for home.tailor, home.tinker`},
		{"another lab's exists", "alice", "home.tailor", p, `no target "home.tailor"; yours: bench.tinker, home.tinker`},
		{"another lab's doesn't", "alice", "home.taylor", p, `no target "home.taylor"; yours: bench.tinker, home.tinker`},
		{"the server", "alice", "entry", p, `no target "entry"; yours: bench.tinker, home.tinker`},
		{"a slip", "alice", "hoem", p, `no target "hoem"; did you mean home? Yours: bench.tinker, home.tinker`},
		{"a slip in full", "alice", "home.tinkr", p, `no target "home.tinkr"; did you mean home.tinker? Yours: bench.tinker, home.tinker`},
		{"a slip of a stranger", "zoe", "hoem", p, `no target "hoem"`},
		{"stranger", "zoe", "home", p, `no target "home"`},
		{"stranger in full", "zoe", "home.tinker", p, `no target "home.tinker"`},
		{"address of a granted target", "alice", "10.0.0.5", p, `"10.0.0.5" is an address; ask for a target by its name; yours: home.tinker`},
		{"address, bracketed and mapped", "alice", "[::ffff:10.0.0.5]", p, `"[::ffff:10.0.0.5]" is an address; ask for a target by its name; yours: home.tinker`},
		{"address of another's target", "alice", "10.1.0.5", p, `"10.1.0.5" is an address; ask for a target by its name`},
		{"address of none", "alice", "::1", p, `"::1" is an address; ask for a target by its name`},
		{"empty", "alice", "", p, `no target ""; yours: bench.tinker, home.tinker`},
		{"just a dot", "alice", ".", p, `no target "."; yours: bench.tinker, home.tinker`},
		{"not ASCII", "zoe", "hömé", p, `no target "h\u00f6m\u00e9"`},
		{"kelvin sign", "zoe", "tin\u212aer", p, `no target "tin\u212aer"`},
		{"escapes", "zoe", "\x1b[2J", p, `no target "\x1b[2J"`},
		{"endless", "zoe", strings.Repeat("a", 5000), p, `no target "` + strings.Repeat("a", 64) + `..."`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target, err := tc.policy.Resolve(tc.user, tc.asked, "", Groups{})
			got := ""
			if err != nil {
				var unknown *UnknownTarget
				var ambiguous *Ambiguous
				if !errors.As(err, &unknown) && !errors.As(err, &ambiguous) {
					t.Fatalf("error of type %T", err)
				}
				got = err.Error()
			} else {
				got = target.FullName()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestUnknownTargetNamesFew(t *testing.T) {
	e := &UnknownTarget{Name: "x", Granted: []string{"a.l", "b.l", "c.l", "d.l", "e.l", "f.l", "g.l"}}
	if got, want := e.Error(), `no target "x"; yours: a.l, b.l, c.l, d.l, e.l and 2 more`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestListings(t *testing.T) {
	p := parse(t, labsYAML, resolveRules)
	names := func(list []*Target) (out []string) {
		for _, t := range list {
			out = append(out, t.FullName())
		}
		return out
	}
	for _, tc := range []struct {
		what      string
		got, want []string
	}{
		{"all targets", names(p.Targets()), []string{"bench.tinker", "home.tailor", "home.tinker"}},
		{"bob's", names(p.TargetsOf("bob", "", Groups{})), []string{"bench.tinker", "home.tailor", "home.tinker"}},
		{"carol's", names(p.TargetsOf("carol", "", Groups{})), []string{"bench.tinker", "home.tinker"}},
		{"erin's", names(p.TargetsOf("erin", "", Groups{})), []string{"home.tailor"}},
		{"zoe's", names(p.TargetsOf("zoe", "", Groups{})), nil},
		{"bob's labs", p.LabsOf("bob"), []string{"tailor", "tinker"}},
		{"zoe's labs", p.LabsOf("zoe"), nil},
	} {
		if !slices.Equal(tc.got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.what, tc.got, tc.want)
		}
	}
	bench, _ := p.Target("bench.tinker")
	home, _ := p.Target("home.tinker")
	if !bench.Serves(80) || bench.Serves(22) || !home.Serves(22) || home.Serves(80) {
		t.Error("the ports served aren't those listed")
	}
}

func TestConflictWithTheServer(t *testing.T) {
	p := parse(t, labsYAML)
	if c := p.Conflict("gate.example"); c != nil {
		t.Error(c)
	}
	for _, name := range []string{"home", "Bench", "home.tailor"} {
		if p.Conflict(name) == nil {
			t.Errorf("%s is a target's name", name)
		}
	}
	if got, want := p.Conflict("bench").Error(), `a.yaml:9:7: target bench.tinker has the server's own name, "bench" [P002]
     9 |       bench: {kind: tcp, address: "10.0.0.6:8888", ports: [80, 8888]}
       |       ^`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestValidUser(t *testing.T) {
	for name, ok := range map[string]bool{
		"alice": true, "a": true, "a.b_c-9": true, strings.Repeat("a", 32): true,
		"": false, "Alice": false, "9a": false, "a b": false, "a+home": false, strings.Repeat("a", 33): false, "a\n": false, "é": false,
	} {
		if (ValidUser(name) == nil) != ok {
			t.Errorf("%q: %v", name, ValidUser(name))
		}
	}
}

// TestNoSlipFindsOthersTargets: what a user may not reach is never suggested, nor a
// bare name that several labs have.
func TestNoSlipFindsOthersTargets(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: one, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [shell]}
`)
	for name, want := range map[string]string{
		"hoem": "home", "HOEM": "home", "benhc": "", "bench.tinkr": "", "home.tinkre": "home.tinker", "home.tailr": "",
	} {
		_, err := p.Resolve("alice", name, "", Groups{})
		var no *UnknownTarget
		if !errors.As(err, &no) {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Contains(err.Error(), "did you mean "+want+"?"); got != (want != "") || strings.Contains(err.Error(), "bench.tinker") || strings.Contains(err.Error(), "tailor") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
