package bastion_test

import (
	"strings"
	"testing"
)

// closed tells whether a line says that a target isn't open.
func closed(line string) bool {
	return strings.Contains(line, "isn't open to you") || strings.Contains(line, "needs a new login")
}

// What a listing says is what connecting does, whatever the rule asks of the
// login: a listing that made a request of its own left out the login's method
// and realm, and so showed as denied what would have opened.
func TestListingsAgreeWithDecisions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule  string // what the rule for home says besides
		opens bool
	}{
		"a method that the login has":     {"    mfa: {methods: [otp]}\n", true},
		"a method that it hasn't":         {"    mfa: {methods: [sk]}\n", false},
		"a code that is recent enough":    {"    mfa: {max_age: 1h}\n", true},
		"a network that it isn't from":    {"    from: [192.0.2.0/24]\n", false},
		"the network that it is from":     {"    from: [127.0.0.0/8]\n", true},
		"a time that is over":             {"    valid: {until: 2026-01-01, zone: UTC}\n", false},
		"nothing but being in the policy": {"", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{policy: func(s *site) string { return s.policyText("", c.rule) }})
			alice := s.login("alice")
			list, _, _ := alice.verb("", "targets")
			doctor, _, _ := alice.verb("", "doctor")
			for what, text := range map[string]string{"targets": list, "doctor": doctor} {
				line := ""
				for l := range strings.Lines(text) {
					if strings.Contains(l, "home.tinker") {
						line = l
					}
				}
				if line == "" || closed(line) == c.opens {
					t.Errorf("%s says %q; it opens: %v", what, line, c.opens)
				}
			}
			if c.opens {
				alice.tries().in(t)
				return
			}
			if said := alice.refused(jumpTo("home", 22)); !closed(said) {
				t.Errorf("refused with %q", said)
			}
		})
	}
}
