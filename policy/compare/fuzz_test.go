package compare

import (
	"net/netip"
	"testing"
	"time"

	"entry/e2e/testkit"
	"entry/policy"
	"entry/policy/strict"
)

// Whatever a policy says, everything can be asked about it: it differs in nothing
// from itself, warnings have a place in it, and whoever is said to have something
// has it or lacks an approval.
func FuzzCompare(f *testing.F) {
	testkit.Seeds(f, "../testdata/*.yaml", "../../configs/policy.d/*.yaml")
	base := parse(f, labsYAML, "rules: [{name: a, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell]}]")
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse(strict.File{Name: "f.yaml", Data: data})
		if err != nil {
			return
		}
		for _, w := range Warnings(p) {
			if !w.Warning || w.File != "f.yaml" || w.Line < 1 || w.Col < 1 {
				t.Fatalf("%+v", w)
			}
		}
		if changes := Diff(p, p); len(changes) > 0 {
			t.Fatalf("differs from itself: %v", changes)
		}
		if there, back := Diff(base, p), Diff(p, base); len(there) != len(back) {
			t.Fatalf("%d changes, %d back", len(there), len(back))
		}
		for _, target := range p.Targets() {
			for _, h := range WhoCan(p, target, policy.Download, at, netip.MustParseAddr("192.0.2.7")) {
				if h.User == "" && h.Realm == "" || h.Rule == (policy.RuleRef{}) {
					t.Fatalf("%+v", h)
				}
			}
		}
	})
}
