package play

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"entry/session/recording"
)

// text writes what a person read on a channel: plain lines, with
// carriage returns, backspaces and edits within a line carried out, and
// without colours. Programs that draw on the whole screen come out as the
// lines they drew, in the order they drew them. Notes stand in brackets.
func text(next func() (recording.Frame, error), w io.Writer, _ recording.Header, c recording.Channel) error {
	t := &line{out: bufio.NewWriterSize(w, 64<<10)}
	safe := sanitise(t)
	err := each(next, c.Number, func(f recording.Frame) error {
		if f.Kind == recording.Output || f.Kind == recording.Error {
			_, err := safe.Write(f.Data)
			return err
		}
		if note := noteOf(f); note != "" && f.Kind != recording.Resize {
			t.end()
			_, err := fmt.Fprintf(t.out, "[entry: %s]\n", note)
			return err
		}
		return nil
	})
	err = errors.Join(err, safe.Close())
	t.end()
	return errors.Join(err, t.out.Flush())
}

const (
	maxColumn = 4 << 10  // how far the cursor moves without text; no terminal is wider
	maxLine   = 64 << 10 // runes of a line until it is broken
)

// line is a terminal of one line. It is written to by a sanitiser, so that it
// sees whole characters and known sequences only.
type line struct {
	out   *bufio.Writer
	cells []rune
	col   int
}

// Write implements io.Writer.
func (t *line) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if rest[0] == 0x1b {
			rest = t.sequence(rest)
			continue
		}
		r, n := utf8.DecodeRune(rest)
		rest = rest[n:]
		switch r {
		case '\n':
			t.flush()
		case '\r':
			t.col = 0
		case '\b':
			t.col = max(0, t.col-1)
		case '\t':
			t.col = min(t.col/8*8+8, max(maxColumn, len(t.cells)))
		default:
			t.put(r)
		}
	}
	return len(p), nil // errors of writing come from Flush
}

func (t *line) put(r rune) {
	t.reach(t.col)
	if t.col == len(t.cells) {
		t.cells = append(t.cells, r)
	} else {
		t.cells[t.col] = r
	}
	if t.col++; t.col >= maxLine {
		t.flush()
	}
}

// reach fills the line with spaces up to col.
func (t *line) reach(col int) {
	for len(t.cells) < col {
		t.cells = append(t.cells, ' ')
	}
}

// flush writes the line and starts the next.
func (t *line) flush() {
	_, _ = t.out.WriteString(strings.TrimRight(string(t.cells), " ")) // a bufio.Writer keeps its error for Flush
	_ = t.out.WriteByte('\n')
	t.cells, t.col = t.cells[:0], 0
}

// end writes the line if there is one.
func (t *line) end() {
	if len(t.cells) > 0 {
		t.flush()
	}
	t.col = 0
}

// sequence carries out the sequence at the start of b and returns what follows.
func (t *line) sequence(b []byte) []byte {
	if len(b) < 2 || b[1] != '[' {
		t.end() // the cursor was saved or restored: it is somewhere else
		return b[min(2, len(b)):]
	}
	i := slices.IndexFunc(b[2:], func(c byte) bool { return c >= 0x40 })
	if i < 0 {
		return nil
	}
	params, final, rest := strings.Split(string(b[2:2+i]), ";"), b[2+i], b[3+i:]
	n, _ := strconv.Atoi(params[0]) // empty is 0
	count := min(max(n, 1), maxColumn)
	switch final {
	case 'm':
	case 'C', 'a':
		t.col = min(t.col+count, max(maxColumn, len(t.cells)))
	case 'D':
		t.col = max(0, t.col-count)
	case 'G', '`':
		t.col = count - 1
	case 'K':
		t.erase(n)
	case 'J':
		if n == 0 {
			t.erase(0)
		} else {
			t.end()
		}
	case 'X':
		for i := t.col; i < min(t.col+count, len(t.cells)); i++ {
			t.cells[i] = ' '
		}
	case 'P':
		if t.col < len(t.cells) {
			t.cells = slices.Delete(t.cells, t.col, min(t.col+count, len(t.cells)))
		}
	case '@':
		if t.col < len(t.cells) && len(t.cells) < maxLine {
			t.cells = slices.Insert(t.cells, t.col, slices.Repeat([]rune{' '}, count)...)
		}
	case 'H', 'f':
		t.end()
		if len(params) > 1 {
			col, _ := strconv.Atoi(params[1]) // empty is 0
			t.col = min(max(col, 1), maxColumn) - 1
		}
	default:
		t.end() // to another line
	}
	return rest
}

// erase carries out EL.
func (t *line) erase(how int) {
	switch how {
	case 0:
		t.cells = t.cells[:min(t.col, len(t.cells))]
	case 1:
		for i := range min(t.col+1, len(t.cells)) {
			t.cells[i] = ' '
		}
	case 2:
		t.cells = t.cells[:0]
	}
}
