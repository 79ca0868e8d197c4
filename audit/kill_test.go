//go:build linux

package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// killHelper names the variable that turns this test binary into a writer.
const killHelper = "ENTRY_AUDIT_TEST_WRITER"

// TestKillHelper isn't a test: TestSoakKill runs it as a process to kill. It
// appends from several goroutines and prints each acknowledged reference.
func TestKillHelper(t *testing.T) {
	args := strings.Split(os.Getenv(killHelper), "\n")
	if len(args) != 3 {
		return
	}
	l, err := Open(args[0], Options{Key: args[2], Witness: args[1], Segment: 4 << 10})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				ref := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				if err := l.Append(context.Background(), Event{Type: LoginFailed, Ref: ref}); err != nil {
					fmt.Println("append:", err)
					os.Exit(1)
				}
				_, _ = os.Stdout.WriteString("ack " + ref + "\n") // the reader may be gone
			}
		})
	}
	wg.Wait()
}

// TestSoakKill kills a busy writer many times at random moments. Every start
// accepts what the one before left, the log verifies, and no acknowledged event
// is gone.
func TestSoakKill(t *testing.T) {
	p := newPlace(t)
	acked := map[string]bool{}
	for range testkit.Long(20, 1000) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillHelper$")
		cmd.Env = append(os.Environ(), killHelper+"="+p.dir+"\n"+p.witness+"\n"+p.signer)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		left := 1 + rand.IntN(60)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			ref, ok := strings.CutPrefix(lines.Text(), "ack ")
			if !ok {
				t.Error(lines.Text())
			}
			acked[ref] = true
			if left--; left == 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // killed
	}
	p.clock.Set(time.Now())
	_ = p.open(t).Close()
	rep, err := p.verify()
	if err != nil {
		t.Fatal(err)
	}
	total := len(acked)
	for _, e := range events(t, p.dir) {
		delete(acked, e.Ref)
	}
	if len(acked) > 0 {
		t.Errorf("%d of %d acknowledged events are gone", len(acked), total)
	}
	t.Logf("%d acknowledged; %v", total, rep)
}

// brokenDisk panics where the writer writes.
type brokenDisk struct{ realDisk }

func (brokenDisk) write(*os.File, []byte) error { panic("broken") }

// Without its writer the log would let everything wait, or go by unwritten.
func TestPanicInTheWriterEndsTheProcess(t *testing.T) {
	const child = "ENTRY_AUDIT_TEST_PANIC"
	if os.Getenv(child) != "" {
		l := &Log{now: time.Now, disk: brokenDisk{}}
		l.start()
		_ = l.Append(t.Context(), Event{Type: LoginFailed}) // it may fail before the process is gone
		select {}                                           // the process ends under it
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPanicInTheWriterEndsTheProcess$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Fatalf("the process ended with %v\n%s", err, out)
	}
	for _, want := range []string{"entry: the audit log's writer can't go on", "panic: broken"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing says %q:\n%s", want, out)
		}
	}
}
