package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// otherSite is a running site and one enrolled user with their computer, for
// clients that aren't OpenSSH.
func otherSite(t *testing.T) (*site, *person, *client) {
	t.Helper()
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	return s, alice, s.client(alice)
}

// answerLogin types p's answers on a terminal.
func answerLogin(w *terminal, p *person) {
	w.t.Helper()
	w.expect(`entry passphrase: $`)
	w.sendLine(p.passphrase)
	w.expect(`entry one-time code: $`)
	w.sendLine(p.phone.code(w.t))
}

func TestPlink(t *testing.T) {
	beside(t)
	s, alice, c := otherSite(t)
	c = c.byHand()

	t.Run("user+target", func(t *testing.T) {
		w := onTerminal(t, c.command("plink", "-ssh", "-P", strconv.Itoa(s.port), "alice+home@127.0.0.1"))
		w.expect(`(?i)store key in cache\?.*\) $`)
		w.sendLine("y")
		answerLogin(w, alice)
		w.expect(`(?i)press return to begin session`)
		w.sendLine("")
		shellAfterPrompts(w)
		w.sendLine("exit 7")
		if code := w.wait(); code != 7 {
			t.Errorf("exit status %d, want 7: %q", code, w.text())
		}
	})
	t.Run("through PuTTY's SSH proxy", func(t *testing.T) {
		// The saved session is what PuTTY's window writes: proxy type "SSH to
		// proxy and use port forwarding" is number 6.
		dir := c.path(".putty", "sessions")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		testkit.WriteFile(t, filepath.Join(dir, "home"), fmt.Sprintf("Protocol=ssh\nHostName=home\nPortNumber=22\nUserName=%s\nProxyMethod=6\nProxyHost=127.0.0.1\nProxyPort=%d\nProxyUsername=alice\nProxyDNS=2\n", testkit.Me(t), s.port))
		w := onTerminal(t, c.command("plink", "-load", "home", "-no-antispoof", "echo at-$((1+1)); exit 8"))
		if m := w.expect(`(?i)(store key in cache\?.*\) $|entry passphrase: $)`); !strings.Contains(m[1], "passphrase") {
			w.sendLine("y")
			w.expect(`entry passphrase: $`)
		}
		w.sendLine(alice.passphrase)
		w.expect(`entry one-time code: $`)
		w.sendLine(alice.phone.code(t))
		w.expect(`(?i)store key in cache\?.*\) $`)
		w.sendLine("y")
		// PuTTY says that the channel comes from 0.0.0.0: anything on the
		// user's computer may be behind it, so the passphrase is asked once.
		w.expect(`entry passphrase: $`)
		w.sendLine(alice.passphrase)
		w.expect(`at-2\r?\n`)
		if code := w.wait(); code != 8 {
			t.Errorf("exit status %d, want 8: %q", code, w.text())
		}
	})
}

func TestDropbear(t *testing.T) {
	beside(t)
	s, alice, c := otherSite(t)
	c = c.byHand()
	if err := os.Mkdir(c.path(".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}

	t.Run("user+target", func(t *testing.T) {
		w := onTerminal(t, c.command("dbclient", "-y", "-p", strconv.Itoa(s.port), "alice+home@127.0.0.1"))
		answerLogin(w, alice)
		shellAfterPrompts(w)
		w.sendLine("exit 7")
		if code := w.wait(); code != 7 {
			t.Errorf("exit status %d, want 7: %q", code, w.text())
		}
	})
	t.Run("multi-hop", func(t *testing.T) {
		// It runs itself for the first hop, by the name it was called by.
		path, err := exec.LookPath("dbclient")
		if err != nil {
			t.Fatal(err)
		}
		w := onTerminal(t, c.command(path, "-y", fmt.Sprintf("alice@127.0.0.1/%d,%s@home", s.port, testkit.Me(t)), "echo at-$((1+1)); exit 8"))
		answerLogin(w, alice)
		w.expect(`at-2\r?\n`)
		if code := w.wait(); code != 8 {
			t.Errorf("exit status %d, want 8: %q", code, w.text())
		}
		if n := w.count("passphrase: "); n != 1 {
			t.Errorf("the passphrase was asked %d times: %q", n, w.text())
		}
	})
}

// python is the system's, which has the distribution's paramiko; another one
// may come first in PATH.
const python = "/usr/bin/python3"

func TestParamiko(t *testing.T) {
	beside(t)
	s, alice, c := otherSite(t)

	t.Run("jump", func(t *testing.T) {
		file := filepath.Join(testkit.ShortDir(t), "file")
		cmd := c.command(python, "testdata/paramiko_session.py", strconv.Itoa(s.port), "alice", askpassSocket(c.env), testkit.Me(t), file)
		r := testkit.Run(t, cmd)
		want := "stdout: from paramiko\nstderr: problem\nstatus: 11\nsftp: True\nsize: 20 90\n"
		if r.Code != 0 || r.Stdout != want {
			t.Errorf("%s", r)
		}
		if asked := strings.Join(alice.asked(), "|"); strings.Count(asked, "passphrase") != 2 || strings.Count(asked, "code") != 1 {
			t.Errorf("asked %q, want passphrase and code outside, passphrase inside", asked)
		}
	})
	t.Run("connect(password=)", func(t *testing.T) {
		r := testkit.Run(t, c.command(python, "testdata/paramiko_password.py", strconv.Itoa(s.port), "alice", alice.passphrase))
		if r.Code != 0 || !strings.HasPrefix(r.Stdout, "refused:") {
			t.Errorf("%s", r)
		}
	})
}

// askpassSocket finds the socket of client.env's askpass.
func askpassSocket(env []string) string {
	for _, v := range env {
		if s, ok := strings.CutPrefix(v, askpassVar+"="); ok {
			return s
		}
	}
	return ""
}

// TestForwardedJump is the originator rule: a jump channel that came out of a
// listening port of the client may have another local program behind it, so
// the inner connection asks for the passphrase, once.
func TestForwardedJump(t *testing.T) {
	beside(t)
	s, alice, c := otherSite(t)
	port := testkit.FreePort(t)
	p := testkit.Start(t, "ssh -L", c.ssh("-N", "-L", fmt.Sprintf("127.0.0.1:%d:home:22", port), "entry"))
	awaitListener(t, p, port)
	alice.asked()
	inner := func() testkit.Result {
		return testkit.Run(t, c.ssh("-p", strconv.Itoa(port), "-o", "HostKeyAlias=home", "127.0.0.1", "echo at-$((1+1)); exit 5"))
	}
	if r := inner(); r.Code != 5 || r.Stdout != "at-2\n" {
		t.Errorf("%s", r)
	}
	if asked := alice.asked(); len(asked) != 1 || !regexp.MustCompile(`entry passphrase: $`).MatchString(asked[0]) {
		t.Errorf("inner connection asked %q", asked)
	}
	alice.answering(func(string) (string, bool) { return "not the passphrase", true })
	if r := inner(); r.Code != 255 || strings.Contains(r.Stdout, "at-2") {
		t.Errorf("wrong passphrase: %s", r)
	}
	if r := testkit.Run(t, c.ssh("-o", "PreferredAuthentications=none", "-p", strconv.Itoa(port), "-o", "HostKeyAlias=home", "127.0.0.1", "echo at-$((1+1))")); r.Code != 255 || r.Stdout != "" {
		t.Errorf("none: %s", r)
	}
	s.awaitSessions(1)
}
