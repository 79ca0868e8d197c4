package demohome

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"entry/bastion/ca"
	"entry/e2e/testkit"
)

// alive tells a running process from none and from a zombie.
func alive(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	state, _, ok := parseStat(stat)
	return ok && state != 'Z'
}

// Each program says its pid and then stays; its channel, its connection or the
// server goes, and so must it.
func TestNothingOutlivesItsChannel(t *testing.T) {
	const stubborn = "trap '' HUP; (trap '' HUP; echo $BASHPID; while :; do read -t 60 -u 9; done) 9<> <(:) & wait"
	for _, tc := range []struct {
		name, command string
		pty           bool
		end           func(*world, *ssh.Client, *ssh.Session)
	}{
		{"channel closed", "echo $$; exec sleep 600", false, func(_ *world, _ *ssh.Client, s *ssh.Session) { s.Close() }},
		{"channel with a pty closed", "echo $$; exec sleep 600", true, func(_ *world, _ *ssh.Client, s *ssh.Session) { s.Close() }},
		{"connection closed", "echo $$; exec sleep 600", false, func(_ *world, c *ssh.Client, _ *ssh.Session) { c.Close() }},
		{"server closed", "echo $$; exec sleep 600", true, func(w *world, _ *ssh.Client, _ *ssh.Session) { w.server.Close() }},
		{"ignores SIGHUP", stubborn, false, func(_ *world, _ *ssh.Client, s *ssh.Session) { s.Close() }},
		{"leader ends, child in the background", "sleep 600 >/dev/null 2>&1 & echo $!", false, func(*world, *ssh.Client, *ssh.Session) {}},
		{"job of its own group on a pty", "set -m; sleep 600 & echo $!; wait", true, func(_ *world, _ *ssh.Client, s *ssh.Session) { s.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := start(t)
			client, err := w.dial("alice", w.issue(ca.UserRequest{Principal: "alice", Extensions: everything}))
			testkit.Check(t, err)
			defer client.Close()
			session, err := client.NewSession()
			testkit.Check(t, err)
			if tc.pty {
				testkit.Check(t, session.RequestPty("xterm", 24, 80, ssh.TerminalModes{ssh.ECHO: 0}))
			}
			out, err := session.StdoutPipe()
			testkit.Check(t, err)
			testkit.Check(t, session.Start(tc.command))
			line, err := bufio.NewReader(out).ReadString('\n')
			testkit.Check(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			testkit.Check(t, err)
			tc.end(w, client, session)
			testkit.Eventually(t, "process "+strconv.Itoa(pid)+" ended", func() bool { return !alive(t, pid) })
		})
	}
}

func TestSignals(t *testing.T) {
	w := start(t)
	client, err := w.dial("alice", w.issue(ca.UserRequest{Principal: "alice"}))
	testkit.Check(t, err)
	defer client.Close()
	session, err := client.NewSession()
	testkit.Check(t, err)
	out, err := session.StdoutPipe()
	testkit.Check(t, err)
	testkit.Check(t, session.Start("trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.05; done"))
	lines := bufio.NewScanner(out)
	lines.Scan()
	testkit.Check(t, session.Signal(ssh.SIGUSR1))
	lines.Scan()
	if lines.Text() != "caught" {
		t.Errorf("got %q", lines.Text())
	}
	err = session.Wait()
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 3 {
		t.Errorf("got %v", err)
	}
}

func TestExitSignal(t *testing.T) {
	w := start(t)
	client, err := w.dial("alice", w.issue(ca.UserRequest{Principal: "alice"}))
	testkit.Check(t, err)
	defer client.Close()
	session, err := client.NewSession()
	testkit.Check(t, err)
	err = session.Run("kill -INT $$")
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.Signal() != "INT" {
		t.Errorf("got %v", err)
	}
}

func TestManySessionsLeakNothing(t *testing.T) {
	w := start(t)
	client, err := w.dial("alice", w.issue(ca.UserRequest{Principal: "alice", Extensions: everything}))
	testkit.Check(t, err)
	defer client.Close()
	once := func() {
		session, err := client.NewSession()
		testkit.Check(t, err)
		testkit.Check(t, session.RequestPty("xterm", 24, 80, nil))
		out, err := session.Output("echo hello")
		if err != nil || string(out) != "hello\r\n" {
			t.Fatalf("got %q, %v", out, err)
		}
	}
	once()
	before := 0
	testkit.Eventually(t, "the first session is over", func() bool { before = descriptors(t); return before == descriptors(t) })
	for range 30 {
		once()
	}
	testkit.Eventually(t, "descriptors are back", func() bool { return descriptors(t) <= before })
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	testkit.Check(t, err)
	return len(entries)
}

func TestModes(t *testing.T) {
	term, err := openTerminal(80, 24, "\x35\x00\x00\x00\x00\x03\x00\x00\x00\x08\x01\x00\x00\x00\xff\x00")
	testkit.Check(t, err)
	defer term.close()
	testkit.Check(t, control(term.slave, func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		if tio.Lflag&unix.ECHO != 0 {
			t.Error("ECHO is on")
		}
		if tio.Lflag&unix.ICANON == 0 {
			t.Error("ICANON, which wasn't named, is off")
		}
		if tio.Cc[unix.VERASE] != 8 || tio.Cc[unix.VINTR] != 0 {
			t.Errorf("erase %d, interrupt %d", tio.Cc[unix.VERASE], tio.Cc[unix.VINTR])
		}
		return nil
	}))
}

func FuzzParseModes(f *testing.F) {
	f.Add("\x35\x00\x00\x00\x00\x00")
	f.Add("\x01\x00")
	f.Fuzz(func(t *testing.T, s string) {
		modes := parseModes(s)
		if len(modes) > 159 {
			t.Fatalf("%d modes", len(modes))
		}
		var tio unix.Termios
		for _, m := range modes {
			apply(&tio, m)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a ) b) S 1 12 12 0 -1"))
	f.Fuzz(func(_ *testing.T, line []byte) { parseStat(line) })
}
