package e2e

import (
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// modify changes the directory as its administrator does.
func (d *directory) modify(t testing.TB, ldif string) {
	t.Helper()
	c := command(testkit.System(t, "ldapmodify"), "-H", "ldap://"+d.addr, "-x", "-D", "cn=root,dc=example,dc=org", "-w", "root")
	c.Stdin = strings.NewReader(ldif)
	testkit.MustRun(t, c)
}

// modifyAtOnce changes the directory while it is down, so that nobody who asks sees the
// half of the changes.
func (d *directory) modifyAtOnce(t testing.TB, ldif string) {
	t.Helper()
	d.Kill()
	c := command(testkit.System(t, "slapmodify"), "-f", d.conf)
	c.Stdin = strings.NewReader(ldif)
	testkit.MustRun(t, c)
	d.up(t)
}

// ofDuo is a running site that asks the directory duo, for bob, who has logged in once and
// has a key.
type ofDuo struct {
	*site
	ldap *directory
	bob  *person
	key  ssh.Signer
}

// university is the passphrase of everybody in the directory.
const university = "correct horse battery of the university"

const bobsEntry = "dn: uid=bob,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\nuid: bob\ncn: Bob\nsn: B\nuserPassword: " + university + "\n"

// forVisitors opens home to a group, closedToBarred closes it to another.
var (
	forVisitors    = testkit.Rule("visitors", "who: {realms: [duo/visitors]}", "where: {targets: [home.tinker]}", "may: [shell, exec]")
	closedToBarred = testkit.Rule("barred", "who: {realms: [duo/barred]}", "where: {targets: [home.tinker]}", "deny: true", "because: barred people stay out")
)

// siteOfDuo starts one with one home machine, for that member under those rules. Bob is in
// the group, if any, as alice is; the directory is asked every poll.
func siteOfDuo(t testing.TB, poll, group, member string, rules ...string) *ofDuo {
	t.Helper()
	ldap := startDirectory(t, university)
	ldap.modify(t, bobsEntry)
	if group != "" {
		ldap.modify(t, "dn: cn="+group+",dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\ncn: "+group+
			"\nmember: uid=alice,dc=example,dc=org\nmember: uid=bob,dc=example,dc=org\n")
	}
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{member}, []string{home.Target(t, "home")}, rules...)
	password := s.path("keys", "ldap_password")
	testkit.WriteFile(t, password, university+"\n")
	s.configure(func(c map[string]any) {
		c["realms"] = []any{map[string]any{"name": "duo", "ldap": map[string]any{"url": "ldap://" + ldap.addr, "timeout": "20s", "poll": poll,
			"search": map[string]any{"base": "dc=example,dc=org", "filter": "(uid={user})", "bind_dn": "uid=alice,dc=example,dc=org", "password_file": password},
			"groups": map[string]any{"base": "dc=example,dc=org", "filter": "(&(objectClass=groupOfNames)(member={dn}))", "attribute": "cn"}}}}
	})
	s.serve()
	bob := s.add("bob")
	s.mustEntry("user", "realm", "bob", "duo")
	d := &ofDuo{site: s, ldap: ldap, bob: bob}
	d.login().Close()
	bob.passphrase = university
	d.key = testkit.NewKeyFile(t, s.path("bob"))
	s.mustEntry("user", "key", "add", "bob", s.path("bob.pub"))
	return d
}

// login is a connection of bob's, who answers what those methods leave to ask.
func (d *ofDuo) login(methods ...ssh.AuthMethod) *ssh.Client {
	d.t.Helper()
	c, err := d.dial(d.bob, append(methods, d.bob.keyboard())...)
	if err != nil {
		d.t.Fatalf("%v (asked %q)", err, d.bob.asked())
	}
	d.t.Cleanup(func() { c.Close() })
	return c
}

// remember has bob's key remembered, by the login that it returns.
func (d *ofDuo) remember() *ssh.Client {
	d.t.Helper()
	c := d.login(ssh.PublicKeys(d.key))
	d.awaitEvent("key.remembered", func(e event) bool { return e.User == "bob" })
	return c
}

// isForgotten checks that bob's remembered key opens nothing any more.
func (d *ofDuo) isForgotten() {
	d.t.Helper()
	d.bob.asked()
	d.bob.mistakes("")
	if c, err := d.dial(d.bob, ssh.PublicKeys(d.key), d.bob.keyboard()); err == nil {
		c.Close()
		d.t.Error("the remembered key still opens a connection")
	}
}

