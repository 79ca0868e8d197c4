package e2e

import (
	"fmt"
	"time"

	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"entry/e2e/testkit"
)

// TestTargetTrouble has one target for everything that can be wrong upstream.
// A user gets one line that says what to do; entry never connects on trust.
func TestTargetTrouble(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	other := initSite(t) // another installation, whose user CA `stranger` trusts
	stranger := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: other.path("keys", "user_ca.pub")})
	frozen := s.startHome()
	ca := testkit.NewSigner(t)
	certified := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: s.path("keys", "user_ca.pub"), HostCA: ca, HostName: "certified.tinker"})
	misnamed := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: s.path("keys", "user_ca.pub"), HostCA: ca, HostName: "elsewhere"})
	elsewhere := testkit.Authorized(testkit.NewSigner(t).PublicKey())
	web := webServer(t, "not SSH at all")

	login := "default_login: " + testkit.Me(t)
	hostCA := fmt.Sprintf("host_ca: [%q]", testkit.Authorized(ca.PublicKey()))
	s.setPolicy([]string{"alice", "bob"}, []string{
		home.Target(t, "home"),
		testkit.TargetLine("down", fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)), home.HostKey(), login),
		testkit.TargetLine("changed", home.Addr(), elsewhere, login),
		testkit.TargetLine("stranger", stranger.Addr(), stranger.HostKey(), login),
		testkit.TargetLine("account", home.Addr(), home.HostKey(), "default_login: no-such-account"),
		testkit.TargetLine("frozen", frozen.Addr(), frozen.HostKey(), login),
		testkit.TargetLine("web", fmt.Sprintf("127.0.0.1:%d", web), home.HostKey(), login),
		testkit.TargetLine("certified", certified.Addr(), "", hostCA, login),
		testkit.TargetLine("misnamed", misnamed.Addr(), "", hostCA, login),
		fmt.Sprintf("      spare: {address: [%q, %q], host_keys: [%q], %s}", fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)), home.Addr(), home.HostKey(), login),
	}, recordAll())
	s.configure(func(c map[string]any) { section(c, "limits")["dial"] = patient(2*time.Second, 10*time.Second) })
	s.serve()
	frozen.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { frozen.Signal(syscall.SIGCONT) })
	c := s.client(s.enrolled("alice"))
	master := c.master()

	for name, want := range map[string]struct {
		says  string
		event string
	}{
		"down":     {`down\.tinker does not answer`, "upstream.failed"},
		"changed":  {`host key of changed\.tinker is not the one on record`, "hostkey.changed"},
		"stranger": {`stranger\.tinker does not accept entry's certificate`, "upstream.failed"},
		"account":  {`account\.tinker does not accept entry's certificate for account "no-such-account"`, "upstream.failed"},
		"frozen":   {`frozen\.tinker`, "upstream.failed"},
		"web":      {`web\.tinker answers, but not as an SSH server`, "upstream.failed"},
		"misnamed": {`host key of misnamed\.tinker`, "hostkey.changed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := c.jumpTo(master, name+".tinker", "echo in")
			if r.Code != 255 || r.Stdout != "" || !regexp.MustCompile(want.says).MatchString(r.Stderr) {
				t.Errorf("%s", r)
			}
			if r.Took > testkit.Bound(15*time.Second) {
				t.Errorf("took %s", r.Took)
			}
			e := s.awaitEvent(want.event, func(e event) bool { return e.Target == name+".tinker" })
			if e.Ref == "" || !strings.Contains(r.Stderr, e.Ref) {
				t.Errorf("the user can't quote the reference %q: %s", e.Ref, r.Stderr)
			}
			// Nothing internal reaches the user.
			for _, internal := range []string{"127.0.0.1:" + strconv.Itoa(home.Port), "connection refused", "ssh: "} {
				if strings.Contains(r.Stderr, internal) {
					t.Errorf("the user is told %q: %s", internal, r.Stderr)
				}
			}
		})
	}
	for _, name := range []string{"home", "certified.tinker", "spare.tinker"} {
		t.Run(name, func(t *testing.T) {
			if r := testkit.Run(t, c.ssh("-J", "entry", name, "echo in")); r.Code != 0 || r.Stdout != "in\n" {
				t.Errorf("%s", r)
			}
		})
	}
	t.Run("on a terminal", func(t *testing.T) {
		w := onTerminal(t, c.ssh("-J", "entry", "changed.tinker"))
		w.expect(`(?m)entry: [^\r\n]*not the one on record[^\r\n]*\r\n`)
		if code := w.wait(); code != 255 {
			t.Errorf("exit status %d: %q", code, w.text())
		}
	})
	t.Run("one trouble doesn't disturb others", func(t *testing.T) {
		shell := onTerminal(t, c.home(nil))
		shellAnswers(shell)
		p := testkit.Start(t, "ssh frozen", c.ssh("-J", "entry", "frozen.tinker", "true"))
		shellAnswers(shell)
		p.Wait()
		shellAnswers(shell)
	})
}

