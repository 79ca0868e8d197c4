package screen

import (
	"slices"
	"time"
)

// row is one line of cells. Those behind the last one that was written are
// blank and not there.
type row struct {
	cells   []Cell
	blanked int  // how often it was
	used    int  // cells until which something was written since the row was blank
	wrapped bool // the next row goes on with this one
	left    bool // it was above the screen
	cleared bool // nothing but blanks of background bg, so that clearing again costs nothing
	bg      Color

	// What a transcript knows of it.
	at    time.Duration // when it last changed
	since time.Duration // when it first did since the transcript looked
	dirty bool          // it did
	wiped time.Duration // when something of it was last erased or written over
	told  bool          // the transcript has it as it looked then, and tells it again only if it is erased
	mute  bool          // it shows a test picture, which nobody reads
	seen  *seen         // how it looked then
	y     int           // and where it was

	// What is in doubt of it.
	from, to int  // cells that were written since it last was as it is for a tenth of a second
	far      far  // where it is on a larger screen
	lo, hi   int  // what of it is there: cells that were written since it is
	shaky    bool // it has characters that terminals draw as wide as they like
	drawn    bool // it has some that are others on terminals with another character set
	noted    bool // it was taken notice of as it stands, as stood does
}

// touch notes that the row changes.
func (r *row) touch(now time.Duration) {
	if !r.dirty {
		r.dirty, r.since = true, now
	}
	r.at, r.mute, r.noted = now, false, false
}

// page is a screen: the main or the alternate one.
type page struct {
	rows []*row
	region
	saved cursor
}

// region is a scroll region.
type region struct {
	top, bottom int  // both inside it
	bounded     bool // a larger screen's ends there, too
	farTop      int  // where a larger screen's begins
}

// open reports whether a region goes further down on a larger screen.
func (r *region) open(rows int) bool { return r.bottom == rows-1 && !r.bounded }

func newPage(rows int) *page {
	p := &page{rows: make([]*row, rows), region: region{bottom: rows - 1}}
	for i := range p.rows {
		p.rows[i] = &row{}
	}
	return p
}

// reach makes the row n cells long at least.
func (r *row) reach(n int) {
	r.used, r.cleared = max(r.used, n), false
	if n <= len(r.cells) {
		return
	}
	was := len(r.cells)
	r.cells = slices.Grow(r.cells, n-was)[:n]
	clear(r.cells[was:])
}

// split blanks the other half of a wide character that an edit at column x would
// cut in two.
func (r *row) split(x int) {
	if x > 0 && x < len(r.cells) && r.cells[x].attr&tail != 0 {
		r.cells[x-1] = Cell{bg: r.cells[x-1].bg}
		r.cells[x] = Cell{bg: r.cells[x].bg}
	}
}

// fill blanks the cells from x to end with a background.
func (r *row) fill(now time.Duration, x, end int, bg Color) {
	r.touch(now)
	r.cleared = false
	if x < len(r.cells) {
		r.wiped = now
	}
	if bg == 0 {
		r.split(x)
		if end >= len(r.cells) {
			r.cells = r.cells[:min(x, len(r.cells))]
			return
		}
		r.split(end)
	} else {
		used := r.used
		r.reach(end)
		r.used = used // as tmux counts
		r.split(x)
		r.split(end)
	}
	for i := x; i < end; i++ {
		r.cells[i] = Cell{bg: bg}
	}
}

// insert moves the cells from x on to the right by n and blanks those n.
func (r *row) insert(now time.Duration, x, n, cols int, bg Color) {
	r.touch(now)
	r.cleared = false
	if n = min(n, cols-x); n <= 0 {
		return
	}
	if x < len(r.cells) {
		r.split(x)
		was := len(r.cells)
		r.reach(min(was+n, cols))
		copy(r.cells[x+n:], r.cells[x:was])
		if last := len(r.cells) - 1; r.cells[last].attr&wide != 0 {
			r.cells[last] = Cell{bg: r.cells[last].bg}
		}
	}
	r.fill(now, x, x+n, bg)
}

