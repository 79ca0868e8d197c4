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

// bob is bob's entry in the directory.
func (d *directory) bob(t testing.TB, phrase string) {
	t.Helper()
	d.modify(t, "dn: uid=bob,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\nuid: bob\ncn: Bob\nsn: B\nuserPassword: "+phrase+"\n")
}

// directoryOfBob is a directory with bob in it, and in that group.
func directoryOfBob(t testing.TB, phrase, group string) *directory {
	t.Helper()
	d := startDirectory(t, phrase)
	d.bob(t, phrase)
	d.modify(t, "dn: cn="+group+",dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\ncn: "+group+"\nmember: uid=bob,dc=example,dc=org\n")
	return d
}

// asks has the site ask the directory, as alice of that passphrase, for users and
// their groups.
func (s *site) asks(ldap *directory, phrase, poll string) {
	s.t.Helper()
	password := s.path("keys", "ldap_password")
	testkit.WriteFile(s.t, password, phrase+"\n")
	s.configure(func(c map[string]any) {
		c["realms"] = []any{map[string]any{"name": "duo", "ldap": map[string]any{"url": "ldap://" + ldap.addr, "timeout": "20s", "poll": poll,
			"search": map[string]any{"base": "dc=example,dc=org", "filter": "(uid={user})", "bind_dn": "uid=alice,dc=example,dc=org", "password_file": password},
			"groups": map[string]any{"base": "dc=example,dc=org", "filter": "(&(objectClass=groupOfNames)(member={dn}))", "attribute": "cn"}}}}
	})
}

// TestWhoLeavesTheDirectoryLosesAccess: what a realm's user has open ends, and
// their remembered keys with it, at the poll after the directory has let them go;
// what a group gave ends with the group. A directory that is down takes nothing.
func TestWhoLeavesTheDirectoryLosesAccess(t *testing.T) {
	beside(t)
	const phrase = "correct horse battery of the university"
	ldap := startDirectory(t, phrase)
	ldap.bob(t, phrase)
	ldap.modify(t, `dn: cn=visitors,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: visitors
member: uid=alice,dc=example,dc=org
member: uid=bob,dc=example,dc=org
`)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")},
		strings.Replace(recordAll(), "who: {labs: [tinker]}", "who: {users: [alice]}", 1), testkit.Rule("visitors", "who: {realms: [duo/visitors]}", "where: {targets: [home.tinker]}", "may: [shell, exec]"))
	s.asks(ldap, phrase, "1s")
	s.serve()
	bob, key := s.ofDirectory("bob", phrase)
	login := func(methods ...ssh.AuthMethod) *ssh.Client {
		t.Helper()
		c, err := s.dial(bob, append(methods, bob.keyboard())...)
		if err != nil {
			t.Fatalf("%v (asked %q)", err, bob.asked())
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := login(ssh.PublicKeys(key))
	s.awaitEvent("key.remembered", func(e event) bool { return e.User == "bob" })
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
	s.isForgotten(bob, key)
}

// TestDeniedGroupsHoldForRememberedKeys: a remembered key doesn't get past a rule that
// denies a group.
func TestDeniedGroupsHoldForRememberedKeys(t *testing.T) {
	beside(t)
	const phrase = "correct horse battery of the university"
	ldap := directoryOfBob(t, phrase, "barred")
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"bob"}, []string{home.Target(t, "home")}, recordAll(),
		testkit.Rule("barred", "who: {realms: [duo/barred]}", "where: {targets: [home.tinker]}", "deny: true", "because: barred people stay out"))
	s.asks(ldap, phrase, "5m")
	s.serve()
	bob, key := s.ofDirectory("bob", phrase)
	for _, method := range []string{"passphrase+otp", "publickey+remembered"} {
		c, err := s.dial(bob, ssh.PublicKeys(key), bob.keyboard())
		if err != nil {
			t.Fatalf("%s: %v (asked %q)", method, err, bob.asked())
		}
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
	const phrase = "correct horse battery of the university"
	ldap := directoryOfBob(t, phrase, "visitors")
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")},
		testkit.Rule("visitors", "who: {realms: [duo/visitors]}", "where: {targets: [home.tinker]}", "may: [shell, exec]"))
	s.asks(ldap, phrase, "1h")
	s.serve()
	bob, key := s.ofDirectory("bob", phrase)
	c, err := s.dial(bob, ssh.PublicKeys(key), bob.keyboard())
	if err != nil {
		t.Fatalf("%v (asked %q)", err, bob.asked())
	}
	c.Close()
	s.awaitEvent("key.remembered", func(e event) bool { return e.User == "bob" })
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
	const unknown = `whether "home" is yours isn't known: the directory duo, which tells your groups, doesn't answer; connect again in a minute`
	if err := reach("at once"); err != nil {
		t.Errorf("at once: %v", err)
	}
	ldap.Kill()
	s.stop()
	s.serve()
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
}