// TestTargetDies: a target that goes away in the middle ends its sessions, in
// words, and nobody else's.
func TestTargetDies(t *testing.T) {
	beside(t)
	s := initSite(t)
	home, doomed := s.startHome(), s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home"), doomed.Target(t, "doomed")}, recordAll())
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	here := onTerminal(t, c.home(nil))
	shellAnswers(here)
	there := onTerminal(t, c.ssh("-J", "entry", "doomed.tinker"))
	shellAnswers(there)
	doomed.KillSessions()
	there.expect(`(?i)entry: [^\r\n]*doomed\.tinker`)
	if code := there.wait(); code == 0 {
		t.Error("exit status 0 although the target died")
	}
	shellAnswers(here)
	s.awaitEvent("session.ended", func(e event) bool { return e.Target == "doomed.tinker" })
}

func TestTargetNames(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	testkit.WriteFile(t, s.path("policy.d", "labs.yaml"), fmt.Sprintf(`labs:
  tinker:
    members: [alice, dora]
    targets:
%s
  forge:
    members: [alice, dora]
    targets:
%s
  closed:
    members: [bob]
    targets:
%s
default_lab: {dora: forge}
rules:
  - name: members
    who: {labs: [tinker, forge]}
    where: {labs: [tinker, forge]}
    may: [shell, exec]
    record: full
`, home.Target(t, "home")+"\n"+home.Target(t, "bench"), home.Target(t, "home"), home.Target(t, "vault")))
	s.serve()
	c := s.client(s.enrolled("alice"))
	master := c.master()
	for name, says := range map[string]string{
		"nowhere":          `no target "nowhere"; yours: .*bench\.tinker`,
		"home":             `"home" is ambiguous; ask for home\.forge, home\.tinker`,
		"127.0.0.1":        `"127\.0\.0\.1" is an address; ask for a target by its name; yours: `,
		"vault":            `no target "vault"`,
		"vault.closed":     `no target|vault.closed isn't open to you`,
		"home.tinker.evil": `no target`,
	} {
		port, told := "22", `Received disconnect from UNKNOWN port 65535:7`
		if name == "127.0.0.1" { // a forward like any other, it has no SSH of entry's behind it
			port, told = strconv.Itoa(home.Port), `administratively prohibited`
		}
		r := c.jumpTo(master, "-p", port, "-o", "HostKeyAlias=home", name, "echo in")
		if r.Code != 255 || r.Stdout != "" || !regexp.MustCompile(told+`: entry: .*(`+says+`).*\(ref \w+\)`).MatchString(r.Stderr) {
			t.Errorf("%s: %s", name, r)
		}
	}
	if r := c.jumpTo(master, "-o", "HostKeyAlias=bench.tinker", "bench", "echo in"); strings.Contains(r.Stderr, "ambiguous") {
		t.Errorf("bench is unique: %s", r)
	}
	dora := s.client(s.enrolled("dora"))
	if r := testkit.Run(t, dora.exec("echo in")); r.Code != 0 || r.Stdout != "in\n" {
		t.Errorf("with a default lab: %s", r)
	}
	s.awaitEvent("session.started", func(e event) bool { return e.Target == "home.forge" && e.User == "dora" })

	// Somebody without a lab gets in, and nowhere.
	nobody := s.client(s.enrolled("nolab"))
	if r := testkit.Run(t, nobody.exec("echo in")); r.Code != 255 || r.Stdout != "" {
		t.Errorf("no lab: %s", r)
	}
	s.awaitEvent("jump.refused", func(e event) bool { return e.User == "alice" && e.Reason == "ambiguous-target" })
}

