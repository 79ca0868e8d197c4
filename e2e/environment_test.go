package e2e

import (
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestEnvironmentByPolicy: a rule says which variables clients may set, as OpenSSH's
// own envpass test sets them, and operators see which weren't passed on.
func TestEnvironmentByPolicy(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome("AcceptEnv _*")
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll(), testkit.Rule("envpass", "may: [exec]", "env: [\"_*\", LC_*]", "record: full"))
	s.serve()
	alice := s.enrolled("alice")
	c := s.client(alice)
	c.master()
	run := func(options []string, want string, env ...string) {
		t.Helper()
		cmd := c.home(options, `echo "$_XXX_TEST_A/$_XXX_TEST_B/$MY_SECRET"`)
		cmd.Env = append(cmd.Env, env...)
		if r := testkit.Run(t, cmd); r.Code != 0 || r.Stdout != want+"\n" {
			t.Errorf("%q: %s", options, r)
		}
	}
	two := []string{"_XXX_TEST_A=1", "_XXX_TEST_B=2", "MY_SECRET=told"}
	run([]string{"-o", "SendEnv=_XXX_TEST_A"}, "1//", two...)
	run([]string{"-o", "SendEnv=_XXX_TEST_A _XXX_TEST_B"}, "1/2/", two...)
	run([]string{"-o", "SendEnv=_XXX_*"}, "1/2/", two...)
	run([]string{"-o", `SetEnv=_XXX_TEST_A=one _XXX_TEST_B="two words"`}, "one/two words/")
	run([]string{"-o", "SendEnv=_XXX_* MY_*"}, "1/2/", two...) // home itself would take MY_SECRET
	if r := s.entry("doctor", "alice", "--from", "127.0.0.1"); !strings.Contains(r.Stdout, "at the last program: left out of the environment: MY_SECRET; env in a rule lets clients set them\n") || strings.Contains(r.Stdout, "told") {
		t.Errorf("%s", r)
	}
	explained := s.entry("policy", "explain", "alice", "home", "--from", "127.0.0.1")
	if !strings.Contains(explained.Stdout, "; environment: COLORTERM, GIT_PROTOCOL, LANG, LC_*, TERM, _*\n") {
		t.Errorf("%s", explained)
	}
}
