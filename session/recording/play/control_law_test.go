package play

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/term"

	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/control"
	"entry/session/recording/screen"
)

// controlled is a real tmux whose control mode the test reads, with panes whose terminals
// it writes to.
type controlled struct {
	t     testing.TB
	dir   string
	in    io.WriteCloser
	out   testkit.Output
	ttys  map[string]*os.File
	marks int
	given int // bytes of out that were taken
}

func startControlled(t testing.TB) *controlled {
	t.Helper()
	c := &controlled{t: t, dir: testkit.ShortDir(t), ttys: map[string]*os.File{}}
	cmd := c.command("-f", "/dev/null", "-C", "new-session", "-x", "40", "-y", "10", "exec sleep 86400")
	var err error
	c.in, err = cmd.StdinPipe()
	testkit.Check(t, err)
	cmd.Stdout = &c.out
	testkit.Check(t, cmd.Start())
	t.Cleanup(func() {
		for _, tty := range c.ttys {
			testkit.Check(t, tty.Close())
		}
		c.run("kill-server")
		testkit.Finishes(t, "tmux ends", func() { _ = cmd.Wait() }) // it says how in what it wrote
	})
	c.await(`(?m)^%session-changed`)
	return c
}

func (c *controlled) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(testkit.Context(c.t, testkit.Soon), "tmux", append([]string{"-u", "-S", filepath.Join(c.dir, "s")}, args...)...)
	cmd.Env = []string{"LC_ALL=C.UTF-8", "TERM=xterm-256color", "PATH=" + os.Getenv("PATH"), "SHELL=/bin/sh"}
	return cmd
}

func (c *controlled) run(args ...string) string {
	c.t.Helper()
	out, err := c.command(args...).Output()
	if err != nil {
		c.t.Fatalf("tmux %q: %v", args, err)
	}
	return string(out)
}

// await waits until control mode has said something that wasn't taken yet.
func (c *controlled) await(re string) {
	c.t.Helper()
	want := regexp.MustCompile(re)
	testkit.Eventually(c.t, "control mode says "+re, func() bool { return want.MatchString(c.out.String()[c.given:]) })
}

// do has control mode carry out a command, and waits for its answer.
func (c *controlled) do(command string) {
	c.t.Helper()
	c.marks++
	_, err := fmt.Fprintf(c.in, "%s\ndisplay-message -p done-%d\n", command, c.marks)
	testkit.Check(c.t, err)
	c.await(fmt.Sprintf(`(?m)^done-%d\n%%end .*\n`, c.marks))
}

// panes are tmux's, with their sizes.
func (c *controlled) panes() (names []string, sizes map[string]string) {
	sizes = map[string]string{}
	for line := range strings.Lines(c.run("list-panes", "-s", "-F", "#{pane_id} #{pane_width}x#{pane_height} #{pane_tty}")) {
		f := strings.Fields(line)
		names, sizes[f[0]] = append(names, f[0]), f[1]
		if c.ttys[f[0]] == nil {
			tty, err := os.OpenFile(f[2], os.O_RDWR, 0)
			testkit.Check(c.t, err)
			_, err = term.MakeRaw(int(tty.Fd()))
			testkit.Check(c.t, err)
			c.ttys[f[0]] = tty
		}
	}
	return names, sizes
}

// write has a pane's program write, until tmux has carried it out and control mode has told
// of it.
func (c *controlled) write(pane, text string) {
	c.t.Helper()
	c.marks++
	_, err := c.ttys[pane].WriteString(text + fmt.Sprintf("\x1b]2;mark-%d\x1b\\\x1b[5n", c.marks))
	testkit.Check(c.t, err)
	read := bufio.NewReader(c.ttys[pane])
	testkit.Finishes(c.t, "tmux answers", func() { _, err = read.ReadString('n') })
	testkit.Check(c.t, err)
	c.await(fmt.Sprintf(`mark-%d\\033`, c.marks))
}

// take returns what control mode said since.
func (c *controlled) take() []byte {
	all := c.out.String()
	b := []byte(all[c.given:])
	c.given = len(all)
	return b
}

