//go:build linux

package testkit

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// Result is what a finished command left behind.
type Result struct {
	Stdout, Stderr string
	Code           int // exit status; -1 if a signal ended the command
	Took           time.Duration
}

func (r Result) String() string {
	return fmt.Sprintf("exit %d after %s\nstdout: %s\nstderr: %s", r.Code, r.Took.Round(time.Millisecond), Clip(r.Stdout), Clip(r.Stderr))
}

// Run runs cmd to its end. A command that outlives CommandTime fails the test
// with whatever it had written by then.
func Run(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var stdout, stderr Output
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	OwnGroup(cmd)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err, inTime := ReceiveWithin(CommandTime, ended)
	if !inTime {
		KillGroup(cmd)
		err = <-ended
	}
	r := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode(), Took: time.Since(began)}
	var exit *exec.ExitError
	if !inTime {
		t.Fatalf("%s: still running (%s)\n%s", cmd, waited(CommandTime), r)
	} else if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s", cmd, err, r)
	}
	return r
}

// MustRun is Run for a command that has to succeed.
func MustRun(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	r := Run(t, cmd)
	if r.Code != 0 {
		t.Fatalf("%s: %s", cmd, r)
	}
	return r
}

// OwnGroup puts cmd and its children into a process group of their own, and has
// the kernel end it if this test binary dies without cleaning up.
func OwnGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if !cmd.SysProcAttr.Setsid {
		cmd.SysProcAttr.Setpgid = true
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// KillGroup ends the process group of a command that OwnGroup prepared, or what the
// command has left of it. The number of a group without members goes to another
// process sooner or later, whose group it is then: that one is left alone.
func KillGroup(cmd *exec.Cmd) {
	pid := cmd.Process.Pid
	if errors.Is(cmd.Process.Signal(syscall.Signal(0)), os.ErrProcessDone) && syscall.Kill(pid, 0) == nil {
		return // the command was waited for, so whoever has its number isn't it
	}
	// ESRCH only says that it is over already.
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

// Program is a program that runs beside a test.
type Program struct {
	Name   string
	Cmd    *exec.Cmd
	Stdout Output
	Stderr Output
	Exited chan struct{} // closed when the program has ended

	t    testing.TB
	code int // valid after Exited
}

// Start runs cmd until the test ends. When the test failed, its output is
// printed.
func Start(t testing.TB, name string, cmd *exec.Cmd) *Program {
	t.Helper()
	p := &Program{t: t, Name: name, Cmd: cmd, Exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.Stdout, &p.Stderr
	OwnGroup(cmd)
	// A grandchild may keep the pipes open; don't wait for it for ever, but for as
	// long as a busy machine needs to copy what is in them.
	cmd.WaitDelay = Bound(time.Second)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.Exited)
		// The exit status is read from ProcessState by whoever cares.
		_ = cmd.Wait()
		p.code = cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		KillGroup(cmd)
		<-p.Exited
		if t.Failed() {
			t.Logf("--- %s stdout\n%s--- %s stderr\n%s", name, Tail(p.Stdout.String()), name, Tail(p.Stderr.String()))
		}
	})
	return p
}

// Running reports whether the program hasn't ended yet.
func (p *Program) Running() bool {
	select {
	case <-p.Exited:
		return false
	default:
		return true
	}
}

// Within waits for ok as the function of that name does, but no longer than the
// program runs.
func (p *Program) Within(d time.Duration, ok func() bool) bool {
	held := false
	Within(d, func() bool {
		running := p.Running() // before ok, which sees the last of what it did
		held = ok()
		return held || !running
	})
	return held
}

// WaitFor waits until the program has printed something that matches re on
// either stream, and gives the submatches.
func (p *Program) WaitFor(re *regexp.Regexp) []string {
	p.t.Helper()
	var m []string
	var out, errs int
	if !p.Within(Soon, func() bool {
		if m, out = p.Stdout.find(re, out); m == nil {
			m, errs = p.Stderr.find(re, errs)
		}
		return m != nil
	}) {
		p.t.Fatalf("%s: no %q in its output\nstdout: %s\nstderr: %s", p.Name, re, Tail(p.Stdout.String()), Tail(p.Stderr.String()))
	}
	return m
}

// Signal sends s to the program alone.
func (p *Program) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %s to %s: %v", s, p.Name, err)
	}
}

// Wait waits for the program to end by itself and gives its exit status.
func (p *Program) Wait() int {
	p.t.Helper()
	if _, ok := ReceiveWithin(CommandTime, p.Exited); !ok {
		p.t.Fatalf("%s: still running (%s)\nstdout: %s\nstderr: %s", p.Name, waited(CommandTime), Tail(p.Stdout.String()), Tail(p.Stderr.String()))
	}
	return p.code
}

// End asks the program to stop and waits until it has. A client that is asked
// says goodbye; one that is killed behind a master connection is noticed by
// OpenSSH's master only when something else happens.
func (p *Program) End() {
	p.t.Helper()
	Eventually(p.t, p.Name+" ends", func() bool {
		// More than once: OpenSSH before 9.3 misses a signal that arrives just
		// before it waits for input. ESRCH says that it has ended by itself.
		_ = p.Cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.Exited:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
}

// Kill ends the program and its children without warning.
func (p *Program) Kill() {
	p.t.Helper()
	KillGroup(p.Cmd)
	<-p.Exited
}

// LogNow is what p, a server at addr that logs on standard error where its connections
// come from (sshd, slapd), has logged of what came before. An answer of it may come
// before its words of it.
func (p *Program) LogNow(addr string) string {
	p.t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		p.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	after := regexp.MustCompile(`\b127\.0\.0\.1(:| port )` + port + `\b`)
	Eventually(p.t, p.Name+" logs a connection", func() bool { return after.MatchString(p.Stderr.String()) })
	log := p.Stderr.String()
	Check(p.t, conn.Close())
	return log[:after.FindStringIndex(log)[0]]
}
