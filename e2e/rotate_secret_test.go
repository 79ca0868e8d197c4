package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// TestRotateSecret changes the secret while users log in: codes and recovery codes are good
// throughout, searches find what either secret has hashed, and the one before opens nothing
// in the database any more.
func TestRotateSecret(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	unknown := func() {
		t.Helper()
		if c, err := s.dial(&person{t: t, name: "mallory", temporary: "no such passphrase"}); err == nil {
			c.Close()
			t.Error("mallory got in")
		}
	}
	comes := func(what string, p *person) {
		t.Helper()
		c, err := s.dial(p)
		if err != nil {
			t.Errorf("%s: %v, asked %q", what, err, p.asked())
			return
		}
		c.Close()
		p.asked()
	}
	unknown()
	old := testkit.ReadFile(t, s.path("keys", "secret"))
	s.mustEntry("keys", "rotate", "secret", "--reason", "yearly")
	comes("once it is begun", alice)
	s.stop()
	s.serve()
	comes("begun, after a restart", alice)
	s.mustEntry("keys", "rotate", "secret", "--abort")
	comes("once it is given up", alice)
	s.mustEntry("keys", "rotate", "secret")
	s.mustEntry("keys", "rotate", "secret", "--finish", "--reason", "yearly")
	comes("once it is finished", alice)
	unknown()
	found := regexp.MustCompile(`user_hash=(\S+)`).FindAllStringSubmatch(s.mustEntry("audit", "search", "--user", "mallory"), -1)
	hashes := map[string]bool{}
	for _, f := range found {
		hashes[f[1]] = true
	}
	if len(hashes) != 2 {
		t.Errorf("records of an unknown name, of before and after: %q", found)
	}
	now := testkit.ReadFile(t, s.path("keys", "secret"))
	if now == old || testkit.ReadFile(t, s.path("keys", "secret.old")) != old {
		t.Error("the files aren't the next one and the one before")
	}

	// What is in the database is the new one's alone, before any start has looked.
	s.stop()
	before := testkit.ReadFile(t, s.path("keys", "secret.old"))
	testkit.Check(t, os.Remove(s.path("keys", "secret.old")))
	s.serve()
	comes("with the new one alone", alice)
	testkit.WriteFile(t, s.path("keys", "secret"), old)
	s.proc.Signal(syscall.SIGHUP)
	testkit.Eventually(t, "the one of before opens nothing", func() bool {
		c, err := s.dial(alice)
		if err == nil {
			c.Close()
		}
		alice.asked()
		return err != nil
	})
	testkit.WriteFile(t, s.path("keys", "secret"), now)
	testkit.WriteFile(t, s.path("keys", "secret.old"), before)
	testkit.Check(t, os.Chmod(s.path("keys", "secret.old"), 0o600))
	s.stop()
	s.serve()

	// A recovery code from before.
	code, first := alice.recovery[0], true
	alice.answering(func(prompt string) (string, bool) {
		if first && askCode.MatchString(prompt) {
			first, alice.phone = false, nil // the lost one
			return code, true
		}
		return alice.rightAnswer(prompt)
	})
	comes("by a recovery code", alice)
	if len(s.events("recovery.used")) != 1 {
		t.Error("no recovery code was used")
	}
	var told []string
	for _, e := range s.events("rotation.begun", "rotation.finished", "rotation.aborted") {
		if !strings.Contains(e.line, `"reason":"secret"`) || !strings.Contains(e.line, `"key":"secret:`) || !strings.Contains(e.line, `"actor":`) {
			t.Errorf("on record: %s", e.line)
		}
		told = append(told, e.Type)
	}
	if got := strings.Join(told, " "); got != "rotation.begun rotation.aborted rotation.begun rotation.finished" {
		t.Errorf("on record: %s", got)
	}
	s.stop()
}

// TestRotateInAnAgent changes the log's key and the user CA where an ssh-agent holds them: the
// next ones are made there, and named by their public halves.
func TestRotateInAnAgent(t *testing.T) {
	beside(t)
	s := initSite(t)
	dir := testkit.ShortDir(t)
	key := func(name, text string) string {
		path := filepath.Join(dir, name)
		testkit.WriteFile(t, path, text)
		testkit.Check(t, os.Chmod(path, 0o600))
		return path
	}
	first := key("log", s.mustEntry("audit", "agent-key", s.path("keys", "audit.key")))
	agent := startAgent(t, first)
	add := func(path string) {
		t.Helper()
		cmd := command("ssh-add", "-q", path)
		cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK="+agent)
		testkit.MustRun(t, cmd)
	}
	add(s.path("keys", "user_ca"))
	testkit.Check(t, os.Remove(s.path("keys", "audit.key")))
	testkit.Check(t, os.Remove(s.path("keys", "user_ca")))
	s.configure(func(c map[string]any) {
		a := section(c, "audit")
		delete(a, "key")
		a["agent"] = agent
		section(c, "keys")["user_ca"] = map[string]any{"agent": agent, "public_key": "keys/user_ca.pub"}
	})
	trusted := s.path("trusted.ca")
	testkit.WriteFile(t, trusted, testkit.ReadFile(t, s.path("keys", "user_ca.pub")))
	home := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: trusted})
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	works := func(what string) {
		t.Helper()
		if r := testkit.Run(t, c.exec("echo here")); r.Code != 0 {
			t.Errorf("%s: %s", what, r)
		}
	}
	works("before")
	older := key("older.pub", testkit.ReadFile(t, s.path("keys", "audit.pub")))
	for what, place := range map[string]string{"audit": "audit.pub", "user-ca": "user_ca.pub"} {
		next := filepath.Join(dir, what)
		testkit.MustRun(t, command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", next))
		if r := s.entry("keys", "rotate", what); r.Code == 0 || !strings.Contains(r.Stderr, "--next FILE.pub") {
			t.Errorf("%s, without naming it: %s", what, r)
		}
		if r := s.entry("keys", "rotate", what, "--next", next+".pub"); r.Code == 0 || !strings.Contains(r.Stderr, "doesn't hold key") {
			t.Errorf("%s, which the agent hasn't got: %s", what, r)
		}
		add(next)
		before := testkit.ReadFile(t, s.path("keys", place))
		s.mustEntry("keys", "rotate", what, "--next", next+".pub")
		works(what + ", begun")
		s.mustEntry("keys", "rotate", what, "--finish", "--force", "--reason", "tried")
		if what == "user-ca" {
			testkit.WriteFile(t, trusted, testkit.ReadFile(t, next+".pub"))
		}
		works(what + ", finished")
		if testkit.ReadFile(t, s.path("keys", place)) == before {
			t.Errorf("%s wasn't changed", what)
		}
	}
	s.stop()
	s.serve()
	s.stop()
	if r := testkit.Run(t, command(built, "audit", "verify", "--log", s.path("audit"), "--witness", s.path("witness"), "--public-key", older)); r.Code != 0 || !strings.Contains(r.Stdout, "as the one before it signed") {
		t.Errorf("verify with the key of before: %s", r)
	}
}

