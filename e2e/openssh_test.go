package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// recordAll is the rule that most labs have: everything allowed, everything
// recorded, forwards only to what is listed.
func recordAll(forwards ...int) string {
	listed := []string{`"127.0.0.1:1"`} // a rule with forward-local has to list something
	for _, port := range forwards {
		listed = append(listed, fmt.Sprintf(`"127.0.0.1:%d"`, port))
	}
	return testkit.Rule("all", testkit.MayAll, "forward_local: ["+strings.Join(listed, ", ")+"]", "forward_remote: [0]", "record: full")
}

// noise is n bytes that no codec likes; the same for the same seed.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	// ChaCha8.Read never fails.
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func TestShell(t *testing.T) {
	beside(t)
	s, home := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	// The prompts come on the terminal itself, as for every user.
	c := s.client(alice).byHand()
	w := onTerminal(t, c.home([]string{"-o", "SendEnv=LC_TEST"}))
	w.expect(`entry passphrase: $`)
	w.sendLine(alice.passphrase)
	w.expect(`entry one-time code: $`)
	w.sendLine(alice.phone.code(t))
	w.expect(`entry records all that home\.tinker shows here[^\r\n]*\r\n`) // one line, before anything of the target's
	shellAnswers(w)

	w.sendLine("stty size; tty")
	w.expect(`24 80\r\n/dev/pts/\d+\r\n`)
	// What is typed in the same moment may get there before the new size.
	w.resize(132, 50)
	w.sendLine("until stty size | grep -x '50 132'; do :; done")
	w.expect(`50 132\r\n`)
	w.sendLine("echo term=$TERM user=$(id -un) home=$HOME")
	w.expect(`term=xterm-256color user=` + testkit.Me(t) + ` home=` + regexp.QuoteMeta(home.Home) + `\r\n`)

	// Terminal modes: Ctrl-C reaches the program as a signal, echo can be off.
	// A program of its own, so that no shell is between two jobs just then.
	w.sendLine(`sh -c 'echo read""y; exec sleep 60'`)
	w.expect(`ready\r\n`)
	w.send("\x03")
	w.expect(`\^C[^$#]*[$#] $`)
	w.sendLine("echo status-$?")
	w.expect(`status-130\r\n`)
	w.sendLine("stty -echo; echo si''lent; read x; stty echo; echo got-$x")
	w.expect(`silent\r\n`)
	w.sendLine("whispered")
	w.expect(`got-whispered\r\n`)
	if n := w.count("whispered"); n != 1 {
		t.Errorf("with echo off, what was typed shows %d times", n-1)
	}
	// UTF-8 and every other byte get through a raw terminal unchanged.
	w.sendLine("stty raw -echo; echo ra''w; head -c 256 | od -An -v -tx1 | tr -d ' \\n'; stty sane; echo don''e")
	w.expect(`raw\n`)
	all := make([]byte, 256)
	var hex strings.Builder
	for i := range all {
		all[i] = byte(i)
		// "~." after a newline is the client's own escape; start elsewhere.
		fmt.Fprintf(&hex, "%02x", i)
	}
	w.send(string(all))
	w.expect(hex.String())
	w.expect(`done\r\n`)
	w.sendLine("exit 9")
	if code := w.wait(); code != 9 {
		t.Errorf("exit status %d, want 9", code)
	}
}

