//go:build linux

package screen

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/term"

	"entry/e2e/testkit"
)

// look is a cell as both terminals tell it.
type look struct {
	text  string
	style Style
}

// untold stands for a blank cell of which tmux doesn't say how it looks.
const untold = "\x00"

// linuxOSC are the only sequences where the model is meant to differ from tmux:
// OSC without an end, which tmux waits for, so that it swallows what follows.
// xterm's control-sequence document has "OSC Ps ; Pt ST" with a number first; of
// what a Linux console takes instead, xterm(1), brokenLinuxOSC, says that it is
// taken without an end.
var linuxOSC = regexp.MustCompile(`\x1b\](R|P[0-9a-fA-F]{7})`)

// tmuxPane is a tmux server with one pane, whose terminal the test holds.
type tmuxPane struct {
	t    testing.TB
	dir  string
	tty  *os.File
	read *bufio.Reader
}

func newTmux(t testing.TB, cols, rows int) *tmuxPane {
	t.Helper()
	p := &tmuxPane{t: t, dir: testkit.ShortDir(t)}
	tty := p.run("-f", "/dev/null", "new-session", "-d", "-P", "-F", "#{pane_tty}", "-x", fmt.Sprint(cols), "-y", fmt.Sprint(rows), "exec sleep 86400",
		";", "set", "-g", "status", "off", ";", "set", "-g", "window-size", "manual", ";", "resize-window", "-x", fmt.Sprint(cols), "-y", fmt.Sprint(rows))
	var err error
	p.tty, err = os.OpenFile(strings.TrimSpace(string(tty)), os.O_RDWR, 0)
	testkit.Check(t, err)
	_, err = term.MakeRaw(int(p.tty.Fd()))
	testkit.Check(t, err)
	p.read = bufio.NewReader(p.tty)
	return p
}

// close ends the server.
func (p *tmuxPane) close() {
	p.t.Helper()
	testkit.Check(p.t, p.tty.Close())
	p.run("kill-server")
}

func (p *tmuxPane) run(args ...string) []byte {
	p.t.Helper()
	cmd := exec.CommandContext(testkit.Context(p.t, testkit.Soon), "tmux", append([]string{"-u", "-S", filepath.Join(p.dir, "s")}, args...)...)
	cmd.Env = []string{"LC_ALL=C.UTF-8", "TERM=xterm-256color", "PATH=" + os.Getenv("PATH"), "SHELL=/bin/sh"}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("tmux %q: %v: %s", args, err, errs.String())
	}
	return out
}

// cursor waits until tmux has taken everything that was written, and returns
// where its cursor is.
func (p *tmuxPane) cursor(cols int) (x, y int) {
	p.t.Helper()
	_, err := p.tty.WriteString("\x1b[6n\x1b[5n")
	testkit.Check(p.t, err)
	var last string
	for {
		var answer string
		var err error
		testkit.Finishes(p.t, "tmux answers", func() { answer, err = p.read.ReadString('n') })
		testkit.Check(p.t, err)
		if i := strings.LastIndexByte(answer, 'R'); i >= 0 {
			last = answer[strings.LastIndexByte(answer[:i], '[')+1 : i]
		}
		if strings.HasSuffix(answer, "\x1b[0n") {
			break
		}
	}
	_, err = fmt.Sscanf(last, "%d;%d", &y, &x)
	testkit.Check(p.t, err)
	return min(x, cols) - 1, y - 1
}

// cells returns what tmux shows.
func (p *tmuxPane) cells(cols, rows int) [][]look {
	p.t.Helper()
	all := make([][]look, 0, rows)
	var style Style
	graphic := false
	for _, line := range strings.Split(strings.TrimSuffix(string(p.run("capture-pane", "-p", "-e", "-N")), "\n"), "\n") {
		var row []look
		for len(line) > 0 {
			switch line[0] {
			case 0x1b:
				end := strings.IndexByte(line, 'm')
				style = style.after(line[2:end])
				line = line[end+1:]
				continue
			case 0x0e, 0x0f:
				graphic = line[0] == 0x0e
				line = line[1:]
				continue
			}
			r, n := utf8.DecodeRuneInString(line)
			line = line[n:]
			if graphic {
				r = graphics.Rune(byte(r))
			}
			if len(row) > 0 && Width(r) == 0 {
				row[len(row)-1].text += string(r)
				continue
			}
			row = append(row, look{string(r), style})
			if Width(r) == 2 {
				row = append(row, look{"", style})
			}
		}
		// What capture-pane doesn't tell: the background of cells that were
		// erased behind the last one that was written.
		for len(row) < cols {
			row = append(row, look{text: untold})
		}
		all = append(all, row)
	}
	for len(all) < rows {
		all = append(all, nil)
	}
	return all
}

