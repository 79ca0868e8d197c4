package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// ticker is a command that prints the time ten times a second, for ever; it starts no other.
const ticker = `exec bash -c 'exec 3<> <(:); while :; do echo "tick $EPOCHREALTIME"; read -rt 0.1 -u 3; done'`

var tick = regexp.MustCompile(`tick (\d+)\.(\d+)`)

// lastTick is when the newest tick in text was printed.
func lastTick(t testing.TB, text string) time.Time {
	t.Helper()
	all := tick.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		t.Fatalf("no tick in %q", testkit.Clip(text))
	}
	m := all[len(all)-1]
	seconds, err1 := strconv.ParseInt(m[1], 10, 64)
	nanos, err2 := strconv.ParseInt((m[2] + "000000000")[:9], 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("tick %q", m[0])
	}
	return time.Unix(seconds, nanos)
}

// TestSoakKilled is kill -9 in the middle of sessions: whatever was acknowledged
// is there afterwards, and recordings are readable up to the last second.
func TestSoakKilled(t *testing.T) {
	alone(t)
	// Each waits more than it works. What a round reads grows with the rounds, so that
	// there are several sites after one another.
	for _, lane := range []string{"one", "another"} {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			for site := range testkit.Long(1, 10) {
				t.Run(fmt.Sprint("site ", site), func(t *testing.T) { soakKilled(t, testkit.Long(1, 50)) })
			}
		})
	}
}

// soakKilled kills a server rounds times in the middle of twenty sessions.
func soakKilled(t *testing.T, rounds int) {
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.configure(rememberEverywhere)
	s.serve()
	alice := s.enrolled("alice")
	id := filepath.Join(testkit.ShortDir(t), "id")
	s.remembered(alice, id)
	alice.mistakes() // the key opens without a code, every time
	c := s.client(alice, "IdentityFile "+id, "PreferredAuthentications publickey,keyboard-interactive")
	const each = 20 // sessions a round
	var worst time.Duration
	known := map[string]bool{}
	for round := range rounds {
		master := c.master()
		var live []*testkit.Program
		for range each {
			live = append(live, testkit.Start(t, "ssh", c.exec(ticker)))
		}
		var shown strings.Builder
		for _, p := range live {
			p.WaitFor(tick)
		}
		// Any moment is as good as another, so take a random one.
		<-time.After(1500*time.Millisecond + rand.N(time.Second))
		acknowledged := s.acknowledged()
		killed := time.Now()
		s.proc.Kill()
		for _, p := range live {
			p.Wait()
			shown.WriteString(p.Stdout.String())
		}
		master.Wait()
		lastTick(t, shown.String()) // the client saw some
		s.serve()

		aborted := 0
		for _, r := range s.awaitSessions(each * (round + 1)) {
			if known[r.ID] {
				continue
			}
			known[r.ID] = true
			if r.State != "aborted" {
				t.Errorf("round %d: session %s is %q, want aborted", round, r.ID, r.State)
				continue
			}
			aborted++
			lost := killed.Sub(lastTick(t, s.export(r.ID, "text")))
			// A tick a second, its sync, and up to 0.1 s between two lines.
			if lost > testkit.Bound(2500*time.Millisecond) {
				t.Errorf("round %d: session %s lost %s", round, r.ID, lost)
			}
			worst = max(worst, lost)
		}
		if aborted != each {
			t.Errorf("round %d: %d aborted sessions, want %d", round, aborted, each)
		}
		testkit.Eventually(t, "each is reported", func() bool {
			reported := map[string]bool{}
			for _, e := range s.events("recording.aborted") {
				reported[e.Session] = true
			}
			return maps.Equal(reported, known)
		})
		after := s.events()
		for i, e := range acknowledged {
			if i >= len(after) || after[i].line != e.line {
				t.Fatalf("round %d: event %d was %q", round, i, e.line)
			}
		}
		if round < 3 || round%50 == 0 || round == rounds-1 { // it reads all there is
			s.mustEntry("audit", "verify")
		}
	}
	t.Logf("killed %d times with %d sessions: at most %s of a recording lost", rounds, each, worst.Round(time.Millisecond))
	// And it still works.
	c = s.client(s.enrolled("dora")) // no member of a lab
	if r := testkit.Run(t, c.exec("true")); r.Code != 255 {
		t.Errorf("%s", r)
	}
}

