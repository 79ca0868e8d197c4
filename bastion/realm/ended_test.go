package realm_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"entry/bastion/realm"
	"entry/configs"
)

// ends are what directories say of an account that is locked or over at the time of
// fetched, and of one that isn't.
var ends = func() [][]string {
	filetime := func(t time.Time) string { return fmt.Sprint(t.UnixMicro()*10 + 116444736000000000) }
	day := fetched.Unix() / 86400
	of := func(n int64) string { return fmt.Sprint(n) }
	return [][]string{
		// what is said of it, then attributes and values
		{"locked", "pwdAccountLockedTime", "000001010000Z"},
		{"", "pwdAccountLockedTime", "20260301115900Z"},
		{"account expired", "pwdEndTime", "20260301120000Z"},
		{"", "pwdEndTime", "20260301120001Z"},
		{"disabled", "useraccountcontrol", "514"},
		{"", "userAccountControl", "512"},
		{"unreadable end", "userAccountControl", "many"},
		{"disabled", "msDS-UserAccountDisabled", "TRUE"},
		{"account expired", "accountExpires", filetime(fetched.Add(-time.Hour))},
		{"account expired", "accountExpires", filetime(fetched)},
		{"", "accountExpires", filetime(fetched.Add(time.Hour))},
		{"", "accountExpires", "0"},
		{"", "accountExpires", "9223372036854775807"},
		{"", "accountExpires", "9223372036854775806"},
		{"account expired", "accountExpires", "1"},
		{"account expired", "accountExpires", "-1"},
		{"account expired", "accountExpires", "-9223372036854775808"},
		{"unreadable end", "accountExpires", "9223372036854775808"},
		{"locked", "nsAccountLock", "true"},
		{"", "nsAccountLock", "FALSE"},
		{"unreadable end", "nsAccountLock", "1"},
		{"account expired", "krbPrincipalExpiration", "20260301115959Z"},
		{"account expired", "krbPrincipalExpiration", "202603011259+0100"},
		{"account expired", "krbPrincipalExpiration", "2026030112Z"},
		{"account expired", "krbPrincipalExpiration", "19700101000000Z"},
		{"", "krbPrincipalExpiration", "20260301120000.5Z"},
		{"", "krbPrincipalExpiration", "20380119031407Z"},
		{"unreadable end", "krbPrincipalExpiration", "never"},
		{"disabled", "loginDisabled", "TRUE"},
		{"account expired", "loginExpirationTime", "20260301115959Z"},
		{"disabled", "ds-pwp-account-disabled", "true"},
		{"account expired", "ds-pwp-account-expiration-time", "20260301115959.000Z"},
		{"account expired", "shadowExpire", of(day)},
		{"account expired", "shadowExpire", "20000"},
		{"account expired", "shadowExpire", "0"},
		{"account expired", "shadowExpire", "-2"},
		{"", "shadowExpire", "-1"},
		{"", "shadowExpire", of(day + 1)},
		{"unreadable end", "shadowExpire", "2030-01-01"},
		{"account expired", "shadowLastChange", of(day - 98), "shadowMax", "90", "shadowInactive", "7"},
		{"account expired", "shadowLastChange", of(day - 91), "shadowMax", "90", "shadowInactive", "0"},
		{"", "shadowLastChange", of(day - 97), "shadowMax", "90", "shadowInactive", "7"},
		{"", "shadowLastChange", of(day - 900), "shadowMax", "90"},
		{"", "shadowLastChange", of(day - 900), "shadowMax", "90", "shadowInactive", "-1"},
		{"", "shadowLastChange", of(day - 900), "shadowMax", "99999", "shadowInactive", "7"},
		{"disabled", "sambaAcctFlags", "[UD         ]"},
		{"disabled", "sambaacctflags", "[DU]"},
		{"", "sambaAcctFlags", "[U          ]"},
		{"", "sambaAcctFlags", "[UL         ]"},
		{"", "sambaAcctFlags", "[UX         ]"},
		{"", "sambaAcctFlags", "[           ]"},
		{"unreadable end", "sambaAcctFlags", "UD"},
		{"unreadable end", "sambaAcctFlags", "[u d]"},
		{"", "cn", "TRUE"},
	}
}()

func TestEnds(t *testing.T) {
	for _, e := range ends {
		if got := realm.Ended(fetched, e[1:]...); got != e[0] {
			t.Errorf("%q is %q, not %q", e[1:], got, e[0])
		}
	}
}

// Whom the directory has ended is let in by none of its words, at a login as at a
// poll, though slapd takes the passphrase: it reads but ppolicy's. The wrong one is
// told nothing.
func TestEndedAtSlapd(t *testing.T) {
	d := newDirectory(t)
	search, template := d.bySearch(), d.byTemplate()
	grouped := d.byTemplate()
	grouped.Groups = &configs.Groups{}
	realms := map[string]*realm.Realm{"search": open(t, search), "template": open(t, template), "template with memberOf": open(t, grouped)}
	const dn = "dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modify\n"
	d.modify(dn + "add: objectClass\nobjectClass: extensibleObject\n")
	for _, e := range ends {
		attributes := e[1:]
		if strings.HasPrefix(strings.ToLower(attributes[0]), "pwd") || attributes[0] == "cn" || attributes[1] == "2030-01-01" {
			continue // slapd's own, which TestPasswordPolicyOfSlapd has; Alice's name; what slapd refuses
		}
		var set, undo strings.Builder
		for i := 0; i < len(attributes); i += 2 {
			fmt.Fprintf(&set, "replace: %[1]s\n%[1]s: %[2]s\n-\n", attributes[i], attributes[i+1])
			fmt.Fprintf(&undo, "replace: %s\n-\n", attributes[i])
		}
		d.modify(dn + set.String())
		for name, r := range realms {
			ok, _, _, _, err := r.Check(t.Context(), "alice", "alice's phrase")
			var barred *realm.BarredError
			said := ""
			if errors.As(err, &barred) {
				_, right := barred.Barred()
				said = strings.TrimPrefix(err.Error(), "realm duo: barred there: ")
				if !right {
					t.Errorf("%s, %q: told to a wrong passphrase as well", name, attributes)
				}
			}
			if ok != (e[0] == "") || said != e[0] {
				t.Errorf("%s, %q: ok %v, %v", name, attributes, ok, err)
			}
			if ok, _, _, _, err := r.Check(t.Context(), "alice", "a wrong one"); ok || err != nil {
				t.Errorf("%s, %q, a wrong passphrase: %v %v", name, attributes, ok, err)
			}
		}
		if bar, _, _, err := realms["search"].Look(t.Context(), "alice"); bar != e[0] || err != nil {
			t.Errorf("a poll, %q: %q %v", attributes, bar, err)
		}
		d.modify(dn + undo.String())
		d.modify(dn + "replace: pwdFailureTime\n-\nreplace: pwdAccountLockedTime\n-\n") // of the wrong ones
	}
}

// An entry that its user may not read tells of no end, and keeps nobody out.
func TestEntryThatItsUserCannotRead(t *testing.T) {
	d := newDirectory(t)
	r := open(t, d.byTemplate())
	if ok, _, _, entry, err := r.Check(t.Context(), "shy", "shy phrase"); !ok || err != nil || entry != "" {
		t.Errorf("%v %q %v", ok, entry, err)
	}
}
