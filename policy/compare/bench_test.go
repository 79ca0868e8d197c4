package compare

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit/world"
	"entry/policy"
	"entry/policy/strict"
)

func BenchmarkDiff(b *testing.B) {
	f := world.LargeSite()
	old, err := policy.Parse(f)
	if err != nil {
		b.Fatal(err)
	}
	changed := strings.ReplaceAll(string(f.Data), "[shell, exec, upload], record: full", "[shell, exec], record: full")
	now, err := policy.Parse(strict.File{Name: f.Name, Data: []byte(changed)})
	if err != nil {
		b.Fatal(err)
	}
	for _, bc := range []struct {
		name string
		b    *policy.Policy
		none bool
	}{{"equal", old, true}, {"every rule changed", now, false}} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if none := len(Diff(old, bc.b)) == 0; none != bc.none {
					b.Fatalf("no changes: %v", none)
				}
			}
		})
	}
}

func BenchmarkWhoCan(b *testing.B) {
	p, err := policy.Parse(world.LargeSite())
	if err != nil {
		b.Fatal(err)
	}
	target, _ := p.Target("t3.lab84")
	for b.Loop() {
		if got := WhoCan(p, target, policy.Download, time.Time{}, netip.MustParseAddr("192.0.2.7")); len(got) == 0 {
			b.Fatal("nobody")
		}
	}
}

func BenchmarkWarnings(b *testing.B) {
	p, err := policy.Parse(world.LargeSite())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if len(Warnings(p)) == 0 {
			b.Fatal("25 rules of each lab, and none is without effect")
		}
	}
}