func TestExec(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	c.master()

	t.Run("streams stay apart", func(t *testing.T) {
		cmd := c.exec("cat; echo to-stderr >&2; exit 9")
		in := noise(1, 3<<20)
		cmd.Stdin = bytes.NewReader(in)
		r := testkit.Run(t, cmd)
		if r.Code != 9 || r.Stdout != string(in) || r.Stderr != "to-stderr\n" {
			t.Errorf("exit %d, %d bytes out (same: %v), stderr %q", r.Code, len(r.Stdout), r.Stdout == string(in), r.Stderr)
		}
	})
	t.Run("exit statuses", func(t *testing.T) {
		for _, want := range []int{0, 1, 2, 127, 255} {
			if r := testkit.Run(t, c.exec(fmt.Sprintf("exit %d", want))); r.Code != want || r.Stdout+r.Stderr != "" {
				t.Errorf("exit %d: %s", want, r)
			}
		}
	})
	t.Run("killed by a signal", func(t *testing.T) {
		// OpenSSH turns exit-signal into status 255.
		if r := testkit.Run(t, c.exec("kill -KILL $$")); r.Code != 255 {
			t.Errorf("%s", r)
		}
	})
	t.Run("end of input arrives", func(t *testing.T) {
		cmd := c.exec("wc -c; echo after")
		cmd.Stdin = strings.NewReader("12345")
		if r := testkit.Run(t, cmd); r.Code != 0 || r.Stdout != "5\nafter\n" {
			t.Errorf("%s", r)
		}
	})
	t.Run("large output keeps its bytes", func(t *testing.T) {
		file := filepath.Join(testkit.ShortDir(t), "large")
		data := noise(2, 80<<20) // beyond the 64 MiB that are recorded
		testkit.WriteFile(t, file, string(data))
		r := testkit.MustRun(t, c.exec("cat "+file))
		if sha256.Sum256([]byte(r.Stdout)) != sha256.Sum256(data) {
			t.Errorf("%d bytes came, differing", len(r.Stdout))
		}
	})
	t.Run("environment by allow-list", func(t *testing.T) {
		cmd := c.home([]string{"-o", "SendEnv=LC_TEST GIT_PROTOCOL MY_SECRET"}, "echo $LC_TEST/$GIT_PROTOCOL/$MY_SECRET")
		// home itself would take MY_SECRET.
		cmd.Env = append(cmd.Env, "LC_TEST=one", "GIT_PROTOCOL=version=2", "MY_SECRET=told")
		if r := testkit.MustRun(t, cmd); r.Stdout != "one/version=2/\n" {
			t.Errorf("%s", r)
		}
	})
	t.Run("environment of a rich desktop", func(t *testing.T) {
		cmd := c.home([]string{"-o", "SendEnv=*"}, "env | grep -c ^LC_MINE_")
		for i := range 400 {
			cmd.Env = append(cmd.Env, fmt.Sprintf("LC_MINE_%d=%d", i, i), fmt.Sprintf("DESKTOP_%d=%s", i, strings.Repeat("x", 100)))
		}
		// OpenSSH's sshd takes 128 and passes over the others (session.c).
		if r := testkit.Run(t, cmd); r.Code != 0 || r.Stdout != "129\n" && r.Stdout != "128\n" {
			t.Errorf("%s", r)
		}
	})
	t.Run("pty on demand", func(t *testing.T) {
		r := testkit.MustRun(t, c.home([]string{"-tt"}, "test -t 0 && echo is-a-tty"))
		if !strings.Contains(r.Stdout, "is-a-tty\r\n") {
			t.Errorf("%s", r)
		}
		if r := testkit.Run(t, c.home([]string{"-T"}, "test -t 0")); r.Code != 1 {
			t.Errorf("without -t: %s", r)
		}
	})
	t.Run("the client goes away", func(t *testing.T) {
		mark := filepath.Join(testkit.ShortDir(t), "mark")
		p := testkit.Start(t, "ssh", c.exec("trap 'echo gone > "+mark+"; exit' HUP PIPE TERM; while :; do echo tick; sleep 0.1; done"))
		p.WaitFor(regexp.MustCompile(`tick`))
		p.Kill()
		testkit.Eventually(t, "the program on the target notices", func() bool { return fileExists(mark) })
	})
	if events := s.events("exec.requested"); len(events) == 0 || strings.Contains(events[0].line, "to-stderr") {
		t.Errorf("exec.requested events hold the command: %+v", events)
	}
}

