package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ticker is a command that prints the time ten times a second, for ever.
const ticker = `while :; do echo "tick $(date +%s.%N)"; sleep 0.1; done`

var tick = regexp.MustCompile(`tick (\d+)\.(\d+)`)

// lastTick is when the newest tick in text was printed.
func lastTick(t testing.TB, text string) time.Time {
	t.Helper()
	all := tick.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		t.Fatalf("no tick in %q", clip(text))
	}
	m := all[len(all)-1]
	seconds, err1 := strconv.ParseInt(m[1], 10, 64)
	nanos, err2 := strconv.ParseInt(m[2], 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("tick %q", m[0])
	}
	return time.Unix(seconds, nanos)
}

// TestKilled is kill -9 in the middle of sessions: whatever was acknowledged is
// there afterwards, and recordings are readable up to the last second.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := initSite(t)
	home := s.startHome()
	users := []string{"alice", "bob", "carol"}
	s.setPolicy(users, []string{home.target(t, "home")}, recordAll())
	s.serve()
	const each = 4 // sessions per round
	for round, name := range users {
		c := s.client(s.enrolled(name))
		c.master()
		var live []*process
		for range each {
			live = append(live, start(t, "ssh", c.exec(ticker)))
		}
		var shown strings.Builder
		for _, p := range live {
			p.waitFor(tick)
		}
		// Any moment is as good as another, so take a random one.
		<-time.After(1500*time.Millisecond + rand.N(time.Second))
		acknowledged := s.events()
		killed := time.Now()
		s.proc.kill()
		for _, p := range live {
			p.wait(waitTimeout)
			shown.WriteString(p.stdout.String())
		}
		lastTick(t, shown.String()) // the client saw some
		s.serve()

		recs := s.awaitSessions(each * (round + 1))
		aborted := 0
		for _, r := range recs {
			if r.User != name {
				continue
			}
			if r.State != "aborted" {
				t.Errorf("round %d: session %s is %q, want aborted", round, r.ID, r.State)
				continue
			}
			aborted++
			lost := killed.Sub(lastTick(t, s.export(r.ID, "text")))
			// A tick a second, its sync, and up to 0.1 s between two lines.
			if lost > 2500*time.Millisecond {
				t.Errorf("round %d: session %s lost %s", round, r.ID, lost)
			}
			s.awaitEvent("recording.aborted", func(e event) bool { return e.Session == r.ID })
		}
		if aborted != each {
			t.Errorf("round %d: %d aborted sessions, want %d", round, aborted, each)
		}
		after := s.events()
		for i, e := range acknowledged {
			if i >= len(after) || after[i].line != e.line {
				t.Fatalf("round %d: event %d was %q", round, i, e.line)
			}
		}
		s.mustEntry("audit", "verify")
	}
	// And it still works.
	c := s.client(s.enrolled("dora")) // no member of a lab
	if r := run(t, c.exec("true")); r.code != 255 {
		t.Errorf("%s", r)
	}
}

