package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

const (
	spentSession = "entry: the limit of one session from home.tinker, 2 MiB, is reached; connect again (ref "
	spentDay     = "entry: your limit for today from home.tinker, 8 MiB, is reached; it starts anew at 00:00 UTC (ref "
	mib          = 1 << 20
)

// TestBudgetStopsEveryWay: whatever way bytes take, they count, and at the
// limit the transfer stops with a clear line.
func TestBudgetStopsEveryWay(t *testing.T) {
	beside(t)
	s, home := quickSite(t, testkit.Rule("all", testkit.MayAll, `forward_local: ["*"]`, "forward_remote: [0]", "record: metadata", "limits: {session_down: 2MiB}"))
	c := s.client(s.enrolled("alice"))
	c.master()
	big := filepath.Join(testkit.ShortDir(t), "big")
	testkit.WriteFile(t, big, strings.Repeat("0123456789abcde\n", 5*mib/16))

	t.Run("exec", func(t *testing.T) {
		r := testkit.Run(t, c.exec("cat "+big))
		if r.Code == 0 || len(r.Stdout) > 2*mib || len(r.Stdout) < mib || !strings.HasPrefix(r.Stderr, spentSession) {
			t.Errorf("%d bytes, exit %d, %s", len(r.Stdout), r.Code, r.Stderr)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		w := onTerminal(t, c.home([]string{"-tt"}, "cat "+big))
		w.expect(`entry: the limit of one session from home\.tinker, 2 MiB, is reached; connect again \(ref \w+\)\r\n`)
		w.wait()
		if n := len(w.text()); n > 2*mib+500 {
			t.Errorf("%d bytes", n)
		}
	})
	for name, args := range map[string][]string{"scp": nil, "scp -O": {"-O"}} {
		t.Run(name, func(t *testing.T) {
			back := filepath.Join(testkit.ShortDir(t), "back")
			args := append(append(args, "-F", c.config), c.jump...)
			r := testkit.Run(t, c.command("scp", append(args, c.target+":"+big, back)...))
			if r.Code == 0 || !strings.Contains(r.Stderr, spentSession) {
				t.Errorf("%s", r)
			}
			if fi, err := os.Stat(back); err == nil && fi.Size() > 2*mib {
				t.Errorf("%d bytes came through", fi.Size())
			}
		})
	}
	t.Run("forward", func(t *testing.T) {
		l, web := listenLocal(t)
		chunk := []byte(strings.Repeat("x", 64<<10))
		serve(t, l, func(conn net.Conn) {
			for range 80 {
				if _, err := conn.Write(chunk); err != nil {
					return
				}
			}
		})
		port := testkit.FreePort(t)
		p := testkit.Start(t, "ssh -L", c.home([]string{"-N", "-L", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", port, web)}))
		awaitListener(t, p, port)
		if n := received(t, port); n > 2*mib || n < mib {
			t.Errorf("%d bytes came through", n)
		}
		p.End()
		s.awaitEvent("forward.closed", func(e event) bool { return e.Reason == "budget-spent" })
	})
	testkit.Eventually(t, "an event of each", func() bool {
		return len(s.events("budget.spent")) == 5 && len(s.events("budget.warning")) == 5
	})
	if home.Logins() == 0 {
		t.Error("nobody was at home")
	}
}

// TestDayBudget: a day's bytes are counted over sessions that run side by side,
// over a restart and over kill -9.
func TestDayBudget(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, testkit.Rule("all", "may: [exec]", "record: manifest", "limits: {day_down: 8MiB}"))
	alice := s.enrolled("alice")
	c := s.client(alice)
	c.master()
	one, other := testkit.Start(t, "ssh", c.exec("head -c 6000000 /dev/zero")), testkit.Start(t, "ssh", c.exec("head -c 6000000 /dev/zero"))
	one.Wait()
	other.Wait()
	moved := len(one.Stdout.String()) + len(other.Stdout.String())
	if moved > 8*mib || moved < 7*mib || !strings.Contains(one.Stderr.String()+other.Stderr.String(), spentDay) {
		t.Errorf("%d bytes: %q %q", moved, one.Stderr.String(), other.Stderr.String())
	}
	testkit.Eventually(t, "one warning", func() bool { return len(s.events("budget.warning")) == 1 })
	spent := func(when string) {
		t.Helper()
		if r := testkit.Run(t, c.exec("head -c 1000000 /dev/zero")); r.Code == 0 || len(r.Stdout)+moved > 8*mib || !strings.HasPrefix(r.Stderr, spentDay) {
			t.Errorf("%s: %d more bytes, %s", when, len(r.Stdout), r.Stderr)
		}
	}
	spent("at once")
	s.stop()
	s.serve()
	c = s.client(alice)
	c.master()
	spent("after a restart")

	// Killed in the middle of bob's transfer: what was moved stays counted, and
	// at most a block more.
	b := s.enrolled("bob")
	bob := s.client(b)
	bob.master()
	p := testkit.Start(t, "ssh", bob.exec("head -c 3000000 /dev/zero; echo; "+ticker))
	p.WaitFor(tick)
	s.proc.Kill()
	p.Wait() // only then has it written all that it got
	s.serve()
	before := len(p.Stdout.String())
	bob = s.client(b)
	bob.master()
	r := testkit.Run(t, bob.exec("head -c 8388608 /dev/zero"))
	if all := before + len(r.Stdout); r.Code == 0 || all > 8*mib || all < 7*mib {
		t.Errorf("%d bytes before kill -9 and %d after: %s", before, len(r.Stdout), r.Stderr)
	}
	s.mustEntry("audit", "verify")
}

// received is how many bytes come from a local port until it ends.
func received(t *testing.T, port int) int64 {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(testkit.Deadline(testkit.CommandTime)); err != nil {
		t.Fatal(err)
	}
	n, _ := io.Copy(io.Discard, conn) // a reset is an end as well
	return n
}
