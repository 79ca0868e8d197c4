package screen

import "slices"

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
	case 'W': // DECST8C
		t.unsureOf(stops, true)
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
	case 3: // DECCOLM, which clears the screen where it is allowed to, and resets its region
		t.resets()
		t.strays(column | level)
	case 45:
		t.unsureOf(backwrap, on)
	case 69:
		t.unsureOf(margins, false)
	case 6:
		t.origin = on
		t.address(0, 0)
	case 7:
		if t.autowrap = on; !on {
			t.unpend()
		}
	case 25:
		t.hidden = !on
	case 2026: // synchronized output: who has it shows what stood before until it ends
		if t.log != nil && on {
			t.log.stood(false)
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
		if wipe && t.page == t.alt {
			t.cleared(true) // tmux clears nothing that shows
		}
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