func TestSIGTERM(t *testing.T) {
	t.Parallel()
	t.Run("drains", func(t *testing.T) {
		t.Parallel()
		s, _ := quickSite(t, recordAll())
		c := s.client(s.enrolled("alice"))
		p := start(t, "ssh", c.exec("echo began; sleep 2; echo finished; exit 6"))
		p.waitFor(regexp.MustCompile(`began`))
		proc := s.proc
		proc.signal(syscall.SIGTERM)
		eventually(t, "entry doesn't listen any more", func() bool {
			conn, err := net.Dial("tcp", s.addr())
			return err != nil || conn.Close() != nil
		})
		if code := p.wait(waitTimeout); code != 6 || !strings.HasSuffix(p.stdout.String(), "finished\n") {
			t.Errorf("the running session: exit %d, %q, %q", code, p.stdout.String(), p.stderr.String())
		}
		if code := proc.wait(waitTimeout); code != 0 {
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
		s.setPolicy([]string{"alice"}, []string{home.target(t, "home")}, recordAll())
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
	t.Parallel()
	s := initSite(t)
	home := s.startHome()
	members, targets := []string{"alice", "bob"}, []string{home.target(t, "home")}
	s.setPolicy(members, targets, recordAll())
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	w := onTerminal(t, c.home(nil))
	shellAnswers(w)

	loaded := len(s.events("policy.loaded"))
	for name, text := range map[string]string{
		"truncated":   readFile(t, s.path("policy.d", "tinker.yaml"))[:100],
		"unknown key": readFile(t, s.path("policy.d", "tinker.yaml")) + "surprise: true\n",
		"not UTF-8":   "labs: \"\xff\xfe\"\n",
		"failing test": readFile(t, s.path("policy.d", "tinker.yaml")) +
			"tests:\n  - {user: alice, target: home.tinker, may_not: [shell]}\n",
	} {
		before := len(s.events("policy.refused"))
		good := readFile(t, s.path("policy.d", "tinker.yaml"))
		writeFile(t, s.path("policy.d", "tinker.yaml"), text)
		s.proc.signal(syscall.SIGHUP)
		eventually(t, name+": refused in the log", func() bool { return len(s.events("policy.refused")) > before })
		shellAnswers(w)
		if r := run(t, c.exec("echo in")); r.code != 0 {
			t.Errorf("%s: the last good policy is gone: %s", name, r)
		}
		writeFile(t, s.path("policy.d", "tinker.yaml"), good)
	}
	if n := len(s.events("policy.loaded")); n != loaded {
		t.Errorf("%d policies loaded meanwhile", n-loaded)
	}

	s.setPolicy(members, targets, rule("narrow", "may: [shell]", "record: full"))
	s.proc.signal(syscall.SIGHUP)
	eventually(t, "the new policy is loaded", func() bool { return len(s.events("policy.loaded")) > loaded })
	if r := run(t, c.exec("echo in")); r.code == 0 {
		t.Errorf("exec under the new policy: %s", r)
	}
	shellAnswers(w)

	// A slip in a file shouldn't throw everybody out: SIGHUP refuses that, and
	// an operator who means it says so.
	s.setPolicy([]string{"bob"}, targets, rule("narrow", "may: [shell]", "record: full"))
	refused := len(s.events("policy.refused"))
	s.proc.signal(syscall.SIGHUP)
	eventually(t, "ending every session is refused", func() bool { return len(s.events("policy.refused")) > refused })
	shellAnswers(w)
	s.mustEntry("policy", "apply", "--yes")
	w.expect(`entry: [^\r\n]+\r\n`)
	if code := w.wait(); code == 0 {
		t.Error("a session without a grant ended with 0")
	}
	if r := run(t, c.exec("echo in")); r.code == 0 {
		t.Errorf("after losing the lab: %s", r)
	}
}

// TestDiskFull fills a small file system under the spool: first to below the
// reserve, then altogether.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("only root can mount a small file system; nothing was tested")
		return
	}
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.target(t, "home")}, recordAll())
	if err := os.MkdirAll(s.path("spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustRun(t, command("mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "e2e", s.path("spool")))
	t.Cleanup(func() {
		// Lazily: the server closes its files a moment later.
		mustRun(t, command("umount", "-l", s.path("spool")))
	})
	s.configure(func(c map[string]any) { section(c, "recording")["reserve"] = "8MiB" })
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	p := start(t, "ssh", c.exec("head -c 100000 /dev/urandom | base64 -w0; "+ticker))
	p.waitFor(tick)

	fill := func(name string, leave int64) {
		t.Helper()
		f, err := os.OpenFile(s.path("spool", name), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		block := make([]byte, 64<<10)
		for {
			var st syscall.Statfs_t
			if err := syscall.Statfs(s.path("spool"), &st); err != nil {
				t.Fatal(err)
			}
			if int64(st.Bavail)*st.Bsize <= leave {
				return
			}
			if _, err := f.Write(block); err != nil {
				return // full
			}
		}
	}
	fill("filler-1", 6<<20)
	r := run(t, c.exec("echo in"))
	if r.code != 255 || r.stdout != "" || !regexp.MustCompile(`(?i)entry: .*(record|space|full)`).MatchString(r.stderr) {
		t.Errorf("below the reserve: %s", r)
	}
	n := len(tick.FindAllString(p.stdout.String(), -1))
	eventually(t, "the running session goes on", func() bool {
		return len(tick.FindAllString(p.stdout.String(), -1)) > n+5
	})

	// Now there is nothing left for it either.
	noisy := start(t, "ssh", c.exec("true"))
	noisy.wait(waitTimeout)
	fill("filler-2", 0)
	if code := p.wait(waitTimeout); code == 0 || !regexp.MustCompile(`(?i)entry: .*record`).MatchString(p.stderr.String()) {
		t.Errorf("the running session ended with %d: %q", code, p.stderr.String())
	}
	s.awaitEvent("recording.failed", nil)

	for _, name := range []string{"filler-1", "filler-2"} {
		if err := os.Remove(s.path("spool", name)); err != nil {
			t.Fatal(err)
		}
	}
	if r := run(t, c.exec("echo in")); r.code != 0 || r.stdout != "in\n" {
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
	p := start(s.t, "strace", command("strace", "-f", "-qq", "-e", "trace="+call, "-e", "signal=none",
		"-e", fmt.Sprintf("inject=%s:%s", call, fault), "-p", strconv.Itoa(s.proc.cmd.Process.Pid)))
	eventually(s.t, "strace is attached", func() bool {
		select {
		case <-p.exited:
			s.t.Fatalf("strace: %s", p.stderr.String())
		default:
		}
		return traced(s.t, s.proc.cmd.Process.Pid) == p.cmd.Process.Pid
	})
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
	t.Parallel()
	t.Run("spool", func(t *testing.T) {
		t.Parallel()
		s, _ := quickSite(t, recordAll())
		c := s.client(s.enrolled("alice"))
		c.master()
		p := start(t, "ssh", c.exec(ticker))
		p.waitFor(tick)
		s.inject("syncfs", "error=EIO")
		if code := p.wait(waitTimeout); code == 0 || !regexp.MustCompile(`(?i)entry: .*record`).MatchString(p.stderr.String()) {
			t.Errorf("the session ended with %d: %q", code, p.stderr.String())
		}
		s.awaitEvent("recording.failed", nil)
		if r := run(t, c.exec("echo in")); r.code == 0 {
			t.Errorf("a new session on a spool that fails: %s", r)
		}
	})
	t.Run("audit log", func(t *testing.T) {
		t.Parallel()
		s, _ := quickSite(t, recordAll())
		alice, bob := s.enrolled("alice"), s.enrolled("bob")
		c := s.client(alice)
		p := start(t, "ssh", c.exec(ticker))
		p.waitFor(tick)
		s.inject("fdatasync", "error=EIO")
		// An event that can't be made durable: bob's login, or the session's
		// own next checkpoint. Either way nobody goes on unrecorded.
		if r := run(t, s.client(bob).exec("echo in")); r.code == 0 || strings.Contains(r.stdout, "in") {
			t.Errorf("a login without an audit log: %s", r)
		}
		if code := p.wait(waitTimeout); code == 0 {
			t.Errorf("the session ended with 0: %q", p.stderr.String())
		}
		if code := s.proc.wait(waitTimeout); code != 1 {
			t.Errorf("entry ended with %d, want 1", code)
		}
		s.serve()
		s.mustEntry("audit", "verify")
	})
}
