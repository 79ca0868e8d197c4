package screen

import (
	"math"
	"time"
)

const (
	// MaxCols and MaxRows cap a screen's size, whatever size a client claims: a
	// display of 7680x4320 has room for 960x270 characters of 8x16.
	MaxCols, MaxRows = 1000, 500

	// DefaultCols and DefaultRows are the size where a recording tells none.
	DefaultCols, DefaultRows = 80, 24

	scrollbackRows = 1000 // for a change of size and for a look back
)

// Terminal is a screen and what writes on it. It isn't safe for concurrent use.
type Terminal struct {
	cols, rows int
	main, alt  *page
	page       *page // main or alt
	cursor
	hidden    bool // the cursor
	insert    bool // IRM
	newline   bool // LNM
	cooked    bool // as if LNM were always set
	autowrap  bool
	tabs      []bool
	last      rune // what REP repeats; 0 is nothing
	saved1048 cursor
	unsure    unsure
	modes     [len(keptModes)]int8 // that were saved: 1 is on, -1 off, 0 never

	back      []*row // a ring of rows scrolled off the main screen
	oldest    int    // where it starts, once it is full
	maxBack   int
	hscrolled int // how many of those come back when the screen grows
	rolled    int // how many rows a screen that is only wider has above itself

	clusters clusters
	widths   widths
	parser   parser
	log      *Transcript // hears of rows that go; nil if nobody listens
	typed    *Commands   // hears of what ends a line of input; nil if nobody listens
	now      time.Duration
	onScroll func(t *Terminal, cells []Cell, wrapped bool)
}

// cursor is what DECSC saves.
type cursor struct {
	x, y     int
	dx, dy   int  // how much further to the right and down it is on a larger screen, as far has it
	dz, dw   int  // how much further down on one that is only higher, or only wider
	was      int  // how many rows a wider screen had above itself when it was saved
	pending  bool // the last column was written: the next character wraps
	origin   bool
	pen      Cell
	sets     [4]Charset // G0 to G3
	astray   astray     // it isn't there on all terminals
	gl       uint8      // which of them characters come from
	singleGL uint8      // the one for the next character alone; 0 is none
}

// New returns a blank terminal. Sizes out of range are brought into it; zero is
// the customary 80x24.
func New(cols, rows int) *Terminal {
	cols, rows = Fit(cols, rows)
	t := &Terminal{cols: cols, rows: rows, maxBack: scrollbackRows}
	t.reset()
	return t
}

// Fit is the size that New makes of one.
func Fit(cols, rows int) (int, int) {
	if cols <= 0 || rows <= 0 {
		return DefaultCols, DefaultRows
	}
	return min(cols, MaxCols), min(rows, MaxRows)
}

// reset is RIS, but for the scrollback.
func (t *Terminal) reset() {
	t.main, t.alt = newPage(t.rows), newPage(t.rows)
	t.page = t.main
	t.defaultTabs(0)
	t.soft()
	t.cursor = cursor{}
	t.autowrap, t.newline, t.last, t.unsure = true, false, 0, 0
}

// soft is DECSTR.
func (t *Terminal) soft() {
	t.hidden, t.insert, t.autowrap = false, false, true
	t.origin, t.pen, t.sets, t.gl, t.singleGL = false, Cell{}, [4]Charset{}, 0, 0
	t.page.region = region{bottom: t.rows - 1}
	t.main.saved, t.alt.saved, t.saved1048 = cursor{}, cursor{}, cursor{}
}

// defaultTabs sets a tab stop every eight columns from column from on.
func (t *Terminal) defaultTabs(from int) {
	old := t.tabs
	t.tabs = make([]bool, t.cols)
	copy(t.tabs[:min(from, t.cols)], old)
	for x := (from + 7) / 8 * 8; x < t.cols; x += 8 {
		t.tabs[x] = true
	}
}

// Cooked says that no terminal of the target's made lines of what comes: a line
// feed alone starts a new line.
func (t *Terminal) Cooked() { t.cooked = true }

// OnScroll has f called with each row that leaves the main screen at its top, as
// Cells and Wrapped have it. f keeps nothing of it and doesn't change the terminal.
func (t *Terminal) OnScroll(f func(t *Terminal, cells []Cell, wrapped bool)) { t.onScroll = f }

// Wrapped reports whether row y and the next are one line.
func (t *Terminal) Wrapped(y int) bool { return t.page.rows[y].wrapped }

// Size returns the screen's size.
func (t *Terminal) Size() (cols, rows int) { return t.cols, t.rows }

// Cursor returns where the cursor is, from 0, and whether it shows.
func (t *Terminal) Cursor() (x, y int, visible bool) { return t.x, t.y, !t.hidden }

// Cells returns the cells of row y without blank ones at its end, valid until
// the next Write or Resize.
func (t *Terminal) Cells(y int) []Cell { return t.page.rows[y].cells }