func TestSIGTERM(t *testing.T) {
	beside(t)
	t.Run("drains", func(t *testing.T) {
		t.Parallel()
		s, _ := quickSite(t, recordAll())
		c := s.client(s.enrolled("alice"))
		p := testkit.Start(t, "ssh", c.exec("echo began; sleep 2; echo finished; exit 6"))
		p.WaitFor(regexp.MustCompile(`began`))
		proc := s.proc
		proc.Signal(syscall.SIGTERM)
		testkit.Eventually(t, "entry doesn't listen any more", func() bool {
			conn, err := net.Dial("tcp", s.addr())
			return err != nil || conn.Close() != nil
		})
		if code := p.Wait(); code != 6 || !strings.HasSuffix(p.Stdout.String(), "finished\n") {
			t.Errorf("the running session: exit %d, %q, %q", code, p.Stdout.String(), p.Stderr.String())
		}
		if code := proc.Wait(); code != 0 {
			t.Errorf("entry ended with %d", code)
		}
		if recs := s.sessions(); len(recs) != 1 || recs[0].State != "complete" {
			t.Errorf("sessions: %+v", recs)
		}
		s.awaitEvent("server.stopped", nil)
		s.mustEntry("audit", "verify")
	})
	t.Run("ends what is left", func(t *testing.T) {
		t.Parallel()
		s := initSite(t)
		home := s.startHome()
		s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
		s.configure(func(c map[string]any) { c["drain"] = "1s" })
		s.serve()
		c := s.client(s.enrolled("alice"))
		w := onTerminal(t, c.home(nil))
		shellAnswers(w)
		s.stop()
		w.expect(`entry: [^\r\n]+\r\n`)
		if code := w.wait(); code == 0 {
			t.Error("the shell ended with 0")
		}
		if recs := s.sessions(); len(recs) != 1 || recs[0].State != "complete" {
			t.Errorf("sessions: %+v", recs)
		}
		s.mustEntry("audit", "verify")
	})
}

func TestSIGHUP(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	members, targets := []string{"alice", "bob"}, []string{home.Target(t, "home")}
	s.setPolicy(members, targets, recordAll())
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	w := onTerminal(t, c.home(nil))
	shellAnswers(w)

	loaded := len(s.events("policy.loaded"))
	for name, text := range map[string]string{
		"truncated":   testkit.ReadFile(t, s.path("policy.d", "tinker.yaml"))[:100],
		"unknown key": testkit.ReadFile(t, s.path("policy.d", "tinker.yaml")) + "surprise: true\n",
		"not UTF-8":   "labs: \"\xff\xfe\"\n",
		"failing test": testkit.ReadFile(t, s.path("policy.d", "tinker.yaml")) +
			"tests:\n  - {user: alice, target: home.tinker, may_not: [shell]}\n",
	} {
		before := len(s.events("policy.refused"))
		good := testkit.ReadFile(t, s.path("policy.d", "tinker.yaml"))
		testkit.WriteFile(t, s.path("policy.d", "tinker.yaml"), text)
		s.proc.Signal(syscall.SIGHUP)
		testkit.Eventually(t, name+": refused in the log", func() bool { return len(s.events("policy.refused")) > before })
		shellAnswers(w)
		if r := testkit.Run(t, c.exec("echo in")); r.Code != 0 {
			t.Errorf("%s: the last good policy is gone: %s", name, r)
		}
		testkit.WriteFile(t, s.path("policy.d", "tinker.yaml"), good)
	}
	if n := len(s.events("policy.loaded")); n != loaded {
		t.Errorf("%d policies loaded meanwhile", n-loaded)
	}

	s.setPolicy(members, targets, testkit.Rule("narrow", "may: [shell]", "record: full"))
	s.proc.Signal(syscall.SIGHUP)
	testkit.Eventually(t, "the new policy is loaded", func() bool { return len(s.events("policy.loaded")) > loaded })
	if r := testkit.Run(t, c.exec("echo in")); r.Code == 0 {
		t.Errorf("exec under the new policy: %s", r)
	}
	shellAnswers(w)

	// A slip in a file shouldn't throw everybody out: SIGHUP refuses that, and
	// an operator who means it says so.
	s.setPolicy([]string{"bob"}, targets, testkit.Rule("narrow", "may: [shell]", "record: full"))
	refused := len(s.events("policy.refused"))
	s.proc.Signal(syscall.SIGHUP)
	testkit.Eventually(t, "ending every session is refused", func() bool { return len(s.events("policy.refused")) > refused })
	shellAnswers(w)
	s.mustEntry("policy", "apply", "--yes")
	w.expect(`entry: [^\r\n]+\r\n`)
	if code := w.wait(); code == 0 {
		t.Error("a session without a grant ended with 0")
	}
	if r := testkit.Run(t, c.exec("echo in")); r.Code == 0 {
		t.Errorf("after losing the lab: %s", r)
	}
}