// TestRotateKilled kills the verb at random moments of each step, while no server runs. What
// it leaves starts and verifies, and the same again goes on with it.
func TestRotateKilled(t *testing.T) {
	beside(t)
	s := initSite(t)
	s.mustEntry("user", "add", "alice")
	first := s.path("first.pub")
	testkit.WriteFile(t, first, testkit.ReadFile(t, s.path("keys", "audit.pub")))
	files := func(what string) string {
		return testkit.ReadFile(t, s.path("keys", map[string]string{"audit": "audit.pub", "user-ca": "user_ca.pub", "host-ca": "host_ca.pub", "secret": "secret"}[what]))
	}
	for _, what := range []string{"audit", "user-ca", "host-ca", "secret"} {
		before := files(what)
		began := time.Now()
		s.mustEntry("user", "unlock", "alice")
		whole := time.Since(began) // of a verb, on this machine now
		for _, step := range [][]string{nil, {"--abort"}, nil, {"--finish", "--force", "--reason", "tried"}} {
			args := append([]string{"keys", "rotate", what}, step...)
			for range testkit.Long(4, 40) {
				cmd := command(built, append(args, "--dir", s.dir)...)
				testkit.Check(t, cmd.Start())
				time.AfterFunc(rand.N(whole), func() { _ = cmd.Process.Kill() }) // it may have ended
				_ = cmd.Wait()                                                   // whether or not it was killed before its end
				if r := s.entry("check"); r.Code != 0 {
					t.Fatalf("check after %s %v was killed: %s", what, step, r)
				}
				if r := s.entry("user", "unlock", "alice"); r.Code != 0 {
					t.Fatalf("a start after %s %v was killed: %s", what, step, r)
				}
				v := testkit.Run(t, command(built, "audit", "verify", "--log", s.path("audit"), "--witness", s.path("witness"), "--public-key", first))
				if v.Code != 0 {
					t.Fatalf("verify after %s %v was killed: %s", what, step, v)
				}
			}
			if r := s.entry(args...); r.Code != 0 && !strings.Contains(r.Stderr, "there is no next key of "+what) {
				t.Fatalf("the same again: %s", r)
			}
		}
		if files(what) == before {
			t.Errorf("%s wasn't changed", what)
		}
		if r := s.entry("check"); strings.Contains(r.Stderr, "isn't finished") {
			t.Errorf("%s: %s", what, r)
		}
	}
}

// TestReplacedKeys is what the README says to do where a key is lost, and no backup has it.
func TestReplacedKeys(t *testing.T) {
	beside(t)
	s := initSite(t)
	trusted := s.path("trusted.ca")
	home := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: trusted})
	trust := func() { testkit.WriteFile(t, trusted, testkit.ReadFile(t, s.path("keys", "user_ca.pub"))) }
	trust()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	alice := s.enrolled("alice")
	s.stop()
	for _, key := range []string{"user_ca", "host_ca"} {
		testkit.Check(t, os.Remove(s.path("keys", key)))
		if r := s.entry("serve"); r.Code == 0 || !strings.Contains(r.Stderr, "keys."+key) {
			t.Errorf("serve without %s: %s", key, r)
		}
		testkit.MustRun(t, command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.path("keys", key)))
	}
	trust()
	s.serve()
	if r := testkit.Run(t, s.client(alice).exec("echo here")); r.Code != 0 {
		t.Errorf("with other CAs: %s", r)
	}
	s.stop()
	testkit.WriteFile(t, s.path("keys", "secret"), strings.Repeat("another secret. ", 2))
	s.serve()
	anew := &person{t: t, name: "alice", temporary: strings.TrimSpace(s.mustEntry("user", "reset", "alice"))}
	c, err := s.dial(anew)
	if err != nil {
		t.Fatalf("alice, reset, with another secret: %v", err)
	}
	testkit.Check(t, c.Close())
	if r := testkit.Run(t, s.client(anew).exec("echo here")); r.Code != 0 {
		t.Errorf("alice, enrolled anew: %s", r)
	}
}