// paneMoves are what programs do beside writing words.
var paneMoves = []string{
	"\r", "\n", "\r\n", "\r\n", "\b", "\t", "\x1b[A", "\x1b[H", "\x1b[3;5H", "\x1b[5;1H", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[2J", "\x1b[3X", "\x1b[2@", "\x1b[3P",
	"\x1bM", "\x1b[31m", "\x1b[m", "\\", "\\033", "é", "日本", "%output %0 fake\r\n", "\x1b]0;title\a",
}

// Whatever the programs in panes of a real tmux write, and however their windows are split,
// resized, closed and attached to again, each word that tmux shows in a pane for a tenth of a
// second is told of that pane, and no pane's word of another one.
func TestSoakPanesHideNothing(t *testing.T) {
	for seed := range uint64(testkit.Long(3, 100)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { paneWalk(t, seed, seed%2 == 0) })
	}
}

// sizedPane knows its size.
type sizedPane struct {
	unseen
	size string
}

func (p *sizedPane) Resize(_ time.Duration, cols, rows int) {
	p.size = fmt.Sprintf("%dx%d", cols, rows)
}

var wordsOf = regexp.MustCompile(`w[0-9]+x[a-z]+`)

func paneWalk(t *testing.T, seed uint64, str bool) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	tmux := startControlled(t)
	told := map[string]*bytes.Buffer{}
	lines := Transcribe(recording.Channel{Number: 1, PTY: true, Cols: 40, Rows: 10, Command: "tmux -C"}, func(pane string, l screen.Line) {
		if told[pane] == nil {
			told[pane] = &bytes.Buffer{}
		}
		fmt.Fprintf(told[pane], "%s\n", l.Text)
	})
	sized := control.New(control.Options{Cols: 40, Rows: 10, Around: func(time.Duration, []byte) {}, Open: func(_ string, cols, rows int) control.Display {
		p := &sizedPane{}
		p.Resize(0, cols, rows)
		return p
	}})
	at := time.Second
	give := func(b []byte) {
		for len(b) > 0 {
			n := min(len(b), 1+rnd.IntN(200))
			lines.Frame(recording.Frame{At: at, Channel: 1, Kind: recording.Output, Data: b[:n]})
			sized.Write(at, b[:n])
			b = b[n:]
		}
	}
	if str {
		give([]byte("\x1bP1000p"))
	}
	own, written := map[string]bool{}, map[string]bool{} // panes with a screen of their program's; words
	stood := map[string]map[string]bool{}
	var log strings.Builder
	for step := range 60 {
		names, _ := tmux.panes()
		pane := names[rnd.IntN(len(names))]
		switch n := rnd.IntN(20); {
		case n == 0 && len(names) < 6:
			tmux.do("split-window -t " + pane + " " + []string{"-h", "-v"}[rnd.IntN(2)] + " 'exec sleep 86400'")
		case n == 1:
			tmux.do(fmt.Sprintf("refresh-client -C %d,%d", 30+rnd.IntN(80), 8+rnd.IntN(30)))
		case n == 2:
			tmux.do(fmt.Sprintf("resize-pane -t %s -x %d -y %d", pane, 5+rnd.IntN(40), 2+rnd.IntN(10)))
		case n == 3:
			tmux.do("resize-pane -Z -t " + pane)
		case n == 4 && len(names) < 6:
			tmux.do("new-window 'exec sleep 86400'")
		case n == 5 && len(names) > 2:
			testkit.Check(t, tmux.ttys[pane].Close())
			delete(tmux.ttys, pane)
			tmux.do("kill-pane -t " + pane)
		case n == 6:
			tmux.do("list-windows")
		default:
			var text strings.Builder
			for range 1 + rnd.IntN(6) {
				switch n := rnd.IntN(20); {
				case n == 0: // as what ends it alone is xterm's and tmux's in different ways
					text.WriteString(map[bool]string{false: "\x1b[?1049h", true: "\x1b[?1049l"}[own[pane]])
					own[pane] = !own[pane]
				case n < 10:
					text.WriteString(paneMoves[rnd.IntN(len(paneMoves))])
				default:
					w := fmt.Sprintf("w%sx%c%c%c", strings.TrimPrefix(pane, "%"), 'a'+rnd.IntN(26), 'a'+rnd.IntN(26), 'a'+rnd.IntN(26))
					written[w] = true
					text.WriteString(w + " ")
				}
			}
			tmux.write(pane, text.String())
			fmt.Fprintf(&log, "%d: %s %q\n", step, pane, text.String())
		}
		at += 300 * time.Millisecond
		give(tmux.take())
		names, sizes := tmux.panes()
		for _, pane := range names {
			if stood[pane] == nil {
				stood[pane] = map[string]bool{}
			}
			for _, w := range wordsOf.FindAllString(tmux.run("capture-pane", "-p", "-t", pane), -1) {
				stood[pane][w] = written[w] || stood[pane][w] // or what was left of one
			}
			if p, ok := sized.Pane(pane).(*sizedPane); ok && p.size != sizes[pane] {
				t.Errorf("step %d: pane %s is %s, in tmux %s", step, pane, p.size, sizes[pane])
			}
		}
	}
	at += time.Second
	if str {
		give([]byte("%exit\r\n\x1b\\"))
	}
	lines.Close(at)
	words := 0
	for pane, all := range stood {
		for w, whole := range all {
			if !whole {
				continue
			}
			words++
			if told[pane] == nil || !strings.Contains(told[pane].String(), w) {
				t.Errorf("pane %s showed %s, which isn't told", pane, w)
			}
		}
	}
	for pane, text := range told {
		for _, w := range wordsOf.FindAllString(text.String(), -1) {
			// What was never written is what words left of each other.
			if pane != "" && written[w] && !strings.HasPrefix(w, "w"+strings.TrimPrefix(pane, "%")+"x") {
				t.Errorf("%s is told of pane %s", w, pane)
			}
		}
	}
	if words < 20 {
		t.Errorf("%d words stood", words)
	}
	if t.Failed() {
		t.Logf("seed %d\n%s", seed, log.String())
	}
}
