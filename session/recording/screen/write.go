package screen

import (
	"slices"
	"unicode/utf8"
)

// Charset is what the codes of ASCII mean.
type Charset uint8

const (
	ascii    Charset = iota
	graphics         // DEC Special Graphics: lines and boxes
	british          // # is £
)

// CharsetOf returns the set that a sequence like ESC ( 0 names by its last byte.
func CharsetOf(final byte) Charset {
	switch final {
	case '0', '2':
		return graphics
	case 'A':
		return british
	}
	return ascii
}

// lines are the characters of DEC Special Graphics from 0x60 on.
var lines = []rune("◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")

// Rune returns the character that a code of printable ASCII stands for.
func (s Charset) Rune(b byte) rune {
	switch {
	case s == graphics && b == 0x5f:
		return ' '
	case s == graphics && b >= 0x60 && b < 0x7f:
		return lines[b-0x60]
	case s == british && b == '#':
		return '£'
	}
	return rune(b)
}

// ascii writes printable ASCII: the fast path of everything.
func (t *Terminal) ascii(p []byte) {
	if t.singleGL != 0 || t.sets[t.gl] != ascii {
		for _, b := range p {
			set := t.sets[t.gl]
			if t.singleGL != 0 {
				set, t.singleGL = t.sets[t.singleGL], 0
			}
			t.putAs(set.Rune(b), b)
		}
		return
	}
	t.last = rune(p[len(p)-1])
	if t.log != nil {
		t.log.wrote(p)
		defer t.log.writtenTo()
	}
	c := t.pen
	for {
		t.wrap()
		r := t.page.rows[t.y]
		n := min(len(p), t.cols-t.x)
		if t.insert {
			t.pushes(n)
			r.insert(t.now, t.x, n, t.cols, t.pen.bg)
		}
		end := t.x + n
		t.over(r, end)
		r.split(t.x)
		r.split(end)
		r.reach(end)
		r.touch(t.now)
		cells := r.cells[t.x:end]
		for i, b := range p[:len(cells)] {
			c.glyph = uint32(b)
			cells[i] = c
		}
		t.x = end
		p = p[n:]
		if t.x == t.cols {
			t.x--
			if t.pending = t.autowrap; !t.autowrap {
				p = t.overflows(r, p)
			}
		}
		if len(p) == 0 {
			return
		}
	}
}

// wrap goes to the next line if the last character filled this one.
func (t *Terminal) wrap() {
	if !t.pending {
		return
	}
	if !t.autowrap {
		t.unpend()
		return
	}
	t.pending = false
	t.page.rows[t.y].wrapped = true
	at := t.onFar()
	t.index(true)
	t.x, t.dx, t.dy, t.dw = 0, at.dx+t.x+1, at.both-t.y, at.wider-t.y // a wider screen has it in the same row
}

// put writes one character of any kind.
func (t *Terminal) put(r rune) { t.putWritten(r, nil) }

// putWritten writes one character, which was written as so many bytes, or as itself.
func (t *Terminal) putWritten(r rune, as []byte) {
	soft := r == softHyphen
	r, n, sure := t.widths.shown(r)
	if n <= 0 {
		t.page.rows[t.y].shaky = t.page.rows[t.y].shaky || !sure
		if n == 0 {
			t.combine(r)
		}
		return
	}
	if n > t.cols {
		return
	}
	t.last = r
	if t.log != nil {
		if as == nil && !soft {
			as = utf8.AppendRune(nil, r)
		}
		t.log.wrote(as)
		defer t.log.writtenTo()
	}
	t.wrap()
	if t.x+n > t.cols { // a wide one doesn't fit
		if !t.autowrap {
			t.misses(r)
			return
		}
		t.pending = true
		t.dx--
		t.wrap()
	}
	line := t.page.rows[t.y]
	if t.insert {
		t.pushes(n)
		line.insert(t.now, t.x, n, t.cols, t.pen.bg)
	}
	end := t.x + n
	t.over(line, end)
	line.split(t.x)
	line.split(end)
	line.reach(end)
	line.touch(t.now)
	c := t.pen
	line.shaky = line.shaky || !sure
	if c.glyph = uint32(r); soft {
		c.glyph, line.drawn = softHyphen, true
	}
	if n == 2 {
		c.attr |= wide
		line.cells[t.x+1] = Cell{fg: c.fg, bg: c.bg, attr: c.attr&looks | tail}
	}
	line.cells[t.x] = c
	if t.x = end; t.x >= t.cols {
		t.x = t.cols - 1
		if t.pending = t.autowrap; !t.autowrap {
			t.dx++
		}
	}
}

// combine adds a mark to the character before the cursor.
func (t *Terminal) combine(mark rune) {
	r := t.page.rows[t.y]
	x := t.x
	if !t.pending {
		x--
	}
	if x > 0 && x < len(r.cells) && r.cells[x].attr&tail != 0 {
		x--
	}
	if x < 0 || x >= len(r.cells) {
		return
	}
	if len(t.clusters.text) >= maxClusters {
		t.forgetClusters()
	}
	if t.log != nil {
		t.log.marked(mark)
	}
	r.cleared = false
	r.cells[x].glyph = t.clusters.add(r.cells[x].glyph, mark)
	r.touch(t.now)
}

// forgetClusters drops the clusters that no cell shows any more.
func (t *Terminal) forgetClusters() {
	old := t.clusters
	t.clusters = clusters{}
	renew := func(glyph uint32) uint32 {
		if glyph < cluster {
			return glyph
		}
		runes := []rune(old.of(glyph))
		glyph = uint32(runes[0])
		if len(t.clusters.text) >= maxClusters/2 { // more than people can tell apart: the characters without marks
			return glyph
		}
		for _, mark := range runes[1:] {
			glyph = t.clusters.add(glyph, mark)
		}
		return glyph
	}
	for _, r := range slices.Concat(t.main.rows, t.alt.rows, t.back) {
		for i := range r.cells {
			r.cells[i].glyph = renew(r.cells[i].glyph)
		}
	}
	if t.log != nil {
		t.log.renew(renew)
	}
}

// repeat is REP: the last character n times more.
func (t *Terminal) repeat(n int) {
	if t.last == 0 {
		return
	}
	n = min(n, t.cols) // programs repeat within a line; a few bytes mustn't make megabytes
	if t.last >= 0x20 && t.last < 0x7f {
		b := slices.Repeat([]byte{byte(t.last)}, min(n, t.cols))
		for set := t.sets[t.gl]; n > 0; n -= len(b) {
			b = b[:min(len(b), n)]
			t.sets[t.gl] = ascii // it is what was shown already
			t.ascii(b)
			t.sets[t.gl] = set
		}
		return
	}
	for range n {
		t.put(t.last)
	}
}
