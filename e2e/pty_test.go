package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a person at a terminal: it reads what a program shows and types
// when something it waits for has appeared.
type terminal struct {
	t    testing.TB
	name string
	file *os.File
	cmd  *exec.Cmd

	mu      sync.Mutex
	seen    []byte        // everything shown so far
	next    int           // where the next Expect begins
	changed chan struct{} // closed and replaced whenever seen grows or ends
	ended   bool          // nothing more will be shown

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
	w := &terminal{t: t, name: cmd.Path, file: f, cmd: cmd, changed: make(chan struct{}), exited: make(chan struct{})}
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
		killGroup(cmd)
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
		close(w.changed)
		w.changed = make(chan struct{})
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
	m, err := w.tryExpect(regexp.MustCompile(re), 30*time.Second)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

var errNotShown = errors.New("not shown")

func (w *terminal) tryExpect(re *regexp.Regexp, timeout time.Duration) ([]string, error) {
	deadline := time.After(timeout)
	for {
		w.mu.Lock()
		rest := w.seen[w.next:]
		if loc := re.FindSubmatchIndex(rest); loc != nil {
			m := make([]string, len(loc)/2)
			for i := range m {
				if loc[2*i] >= 0 {
					m[i] = string(rest[loc[2*i]:loc[2*i+1]])
				}
			}
			w.next += loc[1]
			w.mu.Unlock()
			return m, nil
		}
		changed, ended, shown := w.changed, w.ended, string(rest)
		w.mu.Unlock()
		if ended {
			return nil, fmt.Errorf("%w: %s ended without %q; it showed %q", errNotShown, w.name, re, clip(shown))
		}
		select {
		case <-changed:
		case <-deadline:
			return nil, fmt.Errorf("%w: %s has no %q after %s; it showed %q", errNotShown, w.name, re, timeout, clip(shown))
		}
	}
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
	select {
	case <-w.exited:
		return w.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		w.t.Fatalf("%s is still running; it showed %q", w.name, clip(w.text()))
		return -1
	}
}
