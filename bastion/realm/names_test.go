package realm_test

import (
	"errors"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"entry/policy/ldapmatch"
)

// TestNamesAsSlapdComparesThem: what a rule allows by a group's name or DN, it
// allows only where slapd takes both names for one, and what it denies, it
// denies wherever slapd does.
func TestNamesAsSlapdComparesThem(t *testing.T) {
	d := newDirectory(t)
	conn, err := ldap.DialURL("ldap://" + d.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Bind("uid=reader,dc=example,dc=org", "reader's secret"); err != nil {
		t.Fatal(err)
	}
	finds := func(base string, scope int, filter string) bool {
		t.Helper()
		found, err := conn.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 20, false, filter, []string{"1.1"}, nil))
		var refused *ldap.Error
		if err != nil && (!errors.As(err, &refused) || refused.ResultCode != ldap.LDAPResultNoSuchObject && refused.ResultCode != ldap.LDAPResultInvalidDNSyntax) {
			t.Fatal(err)
		}
		return err == nil && len(found.Entries) == 1
	}
	const groups = "ou=groups,dc=example,dc=org"
	same, loose := 0, 0
	check := func(name, stored string, one bool) {
		t.Helper()
		if one {
			same++
		}
		allows, denies := ldapmatch.Strict(name) == ldapmatch.Strict(stored), ldapmatch.Loose(name) == ldapmatch.Loose(stored)
		if allows && !one || one && !denies {
			t.Errorf("%q for %q: slapd says %v, the policy allows by it: %v, denies: %v", name, stored, one, allows, denies)
		}
		if one && !allows {
			loose++
		}
	}
	for stored, names := range map[string][]string{
		"tinker":                       {"tinker", "TINKER", "Tinker", "tinke", "t inker", "tinker.", "\uff54inker", "ti\u00adnker", " tinker ", "cn=tinker"},
		"Bl\u00e5b\u00e6r og f\u00f8r": {"bl\u00e5b\u00e6r og f\u00f8r", "BL\u00c5B\u00c6R OG F\u00d8R", "bla\u030ab\u00e6r og f\u00f8r", "bl\u00e5b\u00e6r  og  f\u00f8r", "bl\u00e5b\u00e6rog f\u00f8r", "blaab\u00e6r og f\u00f8r"},
	} {
		for _, name := range names {
			check(name, stored, finds(groups, ldap.ScopeSingleLevel, "(cn="+ldap.EscapeFilter(name)+")"))
		}
	}
	for stored, dns := range map[string][]string{
		"cn=tinker," + groups: {
			"CN=Tinker,OU=Groups,DC=Example,DC=Org", "cn = tinker , ou = groups, dc=example, dc=org", "2.5.4.3=tinker," + groups, "commonName=tinker," + groups,
			`cn=\74inker,` + groups, "cn=tinker,organizationalUnitName=groups,domainComponent=example,0.9.2342.19200300.100.1.25=org",
			"cn=tinker,dc=example,dc=org", `cn=tinker\,` + groups, "ou=groups,cn=tinker,dc=example,dc=org", "cn=tinker;" + groups,
			"cn=#040674696e6b6572," + groups, "2.5.4.3=#0c0674696E6B6572," + groups, "cn=#0406ffffffffffff," + groups, `cn=\#040674696e6b6572,` + groups,
		},
		"cn=Bl\u00e5b\u00e6r og f\u00f8r," + groups: {
			"cn=BL\u00c5B\u00c6R OG F\u00d8R," + groups, `cn=bl\c3\a5b\c3\a6r og f\c3\b8r,` + groups, `cn=bl\c3\a5b\c3\a6r  og f\C3\98r,` + groups, "cn=blabaer og for," + groups,
		},
	} {
		for _, dn := range dns {
			check(dn, stored, finds(dn, ldap.ScopeBaseObject, "(objectClass=groupOfNames)"))
		}
	}
	if same < 15 || loose > 1 { // but for the compatibility form
		t.Errorf("slapd took %d names for the same as another, of which %d allow nothing", same, loose)
	}
}
