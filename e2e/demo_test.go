package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"entry/e2e/testkit"
)

// demo is `entry demo` on a directory.
type demo struct {
	*testkit.Program
	dir     string
	port    int
	command string // what it tells the user to paste
}

func startDemo(t testing.TB, dir string, port int) *demo {
	t.Helper()
	d := &demo{dir: dir, port: port}
	d.Program = testkit.Start(t, "entry demo", command(built, "demo", "--dir", dir, "--listen", fmt.Sprintf("127.0.0.1:%d", port)))
	d.WaitFor(regexp.MustCompile(`(?m)^ready`))
	m := d.WaitFor(regexp.MustCompile(`(?m)^\s*\$?\s*(ssh -F .*)$`))
	d.command = strings.TrimSpace(m[1])
	return d
}

// paste runs the printed command as a user pastes it into a terminal.
func (d *demo) paste(t testing.TB) *terminal {
	t.Helper()
	cmd := command("sh", "-c", "exec "+d.command)
	cmd.Env = append(cmd.Env, "HOME="+testkit.ShortDir(t))
	return onTerminal(t, cmd)
}

// stop is Ctrl-C.
func (d *demo) stop(t testing.TB) {
	t.Helper()
	d.Signal(syscall.SIGINT)
	if code := d.Wait(); code != 0 {
		t.Fatalf("entry demo ended with %d after Ctrl-C", code)
	}
}

// firstLogin takes a new user through the whole dialogue on a terminal and
// leaves them at home's shell.
func firstLogin(t testing.TB, w *terminal, p *person) {
	t.Helper()
	w.expect(`entry passphrase: $`)
	w.sendLine(p.temporary)

	// Each refused passphrase is answered by the rule it broke, in the next
	// prompt.
	w.expect(`New entry passphrase: $`)
	for _, refused := range []struct{ bad, why string }{
		{"short", `12 are needed`},
		{"password12345", `too easy to guess`},
		{p.name + "-" + p.name + "-" + p.name, `user name`},
		{p.temporary, `temporary passphrase`},
	} {
		w.sendLine(refused.bad)
		w.expect(strings.ReplaceAll(refused.why, " ", `\s+`) + `[^\r\n]*(\r?\n[^\r\n]+)?\r?\nNew entry passphrase: $`)
	}
	w.sendLine("one thing, then another")
	w.expect(`Repeat new entry passphrase: $`)
	w.sendLine("another thing, then one")
	w.expect(`not\s+the\s+same`)
	w.expect(`New entry passphrase: $`)
	w.sendLine(p.chosen())
	w.expect(`Repeat new entry passphrase: $`)
	w.sendLine(p.chosen())
	p.passphrase = p.chosen()

	w.expect(`entry one-time code: $`)
	w.sendLine("d")
	shown := w.expect(`(?s)(.*)entry one-time code: $`)[1]
	if strings.Count(shown, "█")+strings.Count(shown, "▀")+strings.Count(shown, "▄") < 100 {
		t.Errorf("no QR code in %q", shown)
	}
	m := groupedSecret.FindStringSubmatch(shown)
	if m == nil {
		t.Fatalf("no grouped secret in %q", shown)
	}
	p.phone = newAuthenticator(m[1])
	w.sendLine(p.phone.code(t))

	codes := w.expect(`(?s)((?:.*?[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}){8,}.*?: ?$)`)[1]
	p.recovery = recoveryCode.FindAllString(codes, -1)
	w.sendLine("")
}

