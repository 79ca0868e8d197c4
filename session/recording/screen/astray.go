package screen

// astray says of the cursor that it isn't in the same place on all terminals, by a control that
// they carry out otherwise, until it is put somewhere: what is written then stands elsewhere
// on some, however long after that control.
type astray uint8

const (
	column astray = 1 << iota // in another one
	level                     // in another row
)

// strays says that a control comes that not all terminals carry out as this one does, and that
// leaves the cursor elsewhere on some.
func (t *Terminal) strays(to astray) {
	t.doubtful()
	t.astray |= to
}

// doubted reports whether what is written and erased may be so elsewhere.
func (t *Terminal) doubted() bool { return t.unsure != 0 || t.astray != 0 }

// resets notes a soft reset, which some terminals haven't: DECSTR, and DECSCL, which is one on
// some. Of what it resets they keep what was set.
func (t *Terminal) resets() {
	if p := t.page; p.top > 0 || p.bottom < t.rows-1 || t.origin || t.insert || !t.autowrap || t.sets != [4]Charset{} {
		t.unsureOf(reset, true)
	} else {
		t.doubtful()
	}
}

// forgets says that where the cursor was saved isn't the same on all terminals.
func (t *Terminal) forgets() {
	for _, c := range []*cursor{&t.main.saved, &t.alt.saved, &t.saved1048} {
		c.astray = column | level
	}
}

// scrollsOut notes that n rows go at the top of a scroll region. Below the top of the screen
// tmux keeps those of the main screen above it, too.
func (t *Terminal) scrollsOut(top, n int) {
	if t.log != nil && t.page == t.main {
		t.log.written.kept = true
		t.log.stoodIn(top, top+n, true)
	}
}
