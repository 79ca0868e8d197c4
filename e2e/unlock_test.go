package e2e

import (
	"strings"
	"testing"
)

// TestOperatorsUnlock: an operator sees from where a user is locked out and after
// what, lifts it by one verb that says what it did, and the user is in.
func TestOperatorsUnlock(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	cafe := source(7)
	for range 3 {
		stranger := &person{t: t, name: "alice"}
		stranger.mistakes("a", "000000", "b", "000000", "c", "000000")
		if c, err := s.dialFrom(cafe, stranger); err == nil {
			c.Close()
			t.Fatal("let in")
		}
	}
	if c, err := s.dialFrom(cafe, alice); err == nil {
		c.Close()
		t.Fatal("the lock lets her in")
	}
	says := func(r string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(r, w) {
				t.Errorf("nothing says %q:\n%s", w, r)
			}
		}
	}
	says(s.mustEntry("user", "show", "alice"), "failed logins   ", " from "+cafe+":", "source          "+cafe+": locked for this user until 20", ", after 9 failed logins\n")
	says(s.mustEntry("user", "show", "alice", "--json"), `"source_locks":[{"source":"`+cafe+`","failures":9,"until":"`, `"waiting":[]`)
	says(s.entry("doctor", "alice").Stdout, "problem: locked from "+cafe+" until 20", ": entry user unlock alice\n")
	if r := s.entry("doctor", "alice", "--from", source(8)); !strings.Contains(r.Stdout, "note: locked from "+cafe+", which is elsewhere, until 20") || strings.Contains(r.Stdout, "problem: locked") {
		t.Errorf("%s", r)
	}
	// Another address than hers, in whichever form it was printed, leaves hers locked.
	says(s.mustEntry("user", "unlock", "alice", "--source", source(8)), "alice: there was no lock to lift, neither the account's nor one from "+source(8)+"\n")
	for _, printed := range []string{source(8) + ":50022", source(8) + "/32", "2001:db8:1:2::/64", "[2001:db8:1:2::7]:50022"} {
		says(s.mustEntry("user", "unlock", "alice", "--source", printed), "alice: there was no lock to lift, neither the account's nor one from "+printed+"\n")
	}
	if r := s.entry("user", "unlock", "alice", "--source", source(8)+"/24"); r.Code != 2 || !strings.Contains(r.Stderr, "such as 2001:db8:1:2::/64") {
		t.Errorf("%s", r)
	}
	if r := s.entry("user", "unlock", "alice", "--source", "cafe"); r.Code != 2 || !strings.Contains(r.Stderr, "such as 192.0.2.7") {
		t.Errorf("%s", r)
	}
	says(s.mustEntry("user", "unlock", "alice"), "alice: lifted the lock from "+cafe+", which lasted until 20")
	if c, err := s.dialFrom(cafe, alice); err != nil {
		t.Errorf("she isn't let in: %v", err)
	} else {
		c.Close()
	}
	if shown := s.mustEntry("user", "show", "alice"); strings.Contains(shown, "locked") {
		t.Errorf("still %q", shown)
	}
	says(s.mustEntry("user", "unlock", "alice"), "alice: there was no lock to lift\n")
	if e := s.events("user.changed"); len(e) != 1 || !strings.HasPrefix(e[0].Detail, "unlocked: lifted the lock from "+cafe) {
		t.Errorf("%+v", e)
	}

	s.mustEntry("user", "disable", "alice")
	says(s.mustEntry("user", "enable", "alice"), "alice: admitted the account again\n")
	says(s.mustEntry("user", "enable", "alice"), "alice: nothing was to be done: the account was neither disabled, expired nor locked\n")
	if r := s.entry("user", "unlock", "nobody"); r.Code != 4 {
		t.Errorf("%s", r)
	}
}
