package e2e

import (
	"crypto/rand"
	"os"
	"regexp"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// systemAccount makes a throw-away account of this machine with a password, and
// removes it when the test ends.
func systemAccount(t testing.TB, password string) string {
	t.Helper()
	name := "e2e" + strings.ToLower(rand.Text()[:12])
	testkit.MustRun(t, command(testkit.System(t, "useradd"), "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", name))
	t.Cleanup(func() {
		if r := testkit.Run(t, command(testkit.System(t, "userdel"), name)); r.Code != 0 {
			t.Errorf("userdel %s: %s", name, r)
		}
	})
	set := command(testkit.System(t, "chpasswd"))
	set.Stdin = strings.NewReader(name + ":" + password + "\n")
	testkit.MustRun(t, set)
	return name
}

// TestPassthroughToPAM: a real sshd asks for its own account's password, which
// has expired. Its prompts and the change that it forces reach the user inside
// the same `ssh -J`, and nothing of the answers is kept here.
func TestPassthroughToPAM(t *testing.T) {
	alone(t)
	if os.Geteuid() != 0 {
		t.Log("only root can make an account with an expired password; nothing was tested")
		return
	}
	const old, fresh = "homes-Old-password-17", "homes-New-password-71"
	account := systemAccount(t, old)
	testkit.MustRun(t, command(testkit.System(t, "chage"), "-d", "0", account))
	s := initSite(t)
	// The first line of a keyword counts, so these come before the harness's own.
	home := testkit.StartSSHD(t, testkit.SSHDOptions{Before: []string{"UsePAM yes", "KbdInteractiveAuthentication yes", "PubkeyAuthentication no"}})
	s.setPolicy([]string{"alice"}, []string{
		testkit.TargetLine("home", home.Addr(), home.HostKey(), "auth: passthrough", "default_login: "+account),
	}, recordAll())
	s.serve()
	alice := s.enrolled("alice")

	w := onTerminal(t, s.client(alice).byHand().exec("id -un; exit 8"))
	answerLogin(w, alice)
	w.expect(`\[home\.tinker\] .*[Pp]assword: $`)
	w.sendLine(old)
	// PAM says why, asks for the old one again and then twice for a new one.
	w.expect(`\[home\.tinker\] .*required to change your password`)
	w.expect(`\[home\.tinker\] .*[Cc]urrent [Pp]assword: $`)
	w.sendLine(old)
	w.expect(`\[home\.tinker\] New [Pp]assword: $`)
	w.sendLine(fresh)
	w.expect(`\[home\.tinker\] .*[Rr]etype new [Pp]assword: $`)
	w.sendLine(fresh)
	w.expect(regexp.QuoteMeta(account) + `\r?\n`)
	if code := w.wait(); code != 8 {
		t.Errorf("exit status %d, want 8: %q", code, w.text())
	}

	// From now on the new password alone.
	w = onTerminal(t, s.client(alice).byHand().exec("id -un; exit 9"))
	answerLogin(w, alice)
	w.expect(`\[home\.tinker\] .*[Pp]assword: $`)
	w.sendLine(fresh)
	w.expect(regexp.QuoteMeta(account) + `\r?\n`)
	if code := w.wait(); code != 9 || strings.Contains(w.text(), "required to change") {
		t.Errorf("exit status %d: %q", code, w.text())
	}
	for _, r := range s.awaitSessions(2) {
		if text := s.exportAll(r.ID); strings.Contains(text, old) || strings.Contains(text, fresh) {
			t.Errorf("a password of home is in recording %s", r.ID)
		}
	}
	if log := testkit.ReadFile(t, s.path("audit", "events.jsonl")); strings.Contains(log, old) || strings.Contains(log, fresh) {
		t.Error("a password of home is in the audit log")
	}
}
