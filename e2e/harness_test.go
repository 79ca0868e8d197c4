// Package e2e drives the built program with the clients people really use,
// against a real OpenSSH sshd. Nothing here knows entry's packages: the tests
// see what a user, an operator and an auditor see, which is prompts, exit
// statuses, files and the program's own verbs.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// runTimeout bounds one client command. It is generous because two cores
	// may be compiling something else; a hang is a failure long before it.
	runTimeout = 60 * time.Second

	// waitTimeout bounds waiting for a condition that should hold at once.
	waitTimeout = 20 * time.Second

	// roleVar makes this test binary act as a small helper program (see
	// roles_test.go) instead of running tests.
	roleVar = "ENTRY_E2E_ROLE"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(playRole(role))
	}
	flag.Parse()
	if !given("test.parallel") {
		// Tests wait for programs more than they compute.
		if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			os.Exit(2)
		}
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// built is the path of the program under test.
var built string

// buildAndRun builds ./cmd/entry once, as a user would build it, and runs the
// tests on it.
func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "entry-e2e-bin")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	built = filepath.Join(dir, "entry")
	if out, err := exec.Command("go", "build", "-o", built, "../cmd/entry").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("go build ./cmd/entry: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// given tells whether the command line sets a flag.
func given(name string) (yes bool) {
	flag.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// tempDir is t.TempDir with a short name: socket paths end at 107 bytes, and
// test names are long.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}

var ports struct {
	sync.Mutex
	given map[int]bool
}

// freePort gives a TCP port on 127.0.0.1 that nobody listens on and that this
// run hasn't given out before.
func freePort(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.given == nil {
		ports.given = make(map[int]bool)
	}
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if !ports.given[port] {
			ports.given[port] = true
			return port
		}
	}
	t.Fatal("no free port in 100 tries")
	return 0
}

// eventually waits until cond holds and fails the test if it doesn't.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	if !within(waitTimeout, cond) {
		t.Fatalf("%s: not within %s", what, waitTimeout)
	}
}

// within reports whether cond holds before d has passed. A condition that
// starts processes is asked less often.
func within(d time.Duration, cond func() bool) bool {
	tick := time.NewTicker(max(20*time.Millisecond, d/1000))
	defer tick.Stop()
	deadline := time.After(d)
	for {
		if cond() {
			return true
		}
		select {
		case <-deadline:
			return cond()
		case <-tick.C:
		}
	}
}

// result is what a finished command left behind.
type result struct {
	stdout, stderr string
	code           int // exit status; -1 if a signal ended the command
	took           time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("exit %d after %s\nstdout: %s\nstderr: %s", r.code, r.took.Round(time.Millisecond), clip(r.stdout), clip(r.stderr))
}

// clip keeps failure messages readable when a command wrote megabytes.
func clip(s string) string {
	const most = 4000
	if len(s) > most {
		return fmt.Sprintf("%s … (%d bytes)", s[:most], len(s))
	}
	return s
}

// run runs cmd to its end. A command that outlives runTimeout fails the test
// with whatever it had written by then.
func run(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	r, err := tryRun(cmd, runTimeout)
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, r)
	}
	return r
}

// mustRun is run for a command that has to succeed.
func mustRun(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	r := run(t, cmd)
	if r.code != 0 {
		t.Fatalf("%s: %s", cmd, r)
	}
	return r
}

func tryRun(cmd *exec.Cmd, timeout time.Duration) (result, error) {
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	ownGroup(cmd)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { killGroup(cmd) })
	err := cmd.Wait()
	timedOut := !stop()
	r := result{stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode(), took: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case timedOut:
		return r, fmt.Errorf("still running after %s", timeout)
	case err != nil && !errors.As(err, &exit):
		return r, err
	}
	return r, nil
}

// ownGroup puts cmd and its children into a process group of their own, and
// has the kernel end it if this test binary dies without cleaning up.
func ownGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if !cmd.SysProcAttr.Setsid {
		cmd.SysProcAttr.Setpgid = true
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

func killGroup(cmd *exec.Cmd) {
	// ESRCH only says that it is over already.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// transcript collects a running program's output. It is safe for concurrent
// use.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// process is a program that runs beside a test.
type process struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	stdout transcript
	stderr transcript
	exited chan struct{} // closed when the program has ended
	code   int           // valid after exited
}

// start runs cmd until the test ends. When the test failed, its output is
// printed.
func start(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	ownGroup(cmd)
	// A grandchild may keep the pipes open; don't wait for it for ever.
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.exited)
		// The exit status is read from ProcessState by whoever cares.
		_ = cmd.Wait()
		p.code = cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		killGroup(cmd)
		<-p.exited
		if t.Failed() {
			t.Logf("--- %s stdout\n%s--- %s stderr\n%s", name, tail(p.stdout.String()), name, tail(p.stderr.String()))
		}
	})
	return p
}

func tail(s string) string {
	const most = 12000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// waitFor waits until the program has printed something that matches re on
// either stream, and gives the submatches.
func (p *process) waitFor(re *regexp.Regexp) []string {
	p.t.Helper()
	var m []string
	look := func() bool {
		if m = re.FindStringSubmatch(p.stdout.String()); m == nil {
			m = re.FindStringSubmatch(p.stderr.String())
		}
		return m != nil
	}
	ok := within(waitTimeout, func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return look()
		}
	})
	if !ok || !look() {
		p.t.Fatalf("%s: no %q in its output\nstdout: %s\nstderr: %s", p.name, re, tail(p.stdout.String()), tail(p.stderr.String()))
	}
	return m
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %s to %s: %v", s, p.name, err)
	}
}

// wait waits for the program to end by itself and gives its exit status.
func (p *process) wait(timeout time.Duration) int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.code
	case <-time.After(timeout):
		p.t.Fatalf("%s: still running after %s", p.name, timeout)
		return -1
	}
}

// end asks the program to stop and waits until it has. A client that is asked
// says goodbye; one that is killed behind a master connection is noticed by
// OpenSSH's master only when something else happens.
func (p *process) end() {
	p.t.Helper()
	eventually(p.t, p.name+" ends", func() bool {
		// More than once: OpenSSH before 9.3 misses a signal that arrives just
		// before it waits for input. ESRCH says that it has ended by itself.
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
}

// kill ends the program without warning.
func (p *process) kill() {
	p.t.Helper()
	killGroup(p.cmd)
	<-p.exited
}
