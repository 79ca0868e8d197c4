package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit/world"
	"entry/policy"
	"entry/policy/strict"
)

func BenchmarkDecide(b *testing.B) {
	p, err := policy.Parse(world.LargeSite())
	if err != nil {
		b.Fatal(err)
	}
	if len(p.Users()) != 10_000 || len(p.Targets()) != 1000 || len(p.Rules()) != 5000 {
		b.Fatalf("%d users, %d targets, %d rules", len(p.Users()), len(p.Targets()), len(p.Rules()))
	}
	source := netip.MustParseAddr("192.0.2.7")
	for _, bc := range []struct{ name, user, target string }{
		{"member", "u4217", "t3.lab84"},
		{"steward", "u4200", "t3.lab84"},
		{"other lab", "u4217", "t3.lab7"},
		{"stranger", "nobody", "t3.lab84"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			target, _ := p.Target(bc.target)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = p.Decide(policy.Request{User: bc.user, Target: target, Source: source}) // only the time matters
			}
		})
	}
}

// One lab that owns everything is the index's worst case: all rules are for
// all its members.
func BenchmarkDecideOneLab(b *testing.B) {
	var text strings.Builder
	text.WriteString("labs:\n  big:\n    members: [")
	for u := range 10_000 {
		fmt.Fprintf(&text, "u%d, ", u)
	}
	text.WriteString("]\n    targets:\n")
	for t := range 1000 {
		fmt.Fprintf(&text, "      t%d: {address: 10.0.%d.%d, host_keys: %q}\n", t, t/250, t%250, world.Key)
	}
	text.WriteString("rules:\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "  - {name: r%d, who: {labs: [big]}, where: {targets: [t%d.big]}, may: [shell]}\n", i, i%1000)
	}
	p, err := policy.Parse(strict.File{Name: "big.yaml", Data: []byte(text.String())})
	if err != nil {
		b.Fatal(err)
	}
	target, _ := p.Target("t500.big")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Decide(policy.Request{User: "u9999", Target: target}) // only the time matters
	}
}

func BenchmarkLoad(b *testing.B) {
	f := world.LargeSite()
	b.SetBytes(int64(len(f.Data)))
	for b.Loop() {
		if _, err := policy.Parse(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExplain(b *testing.B) {
	p, err := policy.Parse(world.LargeSite())
	if err != nil {
		b.Fatal(err)
	}
	target, _ := p.Target("t3.lab84")
	for b.Loop() {
		p.Explain(policy.Request{User: "u4217", Target: target, Source: netip.MustParseAddr("192.0.2.7")})
	}
}

// Every condition there is, on each of 25 rules of which all speak of the user.
func BenchmarkDecideConditions(b *testing.B) {
	text := string(world.LargeSite().Data)
	text = strings.ReplaceAll(text, "may: [shell, exec, upload], record: full, because: work}",
		"may: [shell, exec, upload], when: [{days: [mon-fri], hours: \"06:00-20:00\", zone: Europe/Oslo}, {days: [sat], zone: UTC}], valid: {until: 2030-01-01, zone: UTC}, "+
			"mfa: {methods: [otp], max_age: 12h}, approval: {approvers: [chief], for: 4h}}")
	p, err := policy.Parse(strict.File{Name: "large.yaml", Data: []byte(text)})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := policy.Request{User: "u4200", Source: netip.MustParseAddr("192.0.2.7"), Time: now, Method: "passphrase+otp", CodeAt: now}
	r.Target, _ = p.Target("t3.lab84")
	r = p.Suppose(policy.Supposition{Request: r, ApprovedBy: []string{"chief"}})
	g, err := p.Decide(r)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decide", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = p.Decide(r) // only the time matters
		}
	})
	b.Run("until", func(b *testing.B) {
		for b.Loop() {
			if g.Until().IsZero() || g.NextChange().IsZero() {
				b.Fatal("no end")
			}
		}
	})
}

// What a decision allocates has nothing to do with rules for others.
func TestDecideAllocatesNothingForOthersRules(t *testing.T) {
	large, err := policy.Parse(world.LargeSite())
	if err != nil {
		t.Fatal(err)
	}
	small, err := policy.Parse(strict.File{Name: "s.yaml", Data: []byte(world.Labs + "rules: [{name: rx, who: {users: [ann]}, where: {targets: [home.one]}, may: [agent]}]")})
	if err != nil {
		t.Fatal(err)
	}
	cost := func(p *policy.Policy, user, target string) float64 {
		tg, _ := p.Target(target)
		return testing.AllocsPerRun(100, func() { _, _ = p.Decide(policy.Request{User: user, Target: tg}) }) // only the allocations matter
	}
	if few, many := cost(small, "zoe", "home.two"), cost(large, "u4217", "t3.lab7"); many > few {
		t.Errorf("%v allocations beside 5,000 rules, %v beside one", many, few)
	}
}