// TestPassthrough: the target's own prompts, its forced reset included, reach
// the user, marked with its name; the answers stay out of all records.
func TestPassthrough(t *testing.T) {
	beside(t)
	s := initSite(t)
	target := startStubbornTarget(t)
	s.setPolicy([]string{"alice", "bob"}, []string{
		testkit.TargetLine("home", target.addr(), target.hostKey, "auth: passthrough", "default_login: worker"),
	}, recordAll())
	s.serve()
	alice := s.enrolled("alice")
	c := s.client(alice).byHand()
	w := onTerminal(t, c.exec("run something"))
	answerLogin(w, alice)
	w.expect(`\[home\.tinker\] .*Target password: $`)
	w.sendLine(target.password)
	w.expect(`\[home\.tinker\] You are required to change your password\.`)
	w.expect(`\[home\.tinker\] New target password: $`)
	w.sendLine(target.next)
	w.expect(`\[home\.tinker\] Retype new target password: $`)
	w.sendLine(target.next)
	w.expect(`stubborn target got: run something`)
	if code := w.wait(); code != 5 {
		t.Errorf("exit status %d, want 5: %q", code, w.text())
	}
	if strings.ContainsAny(w.text(), "\x1b\a") {
		t.Errorf("the target's control sequences reach the terminal: %q", w.text())
	}
	if len(target.users) != 1 || target.users[0] != "worker" {
		t.Errorf("logged in as %q, want worker", target.users)
	}
	s.awaitSessions(1)

	t.Run("wrong answers don't reach the target's lockout", func(t *testing.T) {
		tries := target.tries
		bob := s.enrolled("bob")
		c := s.client(bob)
		bob.answering(func(prompt string) (string, bool) {
			if strings.Contains(prompt, "[home.tinker]") {
				return "wrong", true
			}
			return bob.rightAnswer(prompt)
		})
		if r := testkit.Run(t, c.exec("x")); r.Code != 255 || strings.Contains(r.Stdout, "stubborn") {
			t.Errorf("%s", r)
		}
		if n := target.tries - tries; n == 0 || n > 3 {
			t.Errorf("%d tries reached the target, want 1 to 3", n)
		}
	})
	s.stop()
	found := grepTree(t, s.dir, target.password, target.next)
	if len(found) != 0 {
		t.Errorf("answers to the target were kept: %q", found)
	}
}

// TestInnerUser: the inner user name picks an account from the login map and
// nothing else.
func TestInnerUser(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{
		testkit.TargetLine("home", home.Addr(), home.HostKey(), fmt.Sprintf("default_login: %s", testkit.Me(t)), fmt.Sprintf("logins: {alice: [%s, analysis]}", testkit.Me(t))),
	}, recordAll())
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	for asked, wantLogin := range map[string]string{"bob": testkit.Me(t), testkit.Me(t): testkit.Me(t), "analysis": "analysis"} {
		r := testkit.Run(t, c.home([]string{"-l", asked}, "id -un"))
		if wantLogin == testkit.Me(t) && (r.Code != 0 || strings.TrimSpace(r.Stdout) != wantLogin) {
			t.Errorf("asked for %q: %s", asked, r)
		}
		// There is no such account here, so the target's refusal names it.
		if wantLogin != testkit.Me(t) && (r.Code != 255 || !strings.Contains(r.Stderr, strconv.Quote(wantLogin))) {
			t.Errorf("asked for %q: %s", asked, r)
		}
	}
	s.awaitEvent("session.started", func(e event) bool { return e.Login == testkit.Me(t) && strings.Contains(e.line, `"bob"`) })
}

// grepTree looks for secrets in every file below dir, as they are and hex,
// base64 or base32 encoded. It gives "file: secret" lines.
func grepTree(t testing.TB, dir string, secrets ...string) []string {
	t.Helper()
	var found []string
	eachFile(t, dir, func(path, text string) {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			for _, form := range disguises(secret) {
				if strings.Contains(text, form) {
					found = append(found, rel+": "+form)
				}
			}
		}
	})
	return found
}
