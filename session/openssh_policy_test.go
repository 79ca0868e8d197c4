package session

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// The program reads: sshd ends one that doesn't only by a signal, which it
// takes from nobody who is logged in as root.
func TestOpenSSHLosesACapability(t *testing.T) {
	x := newRuled(t, mayAllRecorded)
	b := newBridge(t, mayAll, x.options)
	pidFile := filepath.Join(b.dir, "pid")
	cmd := b.command("ssh", "home", fmt.Sprintf("echo $$ >%s.new; mv %[1]s.new %[1]s; exec cat", pidFile))
	in, err := cmd.StdinPipe() // stays open: the client's end isn't what ends the program
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	p := testkit.Start(t, "ssh", cmd)
	var pid int
	testkit.Eventually(t, "the program runs", func() bool {
		text, _ := os.ReadFile(pidFile)
		n, _ := fmt.Sscan(string(text), &pid)
		return n == 1
	})
	x.becomes(mayLittle)
	status := p.Wait()
	want := "entry: the policy changed: " + mayNot("exec") + " (ref ref00000)\n"
	if status != exitEnded || p.Stderr.String() != want {
		t.Errorf("status %d, stderr %q", status, p.Stderr.String())
	}
	testkit.Eventually(t, "the program ended", func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestOpenSSHShowsMessages(t *testing.T) {
	messages := make(chan string)
	b := newBridge(t, mayAllRecorded, func(o *Options) { o.Messages = messages })
	cmd := b.command("ssh", "-tt", "home", "stty raw -echo; printf 'ready\\033[1'; read x; printf 'm done'; read y")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := testkit.Start(t, "ssh", cmd)
	testkit.Eventually(t, "a program that shows half a sequence", func() bool { return strings.HasSuffix(b.rec.text(recording.Output), "ready\x1b[1") })
	messages <- "this session ends in 1 minute"
	const line = "\r\nentry: this session ends in 1 minute\r\n"
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the message", func() bool { return strings.Contains(b.rec.text(recording.Output), line) })
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	p.Wait() // the program's own status
	if got := p.Stdout.String(); !strings.HasPrefix(got, "ready\x1b[1m done") || !strings.Contains(got, line) {
		t.Errorf("the terminal shows %q", got)
	}
}

// A spent budget ends sftp with a reason that its user sees.
func TestOpenSSHSpendsABudget(t *testing.T) {
	b := newBridge(t, mayAll, func(o *Options) { o.BudgetDown = newPurse(1 << 20) })
	file := filepath.Join(b.dir, "large")
	if err := os.WriteFile(file, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{{"scp", "home:" + file, filepath.Join(b.dir, "copy")}, {"ssh", "home", "cat " + file}} {
		out, stderr, status := b.run("", c[0], c[1:]...)
		if !strings.Contains(stderr, "entry: today's 1 MB towards this client are used up (ref ref00000)") || status == 0 || len(out) > 1<<20 {
			t.Errorf("%s: status %d, %d bytes, stderr %q", c[0], status, len(out), stderr)
		}
	}
}
