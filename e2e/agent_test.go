package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestAgent forwards the user's agent to home where a rule allows it, and only
// there; entry itself never sees one.
func TestAgent(t *testing.T) {
	t.Parallel()
	s := initSite(t)
	home, strict := s.startHome(), s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.target(t, "home"), strict.target(t, "strict")},
		strings.NewReplacer("where: {labs: [tinker]}", "where: {targets: [home.tinker]}").Replace(rule("with-agent", "may: [shell, exec, agent]", "record: full")),
		strings.NewReplacer("where: {labs: [tinker]}", "where: {targets: [strict.tinker]}").Replace(rule("without-agent", "may: [shell, exec]", "record: full")))
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	key := filepath.Join(tempDir(t), "id")
	newKeyFile(t, key)
	agent := startAgent(t, key)
	fingerprint := strings.Fields(mustRun(t, command("ssh-keygen", "-lf", key+".pub")).stdout)[1]

	ask := func(target string) result {
		cmd := c.ssh("-A", "-J", "entry", target, "ssh-add -l; true")
		cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK="+agent)
		return run(t, cmd)
	}
	if r := ask("home"); !strings.Contains(r.stdout, fingerprint) {
		t.Errorf("allowed: %s", r)
	}
	if r := ask("strict.tinker"); strings.Contains(r.stdout, fingerprint) || r.code != 0 {
		t.Errorf("not allowed: %s", r)
	}
	s.awaitEvent("channel.refused", func(e event) bool {
		return e.Capability == "agent" && strings.HasPrefix(e.Rule, "without-agent (")
	})
	s.awaitEvent("forward.opened", func(e event) bool { return e.Capability == "agent" && e.Target == "home.tinker" })
}