// Text returns a cell's character with what combines with it, a space for a
// blank one, "" for the right half of a wide one.
func (t *Terminal) Text(c Cell) string {
	if c.attr&tail != 0 {
		return ""
	}
	return t.clusters.of(c.glyph)
}

// address puts the cursor somewhere, in the coordinates of origin mode.
func (t *Terminal) address(x, y int) {
	t.toColumn(x)
	t.toRow(y)
}

// index moves the cursor down, and the scroll region up where it ends; wraps says that a wider
// screen doesn't.
func (t *Terminal) index(wraps bool) {
	p, at, top := t.page, t.onFar(), t.farTop()
	from := nowhere
	down := func(y, from *int, top int) {
		if p.bounded && *y == p.bottom {
			*from = top
		} else {
			*y++
		}
	}
	down(&at.higher, &from.higher, top.higher)
	switch last := t.rolled + p.bottom; {
	case wraps:
	case at.wider == last && p.top == 0 && p.open(t.rows):
		t.rolled++
		fallthrough
	case at.wider < last, at.wider > last && at.wider < t.rolled+t.rows-1:
		at.wider++
	case at.wider == last:
		from.wider = top.wider
	}
	if !wraps {
		down(&at.both, &from.both, top.both)
	}
	switch {
	case t.y == p.bottom:
		keep := p.top == 0 && p == t.main
		if !keep {
			t.scrollsOut(p.top, 1)
			t.goAway(p.top, 1, top, from == top)
		}
		t.farShifts(from, -1)
		t.shift(p.top, p.bottom, 1, keep)
	default:
		t.farShifts(from, -1)
		t.y = min(t.y+1, t.rows-1)
	}
	t.dy, t.dz, t.dw = at.both-t.y, at.higher-t.y, at.wider-t.y
}

// nowhere is where no row is.
var nowhere = far{both: math.MaxInt, higher: math.MaxInt, wider: math.MaxInt}

// farTop is where the scroll region begins on a larger screen.
func (t *Terminal) farTop() far {
	return far{both: t.page.farTop, higher: t.page.farTop, wider: t.rolled + t.page.top}
}

// reverseIndex moves the cursor up, and the scroll region down where it starts.
func (t *Terminal) reverseIndex() {
	t.unpend()
	at, top, y := t.onFar(), t.farTop(), t.y
	from := nowhere
	for _, f := range [][3]*int{{&at.both, &top.both, &from.both}, {&at.higher, &top.higher, &from.higher}, {&at.wider, &top.wider, &from.wider}} {
		if *f[0] == *f[1] {
			*f[2] = *f[1]
		} else {
			*f[0]--
		}
	}
	if t.y == t.page.top {
		t.goAway(t.page.bottom, 1, far{}, false)
		t.farShifts(from, 1)
		t.shift(t.page.top, t.page.bottom, -1, false)
	} else {
		t.farShifts(from, 1)
		y = max(y-1, 0)
	}
	t.y = y
	t.dy, t.dz, t.dw = at.both-y, at.higher-y, at.wider-y
}

// lineFeed is LF.
func (t *Terminal) lineFeed() {
	if t.typed != nil {
		t.typed.lineFeed()
	}
	t.page.rows[t.y].wrapped = false
	t.unpend()
	t.index(false)
	if t.newline || t.cooked {
		t.x, t.dx = 0, 0
	}
}

// tab moves the cursor n tab stops on, or back if n is below zero. A wider screen has one
// every eight columns.
func (t *Terminal) tab(n int) {
	t.unpend()
	for ; n != 0; n -= max(-1, min(n, 1)) {
		was, x := t.x, t.x
		far := (x + t.dx) / 8 * 8
		if n > 0 {
			for x = min(x+1, t.cols-1); x < t.cols-1 && !t.tabs[x]; x++ {
			}
			far += 8
		} else {
			for x = max(x-1, 0); x > 0 && !t.tabs[x]; x-- {
			}
			far = max(0, (was+t.dx-1)/8*8)
		}
		if t.dx == 0 && x != was && (t.tabs[x] || x == 0) {
			far = x
		}
		t.x, t.dx = x, far-x
	}
}

// switchTo shows the main or the alternate screen.
func (t *Terminal) switchTo(p *page) {
	if p == t.page {
		return
	}
	if t.log != nil {
		t.log.switched()
	}
	p.region = t.page.region
	t.page = p
}

// clear blanks all rows.
func (p *page) clear(now time.Duration, cols int, bg Color) {
	for _, r := range p.rows {
		r.blank(now, cols, bg)
	}
}

func (t *Terminal) saveCursor() {
	t.was = t.rolled
	t.page.saved = t.cursor
}

func (t *Terminal) restoreCursor(c cursor) {
	c.dw += t.rolled - c.was
	t.cursor = c
	t.x, t.y = min(t.x, t.cols-1), min(t.y, t.rows-1)
}
