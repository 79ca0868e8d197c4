//go:build linux

package testkit

import (
	"fmt"
	"os/exec"
	"regexp"
	"testing"
)

func TestPrograms(t *testing.T) {
	t.Parallel()
	r := Run(t, exec.Command("sh", "-c", "echo out; echo err >&2; exit 7"))
	if r.Stdout != "out\n" || r.Stderr != "err\n" || r.Code != 7 {
		t.Errorf("%s", r)
	}
	p := Start(t, "sh", exec.Command("sh", "-c", "head -c 3000000 /dev/zero; echo; echo tick 42 >&2; read x"))
	if m := p.WaitFor(regexp.MustCompile(`tick (\d+)`)); m[1] != "42" {
		t.Errorf("%q", m)
	}
	if p.Within(Soon, func() bool { return false }) {
		t.Error("what never holds held")
	}
	if code := p.Wait(); code == 0 || p.Running() {
		t.Errorf("status %d, running: %t", code, p.Running())
	}
	if fails(t, func(tb testing.TB) { p.t = tb; p.WaitFor(regexp.MustCompile(`tock`)) }) == "" {
		t.Error("what was never printed was found")
	}
	p = Start(t, "sleep", exec.Command("sleep", "1000"))
	if p.End(); p.Running() {
		t.Error("it runs on")
	}
	p = Start(t, "sh", exec.Command("sh", "-c", "sleep 1000 & echo $!; wait"))
	pid := p.WaitFor(regexp.MustCompile(`(\d+)\n`))[1]
	if len(Descendants(t, p.Cmd.Process.Pid)) != 1 {
		t.Error("the shell's child isn't seen")
	}
	p.Kill()
	Eventually(t, "the whole group is gone", func() bool { return exec.Command("kill", "-0", pid).Run() != nil })
}

// What took the number of a program that has ended isn't ended in its place; what the
// program has left behind is.
func TestKillGroupEndsNobodyElse(t *testing.T) {
	t.Parallel()
	left := Start(t, "sh", exec.Command("sh", "-c", "sleep 1000 </dev/null >/dev/null 2>&1 & echo $!"))
	child := left.WaitFor(regexp.MustCompile(`(\d+)\n`))[1]
	left.Wait()
	other := Start(t, "sleep", exec.Command("sleep", "1000"))
	ended := exec.Command("true")
	OwnGroup(ended)
	Check(t, ended.Run())
	ended.Process.Pid = other.Cmd.Process.Pid // as the kernel gives numbers out again
	KillGroup(ended)
	KillGroup(left.Cmd)
	Eventually(t, "its child is gone", func() bool { return exec.Command("kill", "-0", child).Run() != nil })
	if !other.Running() || exec.Command("kill", "-0", fmt.Sprint(other.Cmd.Process.Pid)).Run() != nil {
		t.Error("another program was ended")
	}
}
