package session

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"entry/session/recording"
)

// The program reads: sshd ends one that doesn't only by a signal, which it
// takes from nobody who is logged in as root.
func TestOpenSSHLosesACapability(t *testing.T) {
	x := newRuled(t, mayAllRecorded)
	b := newBridge(t, mayAll, x.options)
	pidFile := filepath.Join(b.dir, "pid")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := b.command(ctx, "ssh", "home", fmt.Sprintf("echo $$ >%s.new; mv %[1]s.new %[1]s; exec cat", pidFile))
	in, err := cmd.StdinPipe() // stays open: the client's end isn't what ends the program
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	until(t, "the program runs", func() bool {
		text, _ := os.ReadFile(pidFile)
		n, _ := fmt.Sscan(string(text), &pid)
		return n == 1
	})
	x.becomes(mayLittle)
	_ = cmd.Wait() // its status is looked at below
	want := "entry: the policy changed: rule tinker-home (tinker.yaml:10) does not allow exec (ref ref00000)\n"
	if status := cmd.ProcessState.ExitCode(); status != exitEnded || stderr.String() != want {
		t.Errorf("status %d, stderr %q", status, stderr.String())
	}
	until(t, "the program ended", func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestOpenSSHShowsMessages(t *testing.T) {
	messages := make(chan string)
	b := newBridge(t, mayAllRecorded, func(o *Options) { o.Messages = messages })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := b.command(ctx, "ssh", "-tt", "home", "stty raw -echo; printf 'ready\\033[1'; read x; printf 'm done'; read y")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "a program that shows half a sequence", func() bool { return strings.HasSuffix(b.rec.text(recording.Output), "ready\x1b[1") })
	messages <- "this session ends in 1 minute"
	const line = "\r\nentry: this session ends in 1 minute\r\n"
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	until(t, "the message", func() bool { return strings.Contains(b.rec.text(recording.Output), line) })
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the program's own status
	if got := out.String(); !strings.HasPrefix(got, "ready\x1b[1m done") || !strings.Contains(got, line) {
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
