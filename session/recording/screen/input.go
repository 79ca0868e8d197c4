package screen

import (
	"bytes"
	"slices"
	"unicode"
)

// beside looks for what stands at the end of the row where the input starts and isn't of the
// input: the cursor never came there, and it isn't next to it, unless nothing is typed yet.
func (c *Commands) beside() {
	t := c.t
	switch r := t.page.rows[t.y]; {
	case r != c.row:
		if c.full(c.row) {
			c.beyond, c.far = "", c.t.cols
		}
	case t.x >= c.far:
		c.beyond = ""
		if c.work -= max(0, len(r.cells)-t.x); c.work < 0 {
			return
		}
		c.far, c.rcol = t.x, t.x
		for c.rcol < len(r.cells) && r.cells[c.rcol].blank() {
			c.rcol++
		}
		if c.idle || c.rcol >= t.x+2 {
			c.beyond = string(bytes.TrimSpace(c.rowText(r, c.rcol, len(r.cells))))
		}
		if c.idle { // so it is the prompt's
			c.right = c.beyond
		}
	}
}

// without returns the first line of the input, which starts at a column, without what stands
// at the right of it.
func (c *Commands) without(r *row, start int, line []byte) []byte {
	if cut, ok := bytes.CutSuffix(line, []byte(c.right)); ok && c.right != "" {
		return trimRight(cut)
	}
	if c.beyond == "" || c.rcol <= start || c.rcol >= len(r.cells) || !r.cells[c.rcol-1].blank() {
		return line
	}
	line = bytes.Clone(line)
	if now := uncounted(c.rowText(r, c.rcol, len(r.cells))); string(now) != string(uncounted([]byte(c.beyond))) {
		return line
	}
	return trimRight(c.rowText(r, start, c.rcol))
}

// uncounted is a text without its digits and drawings: of a clock what stays.
func uncounted(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, text)
}

// read returns what stands from the input's start, in row first, to the end of the
// row end and what goes on from it; valid until the next call.
func (c *Commands) read(first, end *row) []byte {
	rows := c.t.page.rows
	from := slices.Index(rows, first)
	if from < 0 {
		rows = append(c.t.scrollback(), rows...)
		from = max(slices.Index(rows, first), 0)
	}
	to := max(slices.Index(rows, end), from)
	c.work -= len(rows)
	for to+1 < len(rows) && c.full(rows[to]) && !blankCells(rows[to+1].cells) {
		to++
	}
	text := make([]byte, 0, 256)
	for i, r := range rows[from : to+1] {
		start := 0
		if i == 0 {
			start = c.col
		}
		line := c.rowText(r, min(start, len(r.cells)), len(r.cells))
		if !c.full(r) || i == to-from {
			line = trimRight(line)
		}
		if i == 0 {
			line = c.without(r, start, line)
		}
		text = append(text, line...)
		if c.work -= len(r.cells); c.work < 0 && i < to-from || len(text) > maxCommand {
			return append(text[:min(len(text), maxCommand)], "…"...)
		}
		if !c.full(r) && i < to-from {
			text = append(text, '\n')
		}
	}
	return bytes.TrimRight(text, " \n")
}

// rowText returns the text of cells, with spaces behind the last one up to end; valid
// until the next call.
func (c *Commands) rowText(r *row, from, end int) []byte {
	c.text = c.text[:0]
	for x := from; x < end; x++ {
		switch {
		case x >= len(r.cells):
			c.text = append(c.text, ' ')
		case r.cells[x].attr&tail != 0:
		case r.cells[x].glyph-1 < 0x7f:
			c.text = append(c.text, byte(r.cells[x].glyph))
		default:
			c.text = append(c.text, c.t.clusters.of(r.cells[x].glyph)...)
		}
	}
	return c.text
}
