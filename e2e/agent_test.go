package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestAgent forwards the user's agent to home where a rule allows it, and only
// there; entry itself never sees one.
func TestAgent(t *testing.T) {
	beside(t)
	s := initSite(t)
	home, strict := s.startHome(), s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home"), strict.Target(t, "strict")},
		testkit.Rule("with-agent", testkit.On("home"), "may: [shell, exec, agent]", "record: full"),
		testkit.Rule("without-agent", testkit.On("strict"), "may: [shell, exec]", "record: full"))
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	key := filepath.Join(testkit.ShortDir(t), "id")
	testkit.NewKeyFile(t, key)
	agent := startAgent(t, key)
	fingerprint := strings.Fields(testkit.MustRun(t, command("ssh-keygen", "-lf", key+".pub")).Stdout)[1]

	ask := func(target string) testkit.Result {
		cmd := c.ssh("-A", "-J", "entry", target, "ssh-add -l; true")
		cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK="+agent)
		return testkit.Run(t, cmd)
	}
	if r := ask("home"); !strings.Contains(r.Stdout, fingerprint) {
		t.Errorf("allowed: %s", r)
	}
	if r := ask("strict.tinker"); strings.Contains(r.Stdout, fingerprint) || r.Code != 0 {
		t.Errorf("not allowed: %s", r)
	}
	s.awaitEvent("channel.refused", func(e event) bool {
		return e.Capability == "agent" && strings.HasPrefix(e.Rule, "without-agent (")
	})
	s.awaitEvent("forward.opened", func(e event) bool { return e.Capability == "agent" && e.Target == "home.tinker" })
}
