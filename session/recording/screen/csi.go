package screen

import "math"

// esc carries out ESC, its intermediates and c.
func (t *Terminal) esc(c byte) {
	p := &t.parser
	if p.inters > 0 {
		t.designate(p.inter[0], c, p.inters)
		return
	}
	switch c {
	case '7':
		t.saveCursor()
	case '8':
		t.restoreCursor(t.page.saved)
	case 'c':
		t.risen()
	case 'V', 'W': // SPA, EPA
		t.unsureOf(area, c == 'V')
	case '6', '9', 'F': // DECBI, DECFI, HP's corner: not everywhere
		t.strays(column | level)
	case 'l', 'm', '<': // HP's locks, the end of VT52
		if t.doubtful(); c == '<' {
			t.unsure &^= vt52
		}
	case 'n': // LS2
		t.gl = 2
	case 'o': // LS3
		t.gl = 3
	default:
		if c >= 0x40 && c < 0x60 {
			t.c1(c + 0x40)
		}
	}
}

// risen is RIS.
func (t *Terminal) risen() {
	t.cleared(true)
	if t.log != nil {
		t.log.wiped()
	}
	t.reset()
	t.back, t.oldest, t.hscrolled = nil, 0, 0
}

// designate carries out ESC with intermediates: a character set, or DECALN.
func (t *Terminal) designate(inter, c byte, n int) {
	if n > 1 {
		return
	}
	if inter == '#' && c == '8' {
		t.align()
		return
	}
	set := CharsetOf(c)
	switch inter {
	case '(', ')', '*', '+':
		t.sets[inter-'('] = set
	case '-', '.', '/': // of 96 characters; in UTF-8 they are what they are
		t.sets[inter-'-'+1] = ascii
	}
}

// align is DECALN: a screen of E.
func (t *Terminal) align() {
	t.cleared(true)
	t.page.region = region{bottom: t.rows - 1}
	t.origin = false
	t.address(0, 0)
	for _, r := range t.page.rows {
		if t.log != nil {
			t.log.lost(r)
		}
		r.blank(t.now, t.cols, 0)
		r.reach(t.cols)
		for i := range r.cells {
			r.cells[i].glyph = 'E'
		}
		r.at, r.dirty, r.told, r.mute = t.now, false, false, true // of three bytes
	}
}

// csi carries out CSI with what the parser collected and final.
func (t *Terminal) csi(final byte) {
	p := &t.parser
	switch {
	case p.inters == 1 && p.inter[0] == '!' && final == 'p' && p.prefix == 0:
		t.resets()
		t.soft()
		t.forgets()
	case p.inters > 0:
		t.rectangles(final)
	case p.prefix == '?':
		t.private(final)
	case p.prefix != 0:
	case final == 'm':
		t.sgr()
	default:
		t.ansi(final)
	}
}

// rectangles notes CSI with intermediates, of which xterm draws, moves and erases with
// some, as do few others: nothing of it is carried out here.
func (t *Terminal) rectangles(final byte) {
	switch p := &t.parser; string(p.inter[:p.inters]) + string(final) {
	case `"p`: // DECSCL, which resets on some
		t.resets()
		t.forgets()
	case `"q`: // DECSCA
		t.unsureOf(guarded, p.value(0) == 1)
	case "$x": // DECFRA
		t.shownElsewhere([]byte{byte(min(p.value(0), 0xff))})
	case "$v", "$z", "${", "'}", "'~", " @", " A": // DECCRA, DECERA, DECSERA, DECIC, DECDC, SL, SR
		t.doubtful()
	}
}

// ansi carries out CSI without prefix and intermediates.
func (t *Terminal) ansi(final byte) {
	p := &t.parser
	n := p.count(0, 1)
	r := t.page.rows[t.y]
	switch final {
	case 'a', 'j', 'I': // xterm has them; tmux and others don't
		t.strays(column)
	case 'e', 'k':
		t.strays(level)
	case '^':
		t.doubtful()
	case 'U', 'V', 'Y': // NP, PP, CVT: few have them
		t.strays(column | level)
	case 'W': // CTC
		t.unsureOf(stops, true)
	}
	switch final {
	case 'A', 'k':
		t.up(n)
	case 'B', 'e':
		t.down(n)
	case 'C', 'a':
		t.byColumns(n)
	case 'D', 'j':
		t.byColumns(-n)
	case 'E':
		t.down(n)
		t.toColumn(0)
	case 'F':
		t.up(n)
		t.toColumn(0)
	case 'G', '`':
		t.toColumn(n - 1)
	case 'd':
		t.unpend()
		t.toRow(n - 1)
	case 'H', 'f':
		t.address(p.count(1, 1)-1, n-1)
	case 'I':
		t.tab(min(n, t.cols))
	case 'Z':
		t.tab(-min(n, t.cols))
	case 'J':
		t.eraseScreen(p.value(0))
	case 'K':
		t.eraseLine(p.value(0))
	case 'X':
		t.unpend()
		t.goes(t.y, t.x, t.x+n, t.here(r))
		t.farGoes(t.x+t.dx, t.x+t.dx+n)
		r.fill(t.now, t.x, min(t.x+n, t.cols), t.pen.bg)
	case '@':
		t.unpend()
		t.pushes(n)
		r.insert(t.now, t.x, n, t.cols, t.pen.bg)
	case 'P':
		t.unpend()
		t.goes(t.y, t.x, t.cols, t.here(r))
		t.farMoves(-n)
		r.remove(t.now, t.x, n, t.cols, t.pen.bg)
		r.pulled(t.x)
	case 'L', 'M':
		t.editLines(n, final == 'L')
	case 'S':
		t.scroll(t.page.top, t.page.bottom, n)
	case 'T', '^':
		if p.n == 1 { // with five it starts tracking the mouse
			t.cleared(true) // the Linux console hasn't it
			t.scroll(t.page.top, t.page.bottom, -n)
		}
	case 'b':
		t.repeat(n)
	case 'g':
		switch p.value(0) {
		case 0:
			t.tabs[t.x] = false
		case 3:
			clear(t.tabs)
		}
	case 'h', 'l':
		for i := range p.given() {
			switch p.value(i) {
			case 4:
				t.insert = final == 'h'
			case 20:
				t.newline = final == 'h'
				t.unsureOf(newlines, t.newline)
			}
		}
	case 'r':
		t.margins()
	case 's':
		if p.n > 1 || p.set[0] { // DECSLRM, in its mode
			t.unsureOf(margins, p.count(0, 1) > 1 || p.count(1, t.cols) < t.cols)
		}
		t.saveCursor()
	case 'u':
		t.restoreCursor(t.page.saved)
	}
}

