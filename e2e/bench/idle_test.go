package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// mostProcesses bounds sshd's side: it has two processes a session, and what one takes
// doesn't depend on how many there are.
const mostProcesses = 200 // sessions

// idleRows are what sessions cost that do nothing: each on a client connection of its
// own, behind it a target that is a process of this binary.
func idleRows(t *testing.T, r *run) {
	key := filepath.Join(testkit.ShortDir(t), "target")
	public := testkit.Authorized(testkit.NewKeyFile(t, key).PublicKey())
	job := targetJob{HostKey: testkit.ReadFile(t, key), UserCA: testkit.ReadFile(t, r.path("keys", "user_ca.pub")), Keys: []string{testkit.ReadFile(t, r.keys["alice"]+".pub")}}
	said, err := startRole(t, roleTarget, job).do(ask{Do: "port"})
	testkit.Check(t, err)
	addr := fmt.Sprintf("127.0.0.1:%d", said.Port)
	r.client.leave()
	r.stop() // what was moved before left its traces in memory
	r.targets(addr, public, "worker")
	defer func() {
		r.targets(r.home.Addr(), r.home.HostKey(), testkit.Me(t))
		r.stop()
		r.serve()
		r.of = r.pids()
	}()
	for i, n := range r.plan.sessions {
		if i > 0 {
			r.stop()
		}
		r.serve()
		r.of = r.pids()
		// Two connections and a recording each; entry keeps some for what isn't sessions.
		if most := openFiles(t); 3*n+1600 > most {
			r.skip(fmt.Sprintf("%d idle sessions", n), "they need %d open files, and this machine allows %d (ulimit -Hn)", 3*n+1600, most)
			continue
		}
		key := testkit.ReadFile(t, r.keys["alice"])
		jump := testkit.StartSSHD(t, testkit.SSHDOptions{Keys: job.Keys})
		r.rest(t, n, "sshd", jump.Cmd.Process.Pid, min(n, mostProcesses),
			clientsJob{Key: key, Jump: jump.Addr(), Name: "jump:22", User: testkit.Me(t), Target: addr, Login: "worker", Trust: []string{jump.HostKey(), public}})
		jump.KillSessions()
		r.rest(t, n, "entry", r.proc.Cmd.Process.Pid, n,
			clientsJob{Key: key, Jump: r.addr(), Name: "entry:22", User: "alice", Target: full + ":22", Login: "worker", Trust: []string{r.hostCA()}})
	}
}

// rest opens sessions, leaves them alone and looks at what that costs.
func (r *run) rest(t *testing.T, n int, side string, pid, sessions int, job clientsJob) {
	t.Helper()
	crowd := startRole(t, roleClients, job)
	defer crowd.end()
	before := memory(t, pid)
	each := func() float64 { return (memory(t, pid) - before) / float64(sessions) / 1e3 }
	ask := func(a ask) {
		t.Helper()
		if _, err := crowd.do(a); err != nil {
			t.Fatalf("%d sessions, %s: %v", sessions, side, err)
		}
	}
	of := func(what string) string { return fmt.Sprintf("%d idle sessions, %s", n, what) }
	for _, shown := range []struct {
		key  byte
		what string
	}{{keyScreen, "after a screenful"}, {keyFlood, "after 4 MB"}} {
		if shown.key == keyScreen {
			ask(askOpen(sessions))
		}
		ask(askKey(shown.key))
		ask(askKey('x')) // they answer, and rest
		used := testkit.CPU(t, pid)
		began := time.Now()
		<-time.After(r.plan.idle)
		used = testkit.CPU(t, pid) - used
		// A percentage that several sessions together don't reach is told for a thousand.
		r.add(of(shown.what), "% of a core, by 1000", side, 100*used.Seconds()/time.Since(began).Seconds()*1000/float64(sessions))
		r.add(of(shown.what), "kB a session", side, each())
	}
	ask(askKey('x')) // and are still there
}

func askOpen(n int) ask   { return ask{Do: "open", N: n} }
func askKey(key byte) ask { return ask{Do: "key", As: string(key)} }

// openFiles is how many a process may have here.
func openFiles(t *testing.T) int {
	t.Helper()
	var files syscall.Rlimit
	testkit.Check(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	return int(files.Max)
}

var proportional = regexp.MustCompile(`(?m)^Pss:\s*(\d+) kB`)

// memory is what pid and those below it have in RAM, in bytes: what several of them
// share counts once (Pss of proc_pid_smaps(5)); of one alone it is its RSS.
func memory(t *testing.T, pid int) (bytes float64) {
	t.Helper()
	for _, p := range append([]int{pid}, testkit.Descendants(t, pid)...) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if os.IsNotExist(err) || len(text) == 0 && err == nil {
			continue // it has ended
		}
		testkit.Check(t, err)
		m := proportional.FindSubmatch(text)
		if m == nil {
			t.Fatalf("%d: no Pss in %q", p, text)
		}
		bytes += 1024 * float64(testkit.Must(strconv.Atoi(string(m[1])))(t))
	}
	return bytes
}
