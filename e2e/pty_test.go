package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"entry/e2e/testkit"
)

// terminal is a person at a terminal: it reads what a program shows and types
// when something it waits for has appeared.
type terminal struct {
	t    testing.TB
	name string
	file *os.File
	cmd  *exec.Cmd

	mu    sync.Mutex
	seen  []byte // everything shown so far
	next  int    // where the next expect begins
	ended bool   // nothing more will be shown

	exited chan struct{}
}

// onTerminal starts cmd on a new pseudo-terminal of 80×24 until the test ends.
func onTerminal(t testing.TB, cmd *exec.Cmd) *terminal {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatalf("start %s on a terminal: %v", cmd, err)
	}
	w := &terminal{t: t, name: cmd.Path, file: f, cmd: cmd, exited: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		w.read()
	}()
	go func() {
		defer close(w.exited)
		// The exit status is read from ProcessState.
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		testkit.KillGroup(cmd)
		<-w.exited
		// Closing the file ends read; children of the program may still hold
		// the other end.
		if err := f.Close(); err != nil {
			t.Errorf("close terminal: %v", err)
		}
		<-read
	})
	return w
}

func (w *terminal) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buf)
		w.mu.Lock()
		w.seen = append(w.seen, buf[:n]...)
		if err != nil { // EIO: the last program has closed the terminal
			w.ended = true
		}
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// expect waits until re matches what was shown since the last match, moves
// behind the match, and gives the submatches.
func (w *terminal) expect(re string) []string {
	w.t.Helper()
	var m []string
	pattern, looked := regexp.MustCompile(re), -1
	testkit.Within(testkit.CommandTime, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.seen) > looked {
			m, looked = w.match(pattern), len(w.seen)
		}
		return m != nil || w.ended
	})
	if m == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t.Fatalf("%s (ended: %t) has no %q; it showed %q", w.name, w.ended, re, testkit.Clip(string(w.seen[w.next:])))
	}
	return m
}

// match is expect without the waiting. w.mu is held.
func (w *terminal) match(re *regexp.Regexp) (m []string) {
	rest := w.seen[w.next:]
	loc := re.FindSubmatchIndex(rest)
	if loc == nil {
		return nil
	}
	for i := 0; i < len(loc); i += 2 {
		text := ""
		if loc[i] >= 0 {
			text = string(rest[loc[i]:loc[i+1]])
		}
		m = append(m, text)
	}
	w.next += loc[1]
	return m
}

// send types s; sendLine ends it with Enter.
func (w *terminal) send(s string) {
	w.t.Helper()
	if _, err := w.file.WriteString(s); err != nil {
		w.t.Fatalf("type to %s: %v", w.name, err)
	}
}

func (w *terminal) sendLine(s string) {
	w.t.Helper()
	w.send(s + "\r")
}

func (w *terminal) resize(cols, rows uint16) {
	w.t.Helper()
	if err := pty.Setsize(w.file, &pty.Winsize{Rows: rows, Cols: cols}); err != nil {
		w.t.Fatal(err)
	}
}

// text is everything shown so far.
func (w *terminal) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.seen)
}

// count says how often s was shown.
func (w *terminal) count(s string) int { return strings.Count(w.text(), s) }

// wait waits for the program to end and gives its exit status.
func (w *terminal) wait() int {
	w.t.Helper()
	if _, ok := testkit.ReceiveWithin(testkit.CommandTime, w.exited); !ok {
		w.t.Fatalf("%s is still running; it showed %q", w.name, testkit.Clip(w.text()))
	}
	return w.cmd.ProcessState.ExitCode()
}
