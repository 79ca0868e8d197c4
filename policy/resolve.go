package policy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"entry/audit/plain"
	"entry/policy/strict"
)

// UnknownTarget says that a user asked for something that is no target of
// theirs; whether others have it isn't told.
type UnknownTarget struct {
	Name string // as asked for; may be anything
	// Granted are full names the user could ask for instead: the targets at
	// that address where an address or a machine's own name was given, else all
	// that a rule opens to them. Sorted.
	Granted []string
	address bool
	near    string // of Granted, as the user would type it, what a typing error may have meant
}

// maxNamed bounds how many names an error spells out, for one line of text.
const maxNamed = 5

// Error is one line of printable ASCII.
func (e *UnknownTarget) Error() string {
	s := fmt.Sprintf("no target %s", quote(e.Name))
	if e.address {
		s = fmt.Sprintf("%s is an address; ask for a target by its name", quote(e.Name))
	}
	yours := "; yours: "
	if e.near != "" {
		s, yours = s+"; did you mean "+e.near+"?", " Yours: "
	}
	if len(e.Granted) > 0 {
		s += yours + plain.List(e.Granted, maxNamed)
	}
	return s
}

// Ambiguous says that several of the user's labs have a target of that name.
type Ambiguous struct {
	Name string
	Full []string // sorted
}

// Error is one line of printable ASCII.
func (e *Ambiguous) Error() string {
	return fmt.Sprintf("%s is ambiguous; ask for %s", quote(e.Name), plain.List(e.Full, maxNamed))
}

// quote shows a peer's words: escaped, in ASCII, and not many of them.
func quote(s string) string { return plain.Quote(plain.Clip(s, 64)) }

// Resolve finds the target that user means by name: ASCII, upper case folded,
// one trailing dot stripped; "home", or "home.tinker" in full. A bare name is
// looked for in the user's own labs first, where what a rule opens to them goes before
// the rest, then among what rules open to them elsewhere; where several have it, the
// user's default lab decides. The
// error is [*UnknownTarget] or [*Ambiguous]. Resolving is no grant.
//
// realm is the name of the realm that vouched for the user, groups are those
// that the user has there; "" and none where no realm did.
func (p *Policy) Resolve(user, name, realm string, groups Groups) (*Target, error) {
	who := p.asker(user, realm, groups)
	key := strings.TrimSuffix(name, ".")
	if !asciiName(key) {
		return nil, p.unknown(who, name, key)
	}
	key = strings.ToLower(key)
	if strings.Contains(key, ".") {
		if t := p.targets[key]; t != nil && p.sees(who, t) {
			return t, nil
		}
		return nil, p.unknown(who, name, key)
	}
	found := p.named(who, key)
	switch len(found) {
	case 0:
		return nil, p.unknown(who, name, key)
	case 1:
		return found[0], nil
	}
	if l := p.defaultLab[user]; l != nil {
		for _, t := range found {
			if t.Lab == l.name {
				return t, nil
			}
		}
	}
	return nil, ambiguous(name, found)
}

func ambiguous(name string, found []*Target) *Ambiguous {
	e := &Ambiguous{Name: name}
	for _, t := range found {
		e.Full = append(e.Full, t.FullName())
	}
	return e
}

// Find finds the target that an operator means by name: its full name, what user,
// who may be "", would call it, or a bare name that only one lab has. The errors
// and the rest are as for [Policy.Resolve].
func (p *Policy) Find(user, name, realm string, groups Groups) (*Target, error) {
	if t := p.targets[name]; t != nil {
		return t, nil
	}
	if t, err := p.Resolve(user, name, realm, groups); err == nil {
		return t, nil
	}
	switch found := p.byName[name]; len(found) {
	case 0:
		return nil, &UnknownTarget{Name: name}
	case 1:
		return found[0], nil
	default:
		return nil, ambiguous(name, found)
	}
}

// named are the targets with a bare name: of the user's labs, or, if those have
// none, of any that a rule opens. Of several in the user's labs, those that no rule opens
// to them stand in nobody's way: another lab's new machine takes no name from them.
func (p *Policy) named(who asker, name string) []*Target {
	var own, other []*Target
	for _, t := range p.byName[name] {
		if slices.ContainsFunc(who.labs(), func(l *lab) bool { return l.name == t.Lab }) {
			own = append(own, t)
		}
	}
	if len(own) > 1 {
		granted := p.granted(who)
		opened := slices.DeleteFunc(slices.Clone(own), func(t *Target) bool { return !slices.Contains(granted, t) })
		if len(opened) > 0 {
			return opened
		}
	}
	if len(own) > 0 {
		return own
	}
	for _, t := range p.byName[name] {
		if p.sees(who, t) {
			other = append(other, t)
		}
	}
	return other
}

func (p *Policy) unknown(who asker, name, key string) error {
	e := &UnknownTarget{Name: name}
	host := canonicalHost(strings.TrimSuffix(strings.TrimPrefix(key, "["), "]"))
	if _, err := netip.ParseAddr(host); err == nil {
		e.address = true
	}
	granted := p.granted(who)
	for _, t := range granted {
		if t.at(host) {
			e.Granted = append(e.Granted, t.FullName())
		}
	}
	if len(e.Granted) > 0 || e.address {
		return e
	}
	for _, t := range granted {
		e.Granted = append(e.Granted, t.FullName())
	}
	e.near = p.near(who, key, granted)
	return e
}

// near is the name of one of granted that key may be a typing error of: names that
// the user may not reach are no part of it, or it would tell which there are.
func (p *Policy) near(who asker, key string, granted []*Target) string {
	if !asciiName(key) {
		return ""
	}
	key = strings.ToLower(key)
	var names []string
	for _, t := range granted {
		if names = append(names, t.FullName()); !strings.Contains(key, ".") && len(p.named(who, t.Name)) == 1 {
			names = append(names, t.Name)
		}
	}
	return strict.Nearest(key, names)
}

// at reports whether t has an address on host.
func (t *Target) at(host string) bool {
	return slices.ContainsFunc(t.Addresses, func(a string) bool {
		own, _, err := net.SplitHostPort(a)
		return err == nil && own == host
	})
}

// maxNameLength is two labels and a dot, in bytes.
const maxNameLength = 127

func asciiName(s string) bool {
	if s == "" || len(s) > maxNameLength {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