// TestWhoLeavesTheDirectoryLosesAccess: what a realm's user has open ends, and
// their remembered keys with it, at the poll after the directory has let them go;
// what a group gave ends with the group. A directory that is down takes nothing.
func TestWhoLeavesTheDirectoryLosesAccess(t *testing.T) {
	beside(t)
	s := siteOfDuo(t, "1s", "visitors", "alice", strings.Replace(recordAll(), "who: {labs: [tinker]}", "who: {users: [alice]}", 1), forVisitors)
	ldap, login := s.ldap, s.login
	c := s.remember()
	long := func(c *ssh.Client, n int) {
		t.Helper()
		if _, err := s.jump(c, "home", "sleep 600"); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "the session", func() bool { return len(s.events("session.started")) == n })
	}
	ended := func(n int) event {
		t.Helper()
		testkit.Eventually(t, "its end", func() bool { return len(s.events("session.ended")) == n })
		return s.events("session.ended")[n-1]
	}

	// A directory that is down, for some polls, takes nothing.
	long(c, 1)
	ldap.Kill()
	polls := func() int { return strings.Count(s.proc.Stderr.String(), "look for the users of the directory duo") }
	testkit.Eventually(t, "polls of nobody", func() bool { return polls() >= 2 })
	if n := len(s.events("session.ended", "user.departed")); n != 0 {
		t.Errorf("%d ends while the directory is down", n)
	}
	ldap.up(t)

	// The group goes, and what it gave.
	ldap.modify(t, "dn: cn=visitors,dc=example,dc=org\nchangetype: modify\ndelete: member\nmember: uid=bob,dc=example,dc=org\n")
	if e := ended(1); e.User != "bob" {
		t.Errorf("%+v", e)
	}
	if n := len(s.events("user.departed")); n != 0 {
		t.Errorf("bob is said to have left")
	}
	ldap.modify(t, "dn: cn=visitors,dc=example,dc=org\nchangetype: modify\nadd: member\nmember: uid=bob,dc=example,dc=org\n")

	// The user goes.
	long(login(), 2)
	ldap.modify(t, "dn: uid=bob,dc=example,dc=org\nchangetype: delete\n")
	if e := s.awaitEvent("user.departed", nil); e.User != "bob" || e.Reason != "gone" {
		t.Errorf("%+v", e)
	}
	if e := ended(2); e.User != "bob" || e.Reason != "revoked" {
		t.Errorf("%+v", e)
	}
	s.isForgotten()
}

// TestDeniedGroupsHoldForRememberedKeys: a remembered key doesn't get past a rule that
// denies a group.
func TestDeniedGroupsHoldForRememberedKeys(t *testing.T) {
	beside(t)
	s := siteOfDuo(t, "5m", "barred", "bob", recordAll(), closedToBarred)
	for _, method := range []string{"passphrase+otp", "publickey+remembered"} {
		c := s.login(ssh.PublicKeys(s.key))
		if e := s.awaitEvent("login.succeeded", func(e event) bool { return e.Method == method }); e.User != "bob" {
			t.Errorf("%+v", e)
		}
		if _, err := s.jump(c, "home", "true"); err == nil {
			t.Errorf("%s: let past a rule that denies", method)
		}
		c.Close()
	}
	if n := len(s.events("session.started")); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// TestRememberedKeysBringGroups: what a directory's group opens is open to a remembered
// key at once, after a start as well; while the directory doesn't answer it isn't, and
// that is what the user reads. (The poll is once an hour.)
func TestRememberedKeysBringGroups(t *testing.T) {
	beside(t)
	s := siteOfDuo(t, "1h", "visitors", "alice", forVisitors)
	ldap, bob, key := s.ldap, s.bob, s.key
	s.remember().Close()
	reach := func(what string) error {
		t.Helper()
		c, err := s.dial(bob, ssh.PublicKeys(key))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer c.Close()
		_, err = s.jump(c, "home", "true")
		return err
	}
	doctor := func(code int, want string) {
		t.Helper()
		if r := s.entry("doctor", "bob"); r.Code != code || !strings.Contains(r.Stdout, want) || strings.Contains(r.Stdout, "in no lab") {
			t.Errorf("the doctor: %s", r)
		}
	}
	const opens, blind = "home.tinker: opens by rule visitors (tinker.yaml:", "note: what a group opens isn't known here: "
	const unknown = `whether "home" is yours isn't known: the directory duo, which tells your groups, doesn't answer; connect again in a minute`
	if err := reach("at once"); err != nil {
		t.Errorf("at once: %v", err)
	}
	doctor(0, opens)
	ldap.Kill()
	s.stop()
	doctor(3, blind+"only a login tells which groups the directory duo has them in\n")
	s.serve()
	doctor(1, blind+"the directory duo, which tells their groups, doesn't answer\n")
	if err := reach("without the directory"); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `\"`, `"`), unknown) {
		t.Errorf("without the directory, after a start: %v", err)
	}
	if e := s.awaitEvent("jump.refused", nil); e.User != "bob" || e.Reason != "groups-unknown" {
		t.Errorf("%+v", e)
	}
	if c, err := s.dial(bob, ssh.PublicKeys(key)); err != nil {
		t.Error(err)
	} else {
		session, err := c.NewSession()
		testkit.Check(t, err)
		out, _ := session.CombinedOutput("targets")
		if said := string(out); !strings.Contains(strings.Join(strings.Fields(said), " "), "What is yours by a group isn't known: the directory duo,") {
			t.Errorf("targets: %s", said)
		}
		c.Close()
	}
	ldap.up(t)
	doctor(0, opens)
	if err := reach("with the directory again"); err != nil {
		t.Errorf("with the directory again: %v", err)
	}
	s.stop()
	s.serve()
	if err := reach("after a start"); err != nil {
		t.Errorf("after a start: %v", err)
	}

	// Whom the directory has lost since isn't let in by a key, though no poll has come.
	ldap.Kill()
	s.stop()
	s.serve()
	ldap.up(t)
	ldap.modify(t, "dn: uid=bob,dc=example,dc=org\nchangetype: delete\n")
	if c, err := s.dial(bob, ssh.PublicKeys(key)); err == nil {
		c.Close()
		t.Error("somebody who is gone from the directory is let in by a remembered key")
	}
	doctor(1, "problem: the directory duo, asked for them now, lets them nowhere: gone\n")
}

