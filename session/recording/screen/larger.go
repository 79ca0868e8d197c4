package screen

// How large a terminal is is what its client says, and of output without a terminal nobody
// says it. On a larger one the same bytes put text elsewhere: where a position is asked for
// that this screen hasn't, where lines end, where this one scrolls. The cursor knows where it
// is on a screen without ends, and each row where there it was written. What is erased or
// written over here by what is another place there stands on there: it is told, as it came to
// stand there.

// far is where a row is on such a screen. Numbers of rows are counted from the first one that
// ever was, as none goes away at the top.
type far struct {
	dx     int // how much further to the right, on a wider one
	both   int // the row's number on one that is wider and higher
	higher int // on one that is only higher
	wider  int // on one that is only wider
}

// onFar is that of where the cursor is.
func (t *Terminal) onFar() far { return far{t.dx, t.y + t.dy, t.y + t.dz, t.y + t.dw} }

// row reports whether two are in the same row.
func (f far) row(o far) bool { f.dx = o.dx; return f == o }

// above reports whether one is in a row above the other's.
func (f far) above(o far) bool { return f.both < o.both && f.higher < o.higher && f.wider < o.wider }

// unpend has the cursor stay where it is, behind the last column: a wider screen has one more.
func (t *Terminal) unpend() {
	if t.pending {
		t.pending = false
		t.dx++
	}
}

// toColumn puts the cursor in a column.
func (t *Terminal) toColumn(x int) {
	x = max(x, 0)
	t.astray &^= column
	t.x, t.pending = min(x, t.cols-1), false
	t.dx = x - t.x
}

// byColumns moves it to the right, or to the left if n is below zero.
func (t *Terminal) byColumns(n int) {
	t.unpend()
	x := max(t.x+t.dx+n, 0)
	t.x = min(max(t.x+n, 0), t.cols-1)
	t.dx = x - t.x
}

// toRow puts the cursor in a row, in the coordinates of origin mode.
func (t *Terminal) toRow(y int) {
	y = max(y, 0)
	t.astray &^= level
	if !t.origin {
		t.y = min(y, t.rows-1)
		t.dy, t.dz, t.dw = y-t.y, y-t.y, t.rolled
		return
	}
	p := t.page
	t.y = min(y+p.top, p.bottom)
	if y += p.farTop; p.bounded {
		y = min(y, p.bottom)
	}
	t.dy, t.dz, t.dw = y-t.y, y-t.y, t.rolled
}

// up and down move the cursor, but not out of the scroll region.
func (t *Terminal) up(n int) {
	t.unpend()
	at, top := t.onFar(), t.farTop()
	up := func(y, top, first int) int {
		if y < top {
			top = first
		}
		return max(y-n, min(y, top))
	}
	at.both, at.higher, at.wider = up(at.both, top.both, 0), up(at.higher, top.higher, 0), up(at.wider, top.wider, t.rolled)
	t.y = up(t.y, t.page.top, 0)
	t.dy, t.dz, t.dw = at.both-t.y, at.higher-t.y, at.wider-t.y
}

func (t *Terminal) down(n int) {
	t.unpend()
	stop := t.rows - 1
	if t.y <= t.page.bottom {
		stop = t.page.bottom
	}
	at := t.onFar()
	at.wider = max(min(at.wider+n, t.rolled+stop), at.wider)
	for _, y := range []*int{&at.both, &at.higher} {
		if p := t.page; p.bounded && *y <= p.bottom {
			*y = min(*y+n, p.bottom)
		} else {
			*y += n
		}
	}
	t.y = min(t.y+n, stop)
	t.dy, t.dz, t.dw = at.both-t.y, at.higher-t.y, at.wider-t.y
}

// here reports whether what is done where the cursor is, in its row, is done there on a
// larger screen, too.
func (t *Terminal) here(r *row) bool { return r.far == t.onFar() }

// located notes where on a larger screen is what is about to be written in a row.
func (t *Terminal) located(r *row, end int) {
	if t.now-r.at >= settled {
		r.from, r.to, r.lo, r.hi = t.x, t.x, t.x, t.x
	}
	if !t.here(r) {
		t.log.apart(r, r.lo, r.hi, 0)
		r.far = t.onFar()
		r.lo, r.hi = t.x, t.x
	}
	if r.from == r.to {
		r.from = t.x
	}
	if r.lo == r.hi {
		r.lo = t.x
	}
	r.from, r.to = min(r.from, t.x), max(r.to, end)
	r.lo, r.hi = min(r.lo, t.x), max(r.hi, end)
}

// overflows takes letters that come behind the last column of a row, since lines aren't
// wrapped, and returns the one that stands there at last.
func (t *Terminal) overflows(r *row, p []byte) []byte {
	t.dx++
	if len(p) == 0 {
		return nil
	}
	if t.log != nil {
		t.log.apart(r, r.lo, r.hi, 0)
		for i, b := range p {
			t.log.stands(t.y+t.dy, t.x+t.dx+i, string(rune(b)))
		}
	}
	t.dx += len(p) - 1
	return p[len(p)-1:]
}

// misses notes that a wide character has no room in a row.
func (t *Terminal) misses(c rune) {
	if t.log != nil {
		r := t.page.rows[t.y]
		t.log.apart(r, r.lo, r.hi, 0)
		t.log.stands(t.y+t.dy, t.x+t.dx, string(c))
	}
	t.dx += 2
}

// pushes notes that n blanks come in where the cursor is, and what goes over the right end of
// the row.
func (t *Terminal) pushes(n int) {
	r := t.page.rows[t.y]
	if n = min(n, t.cols-t.x); t.log == nil || t.x >= len(r.cells) {
		return
	}
	if len(r.cells)+n > t.cols {
		if t.here(r) {
			t.farMoves(n)
			t.log.apart(r, max(t.x, r.lo), r.hi, n)
		} else {
			t.log.apart(r, r.lo, r.hi, 0)
		}
	}
	t.goes(t.y, t.cols-n, t.cols, true)
	for _, end := range []*int{&r.to, &r.hi} {
		if *end > t.x {
			*end = min(*end+n, t.cols)
		}
	}
}

// pulled notes that cells came to stand from x on that stood to the right of it.
func (r *row) pulled(x int) { r.from, r.lo = min(r.from, x), min(r.lo, x) }
