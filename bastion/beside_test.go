package bastion_test

import (
	"strings"
	"testing"

	"entry/audit"
	"entry/e2e/testkit"
)

// What targets say beside files is bounded for a user, over sessions and connections.
func TestTransfersSayLittleInAllSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: func(s *site) string {
		home := testkit.TargetLine("home", s.home.addr, s.home.key(), "default_login: worker")
		return testkit.PolicyText([]string{"alice", "bob"}, []string{home}, testkit.Rule("all", testkit.On("home"), "may: [upload]", "record: manifest"))
	}})
	said := func(user string, sessions, each int) (bytes int) {
		for range sessions {
			c := s.login(user).jump("home")
			for range each {
				_, stderr, _ := run(t, c, "scp -t chatty")
				bytes += strings.Count(stderr, "secret") * len("secret")
			}
			_ = c.Close()
		}
		return bytes
	}
	if n := said("alice", 3, 8); n > 1<<20 || n < 1<<20-60_000 {
		t.Errorf("24 transfers of three sessions said %d bytes", n)
	}
	e := s.log.Await(t, audit.AlarmBeside, "words")
	if e.User != "alice" || e.Session == "" || e.Target != "home.tinker" {
		t.Errorf("%+v", e)
	}
	if n := said("bob", 1, 1); n != 60_000 {
		t.Errorf("another user's transfer said %d bytes", n)
	}
}
