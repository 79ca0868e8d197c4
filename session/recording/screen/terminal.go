package screen

import "time"

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
	offX     bool // on a wider screen it is further to the right, as beyond has it
	offY     bool // on a higher one it is further down
	pending  bool // the last column was written: the next character wraps
	origin   bool
	pen      Cell
	sets     [4]Charset // G0 to G3
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
	t.page.top, t.page.bottom = 0, t.rows-1
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

// moveTo puts the cursor somewhere on the screen.
func (t *Terminal) moveTo(x, y int) {
	t.x, t.y = min(max(x, 0), t.cols-1), min(max(y, 0), t.rows-1)
	t.pending = false
}

// address is moveTo in the coordinates of origin mode.
func (t *Terminal) address(x, y int) {
	if t.origin {
		y = min(max(y, 0)+t.page.top, t.page.bottom)
	}
	t.moveTo(x, y)
}

// up and down move the cursor, but not out of the scroll region.
func (t *Terminal) up(n int) {
	stop := 0
	if t.y >= t.page.top {
		stop = t.page.top
	}
	t.moveTo(t.x, max(t.y-n, stop))
}

func (t *Terminal) down(n int) {
	stop := t.rows - 1
	if t.y <= t.page.bottom {
		stop = t.page.bottom
	}
	if t.y+n > stop && stop == t.rows-1 {
		t.beyond(t.offX, true)
	}
	t.moveTo(t.x, min(t.y+n, stop))
}

// index moves the cursor down, and the scroll region up where it ends.
func (t *Terminal) index() {
	if t.y == t.page.bottom {
		t.scroll(t.page.top, t.page.bottom, 1)
	} else if t.y < t.rows-1 {
		t.y++
	}
}

// reverseIndex moves the cursor up, and the scroll region down where it starts.
func (t *Terminal) reverseIndex() {
	t.pending = false
	if t.y == t.page.top {
		t.scroll(t.page.top, t.page.bottom, -1)
	} else if t.y > 0 {
		t.y--
	}
}

// lineFeed is LF.
func (t *Terminal) lineFeed() {
	if t.typed != nil {
		t.typed.lineFeed()
	}
	t.page.rows[t.y].wrapped = false
	t.pending = false
	t.index()
	if t.newline || t.cooked {
		t.x, t.offX = 0, false
	}
}

// tab moves the cursor n tab stops on, or back if n is below zero.
func (t *Terminal) tab(n int) {
	x := t.x
	for ; n > 0 && x < t.cols-1; n-- {
		for x++; x < t.cols-1 && !t.tabs[x]; x++ {
		}
	}
	if n > 0 {
		t.beyond(true, t.offY)
	}
	for ; n < 0 && x > 0; n++ {
		for x--; x > 0 && !t.tabs[x]; x-- {
		}
	}
	t.moveTo(x, t.y)
}

// switchTo shows the main or the alternate screen.
func (t *Terminal) switchTo(p *page) {
	if p == t.page {
		return
	}
	if t.log != nil {
		t.log.switched()
	}
	p.top, p.bottom = t.page.top, t.page.bottom
	t.page = p
}

// clear blanks all rows.
func (p *page) clear(now time.Duration, cols int, bg Color) {
	for _, r := range p.rows {
		r.blank(now, cols, bg)
	}
}

func (t *Terminal) saveCursor() { t.page.saved = t.cursor }

func (t *Terminal) restoreCursor(c cursor) {
	t.cursor = c
	t.x, t.y = min(t.x, t.cols-1), min(t.y, t.rows-1)
}