// remove takes n cells at x out and moves the rest to the left.
func (r *row) remove(now time.Duration, x, n, cols int, bg Color) {
	r.touch(now)
	r.cleared = false
	if n = min(n, cols-x); n <= 0 {
		return
	}
	if x < len(r.cells) {
		r.wiped = now
		r.split(x)
		r.split(x + n)
		end := min(x+n, len(r.cells))
		r.cells = r.cells[:x+copy(r.cells[x:], r.cells[end:])]
	}
	if bg != 0 {
		r.fill(now, cols-n, cols, bg)
	}
}

// blank empties a row.
func (r *row) blank(now time.Duration, cols int, bg Color) {
	r.used, r.wrapped, r.left = 0, false, false
	r.from, r.to, r.lo, r.hi, r.shaky, r.drawn = 0, 0, 0, 0, false, false
	r.blanked++
	if r.cleared && r.bg == bg {
		return
	}
	r.fill(now, 0, cols, bg)
	r.cleared, r.bg = true, bg
}

// scroll moves the rows from top to bottom up by n, or down if n is below zero,
// and blanks those that come in. Rows that leave the main screen at its top go
// to the scrollback.
func (t *Terminal) scroll(top, bottom, n int) {
	keep := top == 0 && n > 0 && t.page == t.main
	switch gone := min(max(n, -n), bottom-top+1); {
	case n < 0:
		t.goAway(bottom-gone+1, gone, far{both: bottom - gone + 1, higher: bottom - gone + 1, wider: t.rolled + bottom - gone + 1}, !t.page.open(t.rows))
	case !keep:
		t.scrollsOut(top, gone)
		t.goAway(top, gone, t.farTop(), true)
	}
	t.farShifts(t.farTop(), -n)
	t.shift(top, bottom, n, keep)
}

// shift is scroll, where keep says whether rows go to the scrollback.
func (t *Terminal) shift(top, bottom, n int, keep bool) {
	p := t.page
	rows := p.rows[top : bottom+1]
	up := n > 0
	n = min(max(n, -n), len(rows))
	if t.typed != nil && !keep && up {
		for _, r := range rows[:n] {
			t.typed.gone(r)
		}
	}
	if t.log != nil && top == 0 && !keep && p == t.main {
		t.log.parts()
	}
	for range n {
		var r *row
		if up {
			r = rows[0]
			copy(rows, rows[1:])
		} else {
			r = rows[len(rows)-1]
			copy(rows[1:], rows)
		}
		switch {
		case keep:
			if r = t.toScrollback(r); t.log != nil {
				t.log.goesOn(rows[0])
			}
		case t.log != nil:
			t.log.lost(r)
		}
		r.told = false
		r.blank(t.now, t.cols, t.pen.bg)
		r.at, r.wiped = t.now, 0
		if up {
			rows[len(rows)-1] = r
		} else {
			rows[0] = r
		}
	}
	if !up {
		p.rows[bottom].wrapped = false
	}
	if top > 0 {
		p.rows[top-1].wrapped = false
	}
}

// toScrollback puts a row at the end of the scrollback and returns one to use in
// its place.
func (t *Terminal) toScrollback(r *row) *row {
	t.leaves(r)
	if t.maxBack == 0 {
		return r
	}
	t.hscrolled = min(t.hscrolled+1, t.maxBack)
	if len(t.back) < t.maxBack {
		t.back = append(t.back, r)
		return &row{}
	}
	t.back[t.oldest], r = r, t.back[t.oldest]
	if s := r.seen; s != nil {
		r.seen, s.row = nil, nil
	}
	if t.oldest++; t.oldest == len(t.back) {
		t.oldest = 0
	}
	return r
}

// leaves tells who listens that a row is above the screen now.
func (t *Terminal) leaves(r *row) {
	if t.log != nil {
		t.log.scrolled(r)
	}
	if t.onScroll != nil && !r.left {
		t.onScroll(t, r.cells, r.wrapped)
	}
	r.left = true
}

// scrollback returns the rows that were scrolled off, the oldest first.
func (t *Terminal) scrollback() []*row {
	return append(slices.Clone(t.back[t.oldest:]), t.back[:t.oldest]...)
}
