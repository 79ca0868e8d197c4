package e2e

import (
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestRealmTargetsAreListed: what a rule opens to a directory's users, who are in
// no lab, stands in their list, in their files and in doctor, as it opens.
func TestRealmTargetsAreListed(t *testing.T) {
	beside(t)
	const phrase = "correct horse battery of the university"
	ldap := startDirectory(t, phrase)
	s := initSite(t)
	home := s.startHome()
	forRealm := testkit.Rule("uni", "who: {realms: [duo]}", "may: [shell, exec]", "record: full", "mfa: {methods: [otp]}")
	s.setPolicy([]string{"bob"}, []string{home.Target(t, "home")}, forRealm)
	s.configure(func(c map[string]any) {
		c["realms"] = []any{map[string]any{"name": "duo", "where": "https://accounts.example.org",
			"ldap": map[string]any{"url": "ldap://" + ldap.addr, "bind_dn": "uid={user},dc=example,dc=org", "timeout": "20s"}}}
	})
	s.serve()
	alice := s.add("alice")
	s.mustEntry("user", "realm", "alice", "duo")
	w := onTerminal(t, s.client(alice).byHand().exec("echo at-$((1+1)); exit 8"))
	w.expect(`entry passphrase: $`)
	w.sendLine(alice.temporary)
	alice.enrolDevice(w)
	w.expect(`home\.tinker needs a new login \(`) // the first one was by no code

	alice.passphrase = phrase
	conn, err := s.dial(alice)
	if err != nil {
		t.Fatalf("%v: asked %q", err, alice.asked())
	}
	defer conn.Close()
	for command, want := range map[string]string{
		"targets":        "ssh -J entry home",
		"doctor":         "ssh -J entry home",
		"config openssh": "Host home",
	} {
		sess, err := conn.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := sess.Output(command)
		if text := string(out); !strings.Contains(text, want) || strings.Contains(text, "denied: ") {
			t.Errorf("%s (%v) says\n%s", command, err, text)
		}
	}
}
