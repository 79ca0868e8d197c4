package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"entry/e2e/testkit"
)

// TestAuditorsChange: an auditor who is added, with an SSH key of ssh-keygen's, opens what
// starts after SIGHUP and nothing of before; one who is removed opens nothing more. A file
// that can't be used changes nothing, and is named with its line, in the log and by check.
func TestAuditorsChange(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	c.master()
	n := 0
	session := func(word string) string {
		testkit.MustRun(t, c.exec("echo "+word))
		n++
		return s.awaitSessions(n)[n-1].ID
	}
	file := s.path("keys", "auditors.pub")
	first := testkit.ReadFile(t, file)
	key := s.path("carol")
	testkit.MustRun(t, command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key))
	reload := func(text, kind string) event {
		t.Helper()
		had := len(s.events(kind))
		testkit.WriteFile(t, file, text)
		s.proc.Signal(syscall.SIGHUP)
		var e event
		testkit.Eventually(t, kind, func() bool {
			all := s.events(kind)
			if len(all) == had {
				return false
			}
			e = all[len(all)-1]
			return e.Reason == "auditors"
		})
		return e
	}
	opens := func(id, identity string) bool {
		t.Helper()
		r := s.entry("sessions", "export", id, "--format", "text", "--identity", identity)
		if r.Code != 0 && r.Code != 3 {
			t.Errorf("%s", r)
		}
		return r.Code == 0
	}

	before := session("one")
	both := first + testkit.ReadFile(t, key+".pub")
	if e := reload(both, "config.reloaded"); !strings.Contains(e.line, "auditors of all other labs: added ssh-ed25519 AAAA") {
		t.Errorf("%s", e.line)
	}
	after := session("two")
	carol, old := key, s.path("auditor.key")
	if opens(before, carol) || !opens(after, carol) || !opens(before, old) || !opens(after, old) {
		t.Error("another auditor opens what started before, or not what started after")
	}

	testkit.WriteFile(t, file, "")
	pq := testkit.Must(age.GenerateHybridIdentity())(t).Recipient().String()
	if e := reload(both+pq+"\n", "config.refused"); !strings.Contains(e.line, "auditors.pub:3: a post-quantum key, and line 1 has a classic key") {
		t.Errorf("%s", e.line)
	}
	if r := s.entry("check"); r.Code == 0 || !strings.Contains(r.Stderr, file+":3: a post-quantum key, and line 1 has a classic key") {
		t.Errorf("check: %s", r)
	}
	// It has no say in the policy.
	loaded := len(s.events("policy.loaded"))
	s.mustEntry("policy", "apply")
	if now := len(s.events("policy.loaded")); now != loaded+1 {
		t.Errorf("policy.loaded %d times beside a bad file of auditors' keys, before %d", now, loaded)
	}
	if still := session("three"); !opens(still, carol) || !opens(still, old) {
		t.Error("a file that can't be used changes who opens what is recorded")
	}

	if e := reload(testkit.ReadFile(t, key+".pub"), "config.reloaded"); !strings.Contains(e.line, "removed "+strings.Fields(first)[0][:20]) {
		t.Errorf("%s", e.line)
	}
	if last := session("four"); !opens(last, carol) || opens(last, old) {
		t.Error("who was removed still opens what is recorded")
	}
	if _, err := os.Stat(key); err != nil {
		t.Error(err)
	}
	s.mustEntry("audit", "verify")
}
