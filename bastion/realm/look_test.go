package realm_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"entry/bastion/realm"
	"entry/configs"
	"entry/e2e/testkit"
)

// modify changes the directory as its administrator does.
func (d *directory) modify(ldif string) {
	d.t.Helper()
	cmd := exec.Command(testkit.System(d.t, "ldapmodify"), "-e", "relax", "-H", "ldap://"+d.plain, "-x", "-D", "cn=root,dc=example,dc=org", "-w", "root's secret")
	cmd.Stdin = strings.NewReader(ldif)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("ldapmodify: %v\n%s", err, out)
	}
}

// Whoever is looked for is there with their groups, gone, or locked for good; a
// lock after wrong passphrases, and a directory that can't be asked, say nothing.
func TestLookAtSlapd(t *testing.T) {
	d := newDirectory(t)
	o := d.bySearch()
	o.Groups = byMember()
	r := open(t, o)
	look := func(user, bar string, groups ...string) {
		t.Helper()
		got, names, _, err := r.Look(t.Context(), user)
		if err != nil || got != bar || !slices.Equal(names, groups) {
			t.Errorf("%s: %q %q %v, not %q %q", user, got, names, err, bar, groups)
		}
	}
	if !r.Watches() || open(t, d.byTemplate()).Watches() {
		t.Error("only a realm with search can look for users")
	}
	look("alice", "", "beamline", "tinker")
	_, _, entry, err := r.Look(t.Context(), "alice")
	if err != nil || !strings.HasPrefix(entry, "entryUUID:") || len(entry) != len("entryUUID:")+36 {
		t.Errorf("alice's entry is called %q, %v", entry, err)
	}
	if _, _, _, same, err := r.Check(t.Context(), "alice", "alice's phrase"); err != nil || same != entry {
		t.Errorf("at a login it is called %q, %v", same, err)
	}
	look("nobody", "gone")
	look("*", "gone")
	look("twin", "more than one entry")
	before := d.binds("uid=alice,ou=people,dc=example,dc=org")
	d.modify("dn: cn=beamline,ou=groups,dc=example,dc=org\nchangetype: delete\n")
	look("alice", "", "tinker")
	for range 4 {
		if ok, _, _, _, _ := r.Check(t.Context(), "lock", "wrong"); ok {
			t.Fatal("wrong is right")
		}
	}
	look("lock", "") // strangers can do that
	d.modify("dn: uid=lock,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n")
	look("lock", "locked")
	d.modify("dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: delete\n")
	look("alice", "gone")
	if now := d.binds("uid=alice,ou=people,dc=example,dc=org"); now != before {
		t.Errorf("%d binds as the user", now-before)
	}

	// What can't be asked, or seen, says nothing.
	for name, change := range map[string]func(*realm.Options){
		"another searching account": func(o *realm.Options) { o.Search.PasswordFile = password(t, "wrong") },
		"a base that isn't there": func(o *realm.Options) {
			o.Search = &configs.Search{Base: "dc=elsewhere,dc=org", Filter: o.Search.Filter, BindDN: o.Search.BindDN, PasswordFile: o.Search.PasswordFile}
		},
	} {
		bad := d.bySearch()
		change(&bad)
		if bar, _, _, err := open(t, bad).Look(t.Context(), "alice"); err == nil {
			t.Errorf("%s: %q", name, bar)
		}
	}
	d.End()
	if bar, _, _, err := r.Look(t.Context(), "alice"); err == nil {
		t.Errorf("nobody answers: %q", bar)
	}
}