// TestDiskFull fills a small file system under the spool: first to below the
// reserve, then altogether.
func TestDiskFull(t *testing.T) {
	alone(t)
	if os.Geteuid() != 0 {
		t.Log("only root can mount a small file system; nothing was tested")
		return
	}
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	s.smallDisk("spool", "32m")
	s.configure(func(c map[string]any) { section(c, "recording")["reserve"] = "8MiB" })
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	p := testkit.Start(t, "ssh", c.exec("head -c 100000 /dev/urandom | base64 -w0; "+ticker))
	p.WaitFor(tick)

	s.leave("spool", "filler-1", 6<<20)
	r := testkit.Run(t, c.exec("echo in"))
	if r.Code != 255 || r.Stdout != "" || !regexp.MustCompile(`(?i)entry: .*(record|space|full)`).MatchString(r.Stderr) {
		t.Errorf("below the reserve: %s", r)
	}
	n := len(tick.FindAllString(p.Stdout.String(), -1))
	testkit.Eventually(t, "the running session goes on", func() bool {
		return len(tick.FindAllString(p.Stdout.String(), -1)) > n+5
	})

	// Now there is nothing left for it either.
	noisy := testkit.Start(t, "ssh", c.exec("true"))
	noisy.Wait()
	s.leave("spool", "filler-2", 0)
	if code := p.Wait(); code == 0 || !regexp.MustCompile(`(?i)entry: .*record`).MatchString(p.Stderr.String()) {
		t.Errorf("the running session ended with %d: %q", code, p.Stderr.String())
	}
	s.awaitEvent("recording.failed", nil)

	for _, name := range []string{"filler-1", "filler-2"} {
		if err := os.Remove(s.path("spool", name)); err != nil {
			t.Fatal(err)
		}
	}
	if r := testkit.Run(t, c.exec("echo in")); r.Code != 0 || r.Stdout != "in\n" {
		t.Errorf("with space again: %s", r)
	}
	s.stop()
	s.mustEntry("audit", "verify")
	for _, rec := range s.sessions() {
		if rec.State == "live" {
			t.Errorf("half a recording: %+v", rec)
		}
	}
}

// inject makes a system call of the running server fail from now on.
func (s *site) inject(call, fault string) {
	s.t.Helper()
	p := testkit.Start(s.t, "strace", command("strace", "-f", "-qq", "-e", "trace="+call, "-e", "signal=none",
		"-e", fmt.Sprintf("inject=%s:%s", call, fault), "-p", strconv.Itoa(s.proc.Cmd.Process.Pid)))
	if !p.Within(testkit.Soon, func() bool { return traced(s.t, s.proc.Cmd.Process.Pid) == p.Cmd.Process.Pid }) {
		s.t.Fatalf("strace isn't attached: %s", p.Stderr.String())
	}
}

// traced gives the process that traces pid, or 0.
func traced(t testing.TB, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^TracerPid:\s*(\d+)`).FindStringSubmatch(string(b))
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDiskErrors: a disk that fails ends sessions, in words. What isn't durable
// is never shown as recorded.
func TestDiskErrors(t *testing.T) {
	alone(t)
	t.Run("spool", func(t *testing.T) {
		t.Parallel()
		s, _ := quickSite(t, recordAll())
		c := s.client(s.enrolled("alice"))
		c.master()
		p := testkit.Start(t, "ssh", c.exec(ticker))
		p.WaitFor(tick)
		s.inject("syncfs", "error=EIO")
		if code := p.Wait(); code == 0 || !regexp.MustCompile(`(?i)entry: .*record`).MatchString(p.Stderr.String()) {
			t.Errorf("the session ended with %d: %q", code, p.Stderr.String())
		}
		s.awaitEvent("recording.failed", nil)
		if r := testkit.Run(t, c.exec("echo in")); r.Code == 0 {
			t.Errorf("a new session on a spool that fails: %s", r)
		}
	})
	t.Run("audit log", func(t *testing.T) {
		t.Parallel()
		s, _ := quickSite(t, recordAll())
		alice, bob := s.enrolled("alice"), s.enrolled("bob")
		c := s.client(alice)
		p := testkit.Start(t, "ssh", c.exec(ticker))
		p.WaitFor(tick)
		s.inject("fdatasync", "error=EIO")
		// An event that can't be made durable: bob's login, or the session's
		// own next checkpoint. Either way nobody goes on unrecorded.
		if r := testkit.Run(t, s.client(bob).exec("echo in")); r.Code == 0 || strings.Contains(r.Stdout, "in") {
			t.Errorf("a login without an audit log: %s", r)
		}
		if code := p.Wait(); code == 0 {
			t.Errorf("the session ended with 0: %q", p.Stderr.String())
		}
		if code := s.proc.Wait(); code != 1 {
			t.Errorf("entry ended with %d, want 1", code)
		}
		s.serve()
		s.mustEntry("audit", "verify")
	})
}