// TestAnotherPersonOfThatName: an account that the directory has made anew between two
// polls is another person's. What the one before has open ends, with the remembered
// key and the authenticator. Before that, a login by the remembered key has the
// groups that the last poll has told of, allowed and denied.
func TestAnotherPersonOfThatName(t *testing.T) {
	beside(t)
	const phrase = "correct horse battery of the university"
	ldap := directoryOfBob(t, phrase, "visitors")
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")},
		testkit.Rule("visitors", "who: {realms: [duo/visitors]}", "where: {targets: [home.tinker]}", "may: [shell, exec]"),
		testkit.Rule("barred", "who: {realms: [duo/barred]}", "where: {targets: [home.tinker]}", "deny: true", "because: barred people stay out"))
	s.asks(ldap, phrase, "1s")
	s.serve()
	bob, key := s.ofDirectory("bob", phrase)
	c, err := s.dial(bob, ssh.PublicKeys(key), bob.keyboard())
	if err != nil {
		t.Fatalf("%v (asked %q)", err, bob.asked())
	}
	c.Close()
	s.awaitEvent("key.remembered", func(e event) bool { return e.User == "bob" })
	testkit.Eventually(t, "a session by the remembered key, through a group of the last poll's", func() bool {
		if c, err = s.dial(bob, ssh.PublicKeys(key)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_, err := s.jump(c, "home", "sleep 600")
		return err == nil
	})
	if e := s.awaitEvent("session.started", nil); e.User != "bob" {
		t.Errorf("%+v", e)
	}
	ldap.modify(t, "dn: uid=bob,dc=example,dc=org\nchangetype: delete\n\n"+
		"dn: uid=bob,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\nuid: bob\ncn: Bob\nsn: Another\nuserPassword: another's phrase\n")
	if e := s.awaitEvent("user.departed", nil); e.User != "bob" || e.Reason != "another-entry" {
		t.Errorf("%+v", e)
	}
	if e := s.awaitEvent("session.ended", nil); e.User != "bob" || e.Reason != "revoked" {
		t.Errorf("%+v", e)
	}
	if out := s.mustEntry("user", "show", "bob"); strings.Contains(out, "authenticator   ") {
		t.Errorf("%s", out)
	}
	s.isForgotten(bob, key)
}

// ofDirectory adds a user whose passphrase the directory duo has, and who has logged
// in once; the key is theirs too.
func (s *site) ofDirectory(name, phrase string) (*person, ssh.Signer) {
	s.t.Helper()
	p := s.add(name)
	s.mustEntry("user", "realm", name, "duo")
	c, err := s.dial(p)
	if err != nil {
		s.t.Fatalf("first login: %v (asked %q)", err, p.asked())
	}
	c.Close()
	p.passphrase = phrase
	key := testkit.NewKeyFile(s.t, s.path(name))
	s.mustEntry("user", "key", "add", name, s.path(name+".pub"))
	return p, key
}

// isForgotten checks that a remembered key opens nothing any more.
func (s *site) isForgotten(p *person, key ssh.Signer) {
	s.t.Helper()
	p.asked()
	p.mistakes("")
	if c, err := s.dial(p, ssh.PublicKeys(key), p.keyboard()); err == nil {
		c.Close()
		s.t.Error("the remembered key still opens a connection")
	}
}

// TestWhoTheDirectoryHasEndedStaysOut: OpenLDAP takes the passphrase of an entry whose
// shadowExpire is over, 0 too, as it reads none of shadow's attributes. Whoever is
// ended so is let in at no login, whether a poll comes between or not.
func TestWhoTheDirectoryHasEndedStaysOut(t *testing.T) {
	beside(t)
	const phrase = "correct horse battery of the university"
	ldap := startDirectory(t, phrase)
	ldap.bob(t, phrase)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"bob"}, []string{home.Target(t, "home")}, recordAll())
	s.asks(ldap, phrase, "1h")
	s.serve()
	bob, _ := s.ofDirectory("bob", phrase)
	const dn = "dn: uid=bob,dc=example,dc=org\nchangetype: modify\n"
	ldap.modify(t, dn+"add: objectClass\nobjectClass: shadowAccount\n")
	ldap.modify(t, dn+"replace: shadowExpire\nshadowExpire: 0\n")
	bob.asked()
	bob.mistakes(phrase, bob.phone.code(t))
	if c, err := s.dial(bob); err == nil {
		c.Close()
		t.Fatal("let in")
	}
	if said := strings.ReplaceAll(strings.Join(bob.asked(), "\n"), "\n", " "); !strings.Contains(said, "Your account has expired in the directory duo: ask for help there.") {
		t.Errorf("%q", said)
	}
	bob.answering(nil)
	ldap.modify(t, dn+"replace: shadowExpire\nshadowExpire: -1\n")
	c, err := s.dial(bob)
	if err != nil {
		t.Fatalf("without an end: %v %q", err, bob.asked())
	}
	c.Close()
}