func TestSessionNames(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	c.master()
	for _, name := range []string{"home", "home.tinker", "HOME", "home.tinker."} {
		// One trailing dot and capitals are ways to write the same name. The
		// client's own host key check knows only the names the lab handed out.
		r := testkit.Run(t, c.ssh("-o", "HostKeyAlias=home", "-J", "entry", name, "echo at-home"))
		if r.Code != 0 || r.Stdout != "at-home\n" {
			t.Errorf("%s: %s", name, r)
		}
	}
}

func TestControlMaster(t *testing.T) {
	beside(t)
	s, home := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	c := s.client(alice)
	socket := c.path("inner")
	alice.asked()
	p := testkit.Start(t, "ssh master", c.home([]string{"-M", "-N", "-S", socket}))
	awaitMaster(c, p, socket, "home")
	if asked := alice.asked(); len(asked) != 2 {
		t.Errorf("one login asked %q", asked)
	}
	for i := range 5 {
		r := testkit.Run(t, c.ssh("-S", socket, "home", fmt.Sprintf("echo session %d; exit %d", i, i)))
		if r.Code != i || r.Stdout != fmt.Sprintf("session %d\n", i) {
			t.Errorf("session %d: %s", i, r)
		}
	}
	// Several at once, interleaved.
	first := onTerminal(t, c.ssh("-S", socket, "home"))
	second := onTerminal(t, c.ssh("-S", socket, "home"))
	shellAnswers(first)
	shellAnswers(second)
	first.sendLine("exit 4")
	if code := first.wait(); code != 4 {
		t.Errorf("first shell: exit status %d", code)
	}
	shellAnswers(second)
	second.sendLine("exit 5")
	if code := second.wait(); code != 5 {
		t.Errorf("second shell: exit status %d", code)
	}
	if asked := alice.asked(); len(asked) != 0 {
		t.Errorf("multiplexed sessions asked %q", asked)
	}
	testkit.MustRun(t, c.ssh("-S", socket, "-O", "exit", "home"))
	recs := s.awaitSessions(1)
	text := s.exportAll(recs[0].ID)
	for i := range 5 {
		if want := fmt.Sprintf("session %d", i); !strings.Contains(text, want) {
			t.Errorf("recording lacks %q", want)
		}
	}
	if n := home.Logins(); n != 1 {
		t.Errorf("%d logins at home, want 1", n)
	}
}

// TestWithoutJump is for clients that know no jump hosts.
func TestWithoutJump(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	bound := testkit.FreePort(t)
	s.configure(func(c map[string]any) {
		c["listeners"] = append(c["listeners"].([]any), map[string]any{"address": fmt.Sprintf("127.0.0.1:%d", bound), "target": "home.tinker"})
	})
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	alice := s.enrolled("alice")
	c := s.client(alice)
	for name, args := range map[string][]string{
		"alice+home@entry":           {"-l", "alice+home", "entry"},
		"listener bound to a target": {"-p", fmt.Sprint(bound), "entry"},
	} {
		t.Run(name, func(t *testing.T) {
			alice.asked()
			r := testkit.Run(t, c.ssh(append(args, "echo at-$((1+1)); exit 6")...))
			if r.Code != 6 || r.Stdout != "at-2\n" {
				t.Errorf("%s", r)
			}
			if asked := alice.asked(); len(asked) != 2 {
				t.Errorf("asked %q", asked)
			}
		})
	}
	s.awaitSessions(2)
}

// TestUntilTheReaderStops is `ssh … yes | head -1`: the writer has to hear that
// nobody reads any more, although entry stands between.
func TestUntilTheReaderStops(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	bound := testkit.Bound(15 * time.Second)
	r := testkit.Run(t, c.command("sh", "-c", fmt.Sprintf("timeout %d ssh -F %s -J entry home yes | head -1", int(bound.Seconds())+5, c.config)))
	if r.Stdout != "y\n" || r.Took > bound { // without it, the timeout ends it
		t.Errorf("%s", r)
	}
	s.awaitSessions(1)
}

func fileExists(path string) bool {
	err := syscall.Access(path, 0)
	return err == nil
}