func TestDemo(t *testing.T) {
	beside(t)
	dir, port := filepath.Join(testkit.ShortDir(t), "demo"), testkit.FreePort(t)
	d := startDemo(t, dir, port)

	want := fmt.Sprintf("ssh -F %s/ssh_config -J entry home", dir)
	if d.command != want {
		t.Errorf("printed command is %q, want %q", d.command, want)
	}
	for _, name := range []string{"ssh_config", "known_hosts", "alice.passphrase", "auditor.key", "entry.yaml"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		secret := name == "alice.passphrase" || name == "auditor.key"
		if secret && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode().Perm())
		}
	}
	if known := testkit.ReadFile(t, filepath.Join(dir, "known_hosts")); !regexp.MustCompile(`(?m)^@cert-authority home,\*\.tinker,entry ssh-ed25519 `).MatchString(known) {
		t.Errorf("known_hosts is %q", known)
	}

	alice := &person{t: t, name: "alice", temporary: strings.TrimSpace(testkit.ReadFile(t, filepath.Join(dir, "alice.passphrase")))}

	w := d.paste(t)
	firstLogin(t, w, alice)
	w.expect(`entry records all that home\.tinker shows here`) // the notice stands before anything home says
	shellAnswers(w)
	w.sendLine("exit 7")
	if code := w.wait(); code != 7 {
		t.Errorf("exit status %d, want 7: %q", code, w.text())
	}
	if len(alice.recovery) < 8 {
		t.Errorf("recovery codes: %q", alice.recovery)
	}
	noWarnings(t, w)

	w = d.paste(t)
	secondLogin(t, w, alice)
	w.sendLine("exit 7")
	if code := w.wait(); code != 7 {
		t.Errorf("second login: exit status %d, want 7", code)
	}
	noWarnings(t, w)

	// The same directory carries on: host keys, accounts, log.
	before := testkit.ReadFile(t, filepath.Join(dir, "known_hosts"))
	d.stop(t)
	d = startDemo(t, dir, port)
	if after := testkit.ReadFile(t, filepath.Join(dir, "known_hosts")); after != before {
		t.Errorf("known_hosts changed over a restart:\n%s\n%s", before, after)
	}
	w = d.paste(t)
	secondLogin(t, w, alice)
	w.sendLine("exit")
	if code := w.wait(); code != 0 {
		t.Errorf("login after restart: exit status %d", code)
	}

	s := &site{t: t, dir: dir, port: port}
	if all := s.awaitSessions(3); all[0].User != "alice" || all[0].Target != "home.tinker" || all[0].State != "complete" {
		t.Errorf("first session is %+v", all[0])
	}
	s.mustEntry("audit", "verify")
}

// secondLogin is every login but the first: passphrase and code, no more.
func secondLogin(t testing.TB, w *terminal, p *person) {
	t.Helper()
	w.expect(`entry passphrase: $`)
	w.sendLine(p.passphrase)
	w.expect(`entry one-time code: $`)
	w.sendLine(p.phone.code(t))
	shellAfterPrompts(w)
	for prompt, want := range map[string]int{"passphrase: ": 1, "code: ": 1, "New entry": 0} {
		if n := w.count(prompt); n != want {
			t.Errorf("%q was asked %d times, want %d: %q", prompt, n, want, w.text())
		}
	}
}

// shellAnswers waits for a shell that works. What it prints isn't what was
// typed, so that an echoing terminal can't pass for a shell.
func shellAnswers(w *terminal) {
	w.t.Helper()
	w.sendLine("echo sh''ell-$((40+2))")
	w.expect(`shell-42\r?\n`)
}

// shellAfterPrompts is shellAnswers behind prompts without echo: what is typed
// before the session's notice is dropped with what such a prompt left.
func shellAfterPrompts(w *terminal) {
	w.t.Helper()
	w.expect(`entry records all that `)
	shellAnswers(w)
}

// noWarnings checks that the client had nothing to complain about.
func noWarnings(t testing.TB, w *terminal) {
	t.Helper()
	if m := regexp.MustCompile(`(?i)warning|authenticity|fingerprint|permanently added`).FindString(w.text()); m != "" {
		t.Errorf("the client says %q: %q", m, w.text())
	}
}

// TestFirstLoginInOtherOrders checks first logins that don't go smoothly.
func TestFirstLoginInOtherOrders(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())

	t.Run("hanging up before the code keeps the temporary passphrase", func(t *testing.T) {
		alice := s.add("alice")
		var first string
		alice.answering(func(prompt string) (string, bool) {
			if m := groupedSecret.FindStringSubmatch(prompt); m != nil {
				first = m[1]
				return "", false
			}
			return alice.rightAnswer(prompt)
		})
		if c, err := s.dial(alice); err == nil {
			c.Close()
			t.Fatal("logged in without a code")
		}
		alice.passphrase = ""
		alice.answering(nil)
		c, err := s.dial(alice)
		if err != nil {
			t.Fatalf("second try: %v (asked %q)", err, alice.asked())
		}
		defer c.Close()
		if alice.phone.secret == newAuthenticator(first).secret {
			t.Error("an abandoned enrolment's secret was used again")
		}
	})
	t.Run("passphrase and code in one field", func(t *testing.T) {
		bob := s.enrolled("bob")
		bob.answering(func(prompt string) (string, bool) {
			if askPassphrase.MatchString(prompt) {
				return bob.passphrase + bob.phone.code(t), true
			}
			return "", false
		})
		c, err := s.dial(bob)
		if err != nil {
			t.Fatalf("one field: %v (asked %q)", err, bob.asked())
		}
		defer c.Close()
		if asked := bob.asked(); len(asked) != 1 {
			t.Errorf("asked %q, want one prompt", asked)
		}
	})
}