// editLines is IL or DL.
func (t *Terminal) editLines(n int, in bool) {
	if t.y < t.page.top || t.y > t.page.bottom {
		t.doubtful() // tmux moves lines there, too
		return
	}
	if in {
		n = -n
	}
	gone, at := min(max(n, -n), t.page.bottom-t.y+1), t.onFar()
	inside := at.both >= t.page.farTop
	if in {
		first := t.page.bottom - gone + 1
		t.goAway(first, gone, far{both: first, higher: first, wider: t.rolled + first}, inside && !t.page.open(t.rows))
	} else {
		t.goAway(t.y, gone, at, inside)
	}
	if inside {
		t.farShifts(at, -n)
		at.dx = -t.x
	}
	t.shift(t.y, t.page.bottom, n, false)
	x := t.x
	t.toColumn(0)
	t.dx = at.dx + x
	if x > 0 {
		t.astray |= column // in tmux it stays in its own
	}
}

// margins is DECSTBM.
func (t *Terminal) margins() {
	top, bottom := t.parser.count(0, 1)-1, t.parser.count(1, MaxRows)-1
	if top >= bottom {
		return
	}
	t.page.farTop = top
	if top < t.rows-1 {
		t.page.top, t.page.bottom, t.page.bounded = top, min(bottom, t.rows-1), bottom < t.rows
		t.address(0, 0)
	} else { // a higher screen has that region, and its cursor goes home
		t.unpend()
		home := 0
		if t.origin {
			home = top
		}
		t.dx, t.dy, t.dz = -t.x, home-t.y, home-t.y
	}
	if t.origin || bottom >= t.rows && t.parser.n > 1 {
		t.strays(column | level) // tmux goes to the corner of the screen, the Linux console nowhere
	}
}

// eraseScreen is ED.
func (t *Terminal) eraseScreen(how int) {
	t.unpend()
	bg := t.pen.bg
	switch how {
	case 0:
		if t.x == 0 && t.y == 0 {
			t.eraseScreen(2)
			return
		}
		t.eraseLine(0)
		for y, r := range t.page.rows {
			if y > t.y {
				t.goes(y, 0, t.cols, t.onFar().above(r.far))
				r.blank(t.now, t.cols, bg)
			}
		}
	case 1:
		for y, r := range t.page.rows[:t.y] {
			t.goes(y, 0, t.cols, r.far.above(t.onFar()))
			r.blank(t.now, t.cols, bg)
		}
		t.eraseLine(1)
	case 2:
		t.cleared(true)
		t.page.clear(t.now, t.cols, bg)
		if t.page == t.main {
			t.hscrolled = 0 // what was cleared away doesn't come back when the screen grows
		}
	case 3:
		t.cleared(false)
		if t.log != nil {
			t.log.parts()
		}
		t.back, t.oldest, t.hscrolled = nil, 0, 0
	}
}

// eraseLine is EL.
func (t *Terminal) eraseLine(how int) {
	t.unpend()
	r, bg := t.page.rows[t.y], t.pen.bg
	if how == 0 && t.x == 0 || how == 1 && t.x == t.cols-1 {
		how = 2
	}
	switch how {
	case 0:
		t.goes(t.y, t.x, t.cols, t.here(r))
		t.farGoes(t.x+t.dx, math.MaxInt)
		r.fill(t.now, t.x, t.cols, bg)
		r.wrapped = false
	case 1:
		t.goes(t.y, 0, t.x+1, t.here(r))
		t.farGoes(math.MinInt, t.x+t.dx+1)
		r.fill(t.now, 0, t.x+1, bg)
	case 2:
		t.goes(t.y, 0, t.cols, r.far.row(t.onFar()))
		t.farGoes(math.MinInt, math.MaxInt)
		r.blank(t.now, t.cols, bg)
	}
}
