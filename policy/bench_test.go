package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"entry/policy/strict"
)

// largeSite is 10,000 users in 200 labs with 1,000 targets and 5,000 rules:
// each lab has 50 members, 5 targets and 25 rules; one rule of 100 is for a
// single user, one of 50 denies.
func largeSite() strict.File {
	var b strings.Builder
	b.WriteString("labs:\n")
	for l := range 200 {
		fmt.Fprintf(&b, "  lab%d:\n    members: [", l)
		for u := range 50 {
			fmt.Fprintf(&b, "u%d, ", l*50+u)
		}
		fmt.Fprintf(&b, "]\n    groups: {stewards: [u%d, u%d]}\n    targets:\n", l*50, l*50+1)
		for t := range 5 {
			fmt.Fprintf(&b, "      t%d: {address: 10.%d.0.%d, host_keys: %q}\n", t, l, t, testKey)
		}
	}
	b.WriteString("rules:\n")
	for i := range 5000 {
		l := i % 200
		who := fmt.Sprintf("labs: [lab%d]", l)
		switch {
		case i%100 == 7:
			who = fmt.Sprintf("users: [u%d]", l*50+i%50)
		case i%5 == 3:
			who = fmt.Sprintf("groups: [lab%d/stewards]", l)
		}
		where := fmt.Sprintf("targets: [t%d.lab%d]", i/200%5, l)
		if i%10 == 0 {
			where = fmt.Sprintf("labs: [lab%d]", l)
		}
		fmt.Fprintf(&b, "  - {name: r%d, who: {%s}, where: {%s}, from: [192.0.2.0/24], ", i, who, where)
		if i%50 == 1 {
			b.WriteString("deny: true, may: [x11]}\n")
		} else {
			b.WriteString("may: [shell, exec, upload], record: full, because: work}\n")
		}
	}
	return strict.File{Name: "large.yaml", Data: []byte(b.String())}
}

func BenchmarkDecide(b *testing.B) {
	p, err := Parse(largeSite())
	if err != nil {
		b.Fatal(err)
	}
	if len(p.users) != 10_000 || len(p.targets) != 1000 || len(p.rules) != 5000 {
		b.Fatalf("%d users, %d targets, %d rules", len(p.users), len(p.targets), len(p.rules))
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
				_, _ = p.Decide(Request{User: bc.user, Target: target, Source: source}) // only the time matters
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
		fmt.Fprintf(&text, "      t%d: {address: 10.0.%d.%d, host_keys: %q}\n", t, t/250, t%250, testKey)
	}
	text.WriteString("rules:\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "  - {name: r%d, who: {labs: [big]}, where: {targets: [t%d.big]}, may: [shell]}\n", i, i%1000)
	}
	p, err := Parse(strict.File{Name: "big.yaml", Data: []byte(text.String())})
	if err != nil {
		b.Fatal(err)
	}
	target, _ := p.Target("t500.big")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Decide(Request{User: "u9999", Target: target}) // only the time matters
	}
}

func BenchmarkLoad(b *testing.B) {
	f := largeSite()
	b.SetBytes(int64(len(f.Data)))
	for b.Loop() {
		if _, err := Parse(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	f := largeSite()
	old, err := Parse(f)
	if err != nil {
		b.Fatal(err)
	}
	changed := strings.ReplaceAll(string(f.Data), "[shell, exec, upload], record: full", "[shell, exec], record: full")
	now, err := Parse(strict.File{Name: f.Name, Data: []byte(changed)})
	if err != nil {
		b.Fatal(err)
	}
	for _, bc := range []struct {
		name string
		b    *Policy
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

func BenchmarkExplain(b *testing.B) {
	p, err := Parse(largeSite())
	if err != nil {
		b.Fatal(err)
	}
	target, _ := p.Target("t3.lab84")
	for b.Loop() {
		p.Explain(Request{User: "u4217", Target: target, Source: netip.MustParseAddr("192.0.2.7")})
	}
}

func BenchmarkWhoCan(b *testing.B) {
	p, err := Parse(largeSite())
	if err != nil {
		b.Fatal(err)
	}
	target, _ := p.Target("t3.lab84")
	for b.Loop() {
		if got := p.WhoCan(target, Download, time.Time{}, netip.MustParseAddr("192.0.2.7")); len(got) == 0 {
			b.Fatal("nobody")
		}
	}
}

// Every condition there is, on each of 25 rules of which all speak of the user.
func BenchmarkDecideConditions(b *testing.B) {
	text := string(largeSite().Data)
	text = strings.ReplaceAll(text, "may: [shell, exec, upload], record: full, because: work}",
		"may: [shell, exec, upload], when: [{days: [mon-fri], hours: \"06:00-20:00\", zone: Europe/Oslo}, {days: [sat], zone: UTC}], valid: {until: 2030-01-01, zone: UTC}, "+
			"mfa: {methods: [otp], max_age: 12h}, approval: {approvers: [chief], for: 4h}}")
	p, err := Parse(strict.File{Name: "large.yaml", Data: []byte(text)})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := Request{User: "u4200", Source: netip.MustParseAddr("192.0.2.7"), Time: now, Method: "passphrase+otp", CodeAt: now}
	r.Target, _ = p.Target("t3.lab84")
	r.Approvals = p.Supposed(r, "chief")
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