// TestAnotherPersonOfThatName: an account that the directory has made anew between two
// polls is another person's. What the one before has open ends, with the remembered
// key and the authenticator. Before that, a login by the remembered key has the
// groups that the last poll has told of, allowed and denied.
func TestAnotherPersonOfThatName(t *testing.T) {
	beside(t)
	s := siteOfDuo(t, "1s", "visitors", "alice", forVisitors, closedToBarred)
	s.remember().Close()
	testkit.Eventually(t, "a session by the remembered key, through a group of the last poll's", func() bool {
		c, err := s.dial(s.bob, ssh.PublicKeys(s.key))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_, err = s.jump(c, "home", "sleep 600")
		return err == nil
	})
	if e := s.awaitEvent("session.started", nil); e.User != "bob" {
		t.Errorf("%+v", e)
	}
	s.ldap.modifyAtOnce(t, "dn: uid=bob,dc=example,dc=org\nchangetype: delete\n\n"+strings.Replace(bobsEntry, university, "another's phrase", 1))
	if e := s.awaitEvent("user.departed", nil); e.User != "bob" || e.Reason != "another-entry" {
		t.Errorf("%+v", e)
	}
	if e := s.awaitEvent("session.ended", nil); e.User != "bob" || e.Reason != "revoked" {
		t.Errorf("%+v", e)
	}
	if out := s.mustEntry("user", "show", "bob"); strings.Contains(out, "authenticator   ") {
		t.Errorf("%s", out)
	}
	s.isForgotten()
}

// TestWhoTheDirectoryHasEndedStaysOut: OpenLDAP takes the passphrase of an entry whose
// shadowExpire is over, 0 too, as it reads none of shadow's attributes. Whoever is
// ended so is let in at no login, whether a poll comes between or not.
func TestWhoTheDirectoryHasEndedStaysOut(t *testing.T) {
	beside(t)
	s := siteOfDuo(t, "1h", "", "bob", recordAll())
	ldap, bob := s.ldap, s.bob
	const dn = "dn: uid=bob,dc=example,dc=org\nchangetype: modify\n"
	ldap.modify(t, dn+"add: objectClass\nobjectClass: shadowAccount\n")
	ldap.modify(t, dn+"replace: shadowExpire\nshadowExpire: 0\n")
	bob.asked()
	bob.mistakes(university, bob.phone.code(t))
	if c, err := s.dial(bob); err == nil {
		c.Close()
		t.Fatal("let in")
	}
	if said := strings.ReplaceAll(strings.Join(bob.asked(), "\n"), "\n", " "); !strings.Contains(said, "Your account has expired in the directory duo: ask for help there.") {
		t.Errorf("%q", said)
	}
	bob.answering(nil)
	ldap.modify(t, dn+"replace: shadowExpire\nshadowExpire: -1\n")
	s.login().Close() // without an end
}
