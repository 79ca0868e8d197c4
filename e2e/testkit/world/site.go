package world

import (
	"fmt"
	"strings"

	"entry/policy/strict"
)

// LargeSite is 10,000 users in 200 labs with 1,000 targets and 5,000 rules:
// each lab has 50 members, 5 targets and 25 rules; one rule of 100 is for a
// single user, one of 50 denies.
func LargeSite() strict.File {
	var b strings.Builder
	b.WriteString("labs:\n")
	for l := range 200 {
		fmt.Fprintf(&b, "  lab%d:\n    members: [", l)
		for u := range 50 {
			fmt.Fprintf(&b, "u%d, ", l*50+u)
		}
		fmt.Fprintf(&b, "]\n    groups: {stewards: [u%d, u%d]}\n    targets:\n", l*50, l*50+1)
		for t := range 5 {
			fmt.Fprintf(&b, "      t%d: {address: 10.%d.0.%d, host_keys: %q}\n", t, l, t, Key)
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
