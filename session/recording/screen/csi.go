package screen

import "slices"

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
	case '6', '9', 'F', 'l', 'm', '<': // DECBI, DECFI, HP's corner and locks, the end of VT52: not everywhere
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
	t.page.top, t.page.bottom = 0, t.rows-1
	t.origin = false
	t.moveTo(0, 0)
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
		t.soft()
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
	case 'a', 'e', 'j', 'k', 'I', '^': // xterm has them; tmux and others don't
		t.doubtful()
	}
	switch final {
	case 'A', 'k':
		t.up(n)
	case 'B', 'e':
		t.down(n)
	case 'C', 'a':
		t.toColumn(t.x+n, true)
	case 'D', 'j':
		t.moveTo(t.x-n, t.y)
	case 'E':
		t.down(n)
		t.x, t.offX = 0, false
	case 'F':
		t.up(n)
		t.x, t.offX = 0, false
	case 'G', '`':
		t.toColumn(n-1, false)
	case 'd':
		t.beyond(t.offX, n > t.rows)
		t.address(t.x, n-1)
	case 'H', 'f':
		x := p.count(1, 1)
		t.beyond(x > t.cols, n > t.rows)
		t.address(x-1, n-1)
	case 'I':
		t.tab(min(n, t.cols))
	case 'Z':
		t.tab(-min(n, t.cols))
	case 'J':
		t.eraseScreen(p.value(0))
	case 'K':
		t.eraseLine(p.value(0))
	case 'X':
		t.pending = false
		r.fill(t.now, t.x, min(t.x+n, t.cols), t.pen.bg)
	case '@':
		t.pending = false
		r.insert(t.now, t.x, n, t.cols, t.pen.bg)
	case 'P':
		t.pending = false
		r.remove(t.now, t.x, n, t.cols, t.pen.bg)
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
		t.region()
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
		return
	}
	if in {
		n = -n
	}
	t.shift(t.y, t.page.bottom, n, false)
	t.moveTo(0, t.y)
}

// region is DECSTBM.
func (t *Terminal) region() {
	top, bottom := t.parser.count(0, 1)-1, t.parser.count(1, t.rows)-1
	if bottom = min(bottom, t.rows-1); top < bottom {
		t.page.top, t.page.bottom = top, bottom
		t.beyond(false, false)
		t.address(0, 0)
	}
}

// eraseScreen is ED.
func (t *Terminal) eraseScreen(how int) {
	t.pending = false
	bg := t.pen.bg
	switch how {
	case 0:
		if t.x == 0 && t.y == 0 {
			t.eraseScreen(2)
			return
		}
		t.eraseLine(0)
		for _, r := range t.page.rows[t.y+1:] {
			r.blank(t.now, t.cols, bg)
		}
	case 1:
		for _, r := range t.page.rows[:t.y] {
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
	t.pending = false
	r, bg := t.page.rows[t.y], t.pen.bg
	if how == 0 && t.x == 0 || how == 1 && t.x == t.cols-1 {
		how = 2
	}
	switch how {
	case 0:
		r.fill(t.now, t.x, t.cols, bg)
		r.wrapped = false
	case 1:
		r.fill(t.now, 0, t.x+1, bg)
	case 2:
		r.blank(t.now, t.cols, bg)
	}
}

// private carries out DECSET and DECRST.
func (t *Terminal) private(final byte) {
	p := &t.parser
	switch final {
	case 'J', 'K': // DECSED, DECSEL: what is protected stays, and in tmux all
		t.doubtful()
	case 'h', 'l':
		for i := range p.given() {
			t.mode(p.value(i), final == 'h')
		}
	case 's', 'r': // XTSAVE, XTRESTORE, which few have
		t.doubtful()
		for i := range p.given() {
			t.keepMode(p.value(i), final == 's')
		}
	}
}

// keptModes are the modes that XTSAVE keeps here: what else it does changes no cell.
var keptModes = [...]int{6, 7, 25, 47, 1047, 1049}

// keepMode saves a mode, or sets it as it was when it was saved.
func (t *Terminal) keepMode(mode int, save bool) {
	i := slices.Index(keptModes[:], mode)
	if i < 0 {
		return
	}
	if !save {
		if t.modes[i] != 0 {
			t.mode(mode, t.modes[i] > 0)
		}
		return
	}
	on := t.page == t.alt
	switch mode {
	case 6:
		on = t.origin
	case 7:
		on = t.autowrap
	case 25:
		on = !t.hidden
	}
	if t.modes[i] = -1; on {
		t.modes[i] = 1
	}
}

// mode sets or resets one of DEC's modes.
func (t *Terminal) mode(mode int, on bool) {
	switch mode {
	case 2:
		t.unsureOf(vt52, !on)
	case 3: // DECCOLM, which clears the screen where it is allowed to
		t.doubtful()
	case 45:
		t.unsureOf(backwrap, on)
	case 69:
		t.unsureOf(margins, false)
	case 6:
		t.origin = on
		t.beyond(false, false)
		t.address(0, 0)
	case 7:
		t.autowrap = on
		t.pending = t.pending && on
	case 25:
		t.hidden = !on
	case 2026: // synchronized output: who has it shows what stood before until it ends
		if t.log != nil && on {
			t.log.written.doubt = true
		}
	case 47:
		t.alternate(on, false)
	case 1047:
		t.alternate(on, !on)
	case 1048:
		t.cursor1048(on)
	case 2004: // bracketed paste, which a line editor has on
		if t.typed != nil {
			t.typed.editing(on)
		}
	case 1049:
		if on {
			t.cursor1048(true)
		}
		t.alternate(on, true)
		if !on {
			t.cursor1048(false)
		}
	}
}

func (t *Terminal) cursor1048(save bool) {
	if save {
		t.main.saved = t.cursor
	} else {
		t.restoreCursor(t.main.saved)
	}
}

// alternate shows or leaves the alternate screen, and clears it if wipe says so.
func (t *Terminal) alternate(on, wipe bool) {
	switch {
	case on:
		t.switchTo(t.alt)
		if wipe {
			t.page.clear(t.now, t.cols, t.pen.bg)
		}
	case t.page == t.alt:
		t.cleared(true)
		t.switchTo(t.main)
		if wipe {
			t.alt.clear(t.now, t.cols, 0)
		}
	}
}
