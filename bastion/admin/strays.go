package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"entry/audit/plain"
	"entry/bastion/identity"
	"entry/policy"
	"entry/policy/strict"
)

// MostStrays bounds how many names a warning has.
const MostStrays = 20

// Warnings are what works of the accounts and is hardly meant: whom the policy names and
// who has no account, accounts that lead nowhere, codes by SMS where no gateway sends them,
// and shared keys.
func Warnings(users []identity.UserInfo, p *policy.Policy, sms bool) (warnings []string) {
	s := Compare(users, p)
	var missing, accounts []string
	for _, u := range users {
		accounts = append(accounts, u.Name)
	}
	for _, name := range s.Missing {
		near := misspelt(name, s.Nowhere)
		where := " That account is in no lab"
		if near == "" {
			near, where = misspelt(name, accounts), ""
		}
		if near == "" || len(warnings) == MostStrays {
			missing = append(missing, name)
			continue
		}
		warnings = append(warnings, fmt.Sprintf("the policy names %s, who has no account; did you mean %q?%s", name, near, where))
	}
	if len(missing) > 0 {
		warnings = append(warnings, "named by the policy and without an account: "+plain.List(missing, MostStrays))
	}
	if len(s.Nowhere) > 0 {
		warnings = append(warnings, "accounts in no lab, so a login leads nowhere: "+plain.List(s.Nowhere, MostStrays))
	}
	var stranded []string
	for _, u := range users {
		if !sms && u.CodeBySMS {
			stranded = append(stranded, u.Name)
		}
	}
	if len(stranded) > 0 {
		warnings = append(warnings, "codes go by SMS, for which entry.yaml has no gateway (sms), so these can't log in: "+plain.List(stranded, MostStrays))
	}
	return append(warnings, sharedKeys(users)...)
}

// misspelt is which of accounts a name may have meant, "" for none: not one that has but
// another number, as the people of a course have.
func misspelt(name string, accounts []string) string {
	near := strict.Nearest(name, accounts)
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, s)
	}
	if letters(near) == letters(name) {
		return ""
	}
	return near
}

// Strays is how accounts and policy disagree.
type Strays struct {
	Missing []string // whom the policy makes a member of a lab, without an account
	Nowhere []string // accounts in no lab
}

// Compare holds the accounts against the people that p knows.
func Compare(users []identity.UserInfo, p *policy.Policy) (s Strays) {
	accounts := map[string]bool{}
	for _, u := range users {
		accounts[u.Name] = true
		if len(p.LabsOf(u.Name)) == 0 && u.Realm == "" {
			s.Nowhere = append(s.Nowhere, u.Name)
		}
	}
	for name := range p.UserClasses() {
		if !accounts[name] {
			s.Missing = append(s.Missing, name)
		}
	}
	slices.Sort(s.Nowhere)
	slices.Sort(s.Missing)
	return s
}

// sharedKeys names the public keys that several accounts have: who logs in with one
// isn't known by it alone. A reason is said for those whom an operator gave it for, and
// for the one who had the key before.
func sharedKeys(users []identity.UserInfo) (warnings []string) {
	holders := map[string]*keyHolders{}
	for _, u := range users {
		for _, k := range u.Keys {
			h := holders[k.Fingerprint]
			if h == nil {
				h = &keyHolders{by: map[string][]string{}}
				holders[k.Fingerprint] = h
			}
			h.n++
			switch {
			case k.Shared != "":
				h.by[plain.Text(k.Shared)] = append(h.by[plain.Text(k.Shared)], u.Name)
			case !k.Proven.IsZero():
				h.owner = append(h.owner, u.Name)
			default:
				h.claims = append(h.claims, u.Name)
			}
		}
	}
	for _, print := range slices.Sorted(maps.Keys(holders)) {
		if h := holders[print]; h.n > 1 {
			warnings = append(warnings, fmt.Sprintf("the key %s is shared by %s", print, h))
		}
	}
	return warnings
}

// keyHolders are the accounts that have one key.
type keyHolders struct {
	n             int
	by            map[string][]string // that share it, by why
	owner, claims []string            // that have shown it first, and that have not
}

func (h *keyHolders) String() string {
	const nobody = "nobody has said why; whoever logs in with it first keeps it"
	reasons := slices.Sorted(maps.Keys(h.by))
	var parts []string
	switch {
	case len(reasons) == 1:
		names := slices.Concat(h.owner, h.by[reasons[0]])
		slices.Sort(names)
		parts = append(parts, plain.List(names, MostStrays)+": "+reasons[0])
	default:
		if len(h.owner) > 0 {
			parts = append(parts, plain.List(h.owner, MostStrays)+", whose it is")
		}
		for _, why := range reasons {
			parts = append(parts, plain.List(h.by[why], MostStrays)+": "+why)
		}
	}
	if len(h.claims) > 0 {
		parts = append(parts, plain.List(h.claims, MostStrays)+": "+nobody)
	}
	return strings.Join(parts, "; ")
}