// after returns the style after an SGR sequence, as tmux writes them.
func (s Style) after(params string) Style {
	codes := strings.Split(params, ";")
	num := func(i int) Color {
		if i >= len(codes) {
			return 0
		}
		n, _ := strconv.Atoi(codes[i])
		return Color(n)
	}
	for i := 0; i < len(codes); i++ {
		n := num(i)
		switch {
		case codes[i] == "4:2":
			s.Attr |= DoubleUnderline
		case strings.HasPrefix(codes[i], "4:"):
			s.Attr |= Underline
		case n == 0:
			s = Style{}
		case n <= 9:
			s.Attr |= map[Color]Attr{1: Bold, 2: Faint, 3: Italic, 4: Underline, 5: Blink, 7: Inverse, 8: Hidden, 9: Strike}[n]
		case n == 53:
			s.Attr |= Overline
		case n >= 30 && n < 38:
			s.FG = indexed | (n - 30)
		case n >= 40 && n < 48:
			s.BG = indexed | (n - 40)
		case n >= 90 && n < 98:
			s.FG = indexed | (n - 82)
		case n >= 100 && n < 108:
			s.BG = indexed | (n - 92)
		case n == 39:
			s.FG = 0
		case n == 49:
			s.BG = 0
		case n == 38 || n == 48:
			c := indexed | num(i+2)
			skip := 2
			if num(i+1) == 2 {
				c = trueColor | num(i+2)<<16 | num(i+3)<<8 | num(i+4)
				skip = 4
			}
			i += skip
			if n == 38 {
				s.FG = c
			} else {
				s.BG = c
			}
		}
	}
	return s
}

// looksOf returns what the model shows.
func looksOf(t *Terminal) [][]look {
	all := make([][]look, t.rows)
	for y := range all {
		for _, c := range t.Cells(y) {
			all[y] = append(all[y], look{t.Text(c), c.Style()})
		}
		for len(all[y]) < t.cols {
			all[y] = append(all[y], look{text: " "})
		}
	}
	return all
}

// differing counts the cells that differ, and returns the first of them in words.
func differing(ours, theirs [][]look) (n int, first string) {
	for y, row := range ours {
		for x, c := range row {
			var other look
			if x < len(theirs[y]) {
				other = theirs[y][x]
			}
			if c == other || c.text == "" && other.text == "" || c.text == " " && other.text == untold {
				continue
			}
			if n == 0 {
				first = fmt.Sprintf("row %d, column %d: %+v, tmux %+v\n%q\n%q", y, x, c, other, textOf(row), textOf(theirs[y]))
			}
			n++
		}
	}
	return n, first
}

func textOf(row []look) string {
	var b strings.Builder
	for _, c := range row {
		b.WriteString(c.text)
	}
	return strings.TrimRight(b.String(), " ")
}

// TestOracle feeds what real programs wrote to the model and to Debian's tmux and
// compares each cell, with its style, and the cursor, wherever the program waited.
func TestOracle(t *testing.T) {
	all := captures(t)
	rows := make([]string, len(all))
	t.Run("captures", func(t *testing.T) {
		for i, c := range all {
			size := fmt.Sprintf("%dx%d", c.Cols, c.Rows)
			t.Run(strings.Join([]string{c.Program, c.Term, size}, "/"), func(t *testing.T) {
				t.Parallel()
				cells, wrong := compareToTmux(t, c)
				rows[i] = fmt.Sprintf("%-8s %-15s %-8s %8d %9d", c.Program, c.Term, size, cells, wrong)
			})
		}
	})
	t.Logf("\n%-8s %-15s %-8s %8s %9s\n%s", "program", "TERM", "size", "cells", "differing", strings.Join(rows, "\n"))
}

func compareToTmux(t *testing.T, c capture) (cells, wrong int) {
	model, oracle := New(c.Cols, c.Rows), newTmux(t, c.Cols, c.Rows)
	defer oracle.close()
	cols, rows := c.Cols, c.Rows
	for i, e := range c.Events {
		switch {
		case e.output != nil:
			model.Write(e.output)
			_, err := oracle.tty.Write(linuxOSC.ReplaceAll(e.output, nil))
			testkit.Check(t, err)
		case e.cols > 0:
			oracle.cursor(cols) // it has taken what came before
			cols, rows = e.cols, e.rows
			model.Resize(cols, rows)
			oracle.run("resize-window", "-x", fmt.Sprint(cols), "-y", fmt.Sprint(rows))
		case e.check:
			x, y := oracle.cursor(cols)
			n, first := differing(looksOf(model), oracle.cells(cols, rows))
			cells += cols * rows
			if n > 0 && wrong == 0 {
				t.Errorf("event %d: %d cells differ; %s", i, n, first)
			}
			if mx, my, _ := model.Cursor(); mx != x || my != y {
				t.Errorf("event %d: the cursor is at %d,%d, tmux's at %d,%d", i, mx, my, x, y)
			}
			wrong += n
		}
	}
	return cells, wrong
}
