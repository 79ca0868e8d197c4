package realm

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// template is a DN, a bind name or a filter with {user} and {dn} in it.
type template string

const (
	holeUser = "{user}"
	holeDN   = "{dn}"
	// probe has something of everything that is special in filters and DNs.
	probe = ` #a*()\,+"<>;=b `
)

var errTemplate = errors.New("the name doesn't fit the template")

// plainName is what may stand in a bind name that is no DN (alice@example.org,
// EXAMPLE\alice): nothing is special there, so nothing could be escaped.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// isDN tells whether a bind name is a DN, and so the name of an entry.
func (t template) isDN() bool { return strings.Contains(string(t), "=") }

// dn returns the name to bind with.
func (t template) dn(user string) (string, error) {
	if !t.isDN() {
		if !plainName.MatchString(user) {
			return "", errTemplate
		}
		return strings.ReplaceAll(string(t), holeUser, user), nil
	}
	return strings.ReplaceAll(string(t), holeUser, ldap.EscapeDN(user)), nil
}

// filter returns the filter for a user, whose DN may be unknown yet. One pass
// fills both holes: a name that reads {dn} stays a name.
func (t template) filter(user, dn string) (string, error) {
	s := strings.NewReplacer(holeUser, ldap.EscapeFilter(user), holeDN, ldap.EscapeFilter(dn)).Replace(string(t))
	if _, err := ldap.CompileFilter(s); err != nil {
		return "", errTemplate // not the text: it has the name in it
	}
	return s, nil
}

func (r *Realm) checkTemplates() error {
	if (r.o.BindDN == "") == (r.o.Search == nil) {
		return errors.New("give either the DN to bind with or a search, not both")
	}
	if r.o.BindDN != "" {
		r.bind = template(r.o.BindDN)
		if err := r.bind.checkDN(); err != nil {
			return err
		}
	}
	if s := r.o.Search; s != nil {
		if err := checkBase("search", s.Base); err != nil {
			return err
		}
		r.find = template(s.Filter)
		if err := r.find.checkFilter("search", holeUser); err != nil {
			return err
		}
		if (s.BindDN == "") != (s.PasswordFile == "") {
			return errors.New("the searching account needs both a DN and a password file")
		}
		if s.PasswordFile != "" {
			if _, err := readSecret(s.PasswordFile); err != nil {
				return err
			}
		}
	}
	return r.checkGroups()
}

func (r *Realm) checkGroups() error {
	g := r.o.Groups
	if g == nil {
		return nil
	}
	own := g.Base == "" && g.Filter == ""
	if strings.ContainsAny(g.Attribute, "*;+ ") {
		return errors.New("the group attribute must be the name of one attribute")
	}
	if !own {
		if err := checkBase("group search", g.Base); err != nil {
			return err
		}
		r.groups = template(g.Filter)
		if err := r.groups.checkFilter("group search", holeUser, holeDN); err != nil {
			return err
		}
	}
	if r.bind != "" && !r.bind.isDN() && (own || strings.Contains(g.Filter, holeDN)) {
		return errors.New("a bind name that is no DN tells no entry: find groups by a filter with {user}")
	}
	return nil
}

func checkBase(what, base string) error {
	if _, err := ldap.ParseDN(base); err != nil || base == "" {
		return fmt.Errorf("the base of the %s must be a DN", what)
	}
	return nil
}

func (t template) checkDN() error {
	if strings.Count(string(t), holeUser) != 1 {
		return errors.New("the DN to bind with must have {user} in it, once")
	}
	if !t.isDN() {
		return nil
	}
	s, err := t.dn(probe)
	if err != nil {
		return err
	}
	parsed, err := ldap.ParseDN(s)
	if err != nil {
		return errors.New("the DN to bind with is no DN")
	}
	for _, rdn := range parsed.RDNs {
		for _, a := range rdn.Attributes {
			if a.Value == probe {
				return nil
			}
		}
	}
	return errors.New("{user} must be the whole value of an attribute in the DN to bind with")
}

// checkFilter holds the holes to values: behind the = of their parentheses.
func (t template) checkFilter(what string, holes ...string) error {
	found := false
	for _, h := range holes {
		for before, rest, ok := strings.Cut(string(t), h); ok; {
			found = true
			if strings.LastIndexByte(before, '=') < strings.LastIndexByte(before, '(') {
				return fmt.Errorf("the filter of the %s is no filter with %s as a value", what, h)
			}
			var next string
			next, rest, ok = strings.Cut(rest, h)
			before += h + next
		}
	}
	if !found {
		return fmt.Errorf("the filter of the %s must have %s in it", what, strings.Join(holes, " or "))
	}
	if _, err := t.filter(probe, probe); err != nil {
		return fmt.Errorf("the filter of the %s is no filter with %s as a value", what, strings.Join(holes, " or "))
	}
	return nil
}
