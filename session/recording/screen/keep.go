package screen

import (
	"slices"
	"time"
	"unicode/utf8"
)

// release gives away what nothing can come before any more.
func (t *Transcript) release() {
	t.endGlow(t.at - again)
	t.hold.release(t.earliest(), t.emit)
	if t.hold.size > maxHeld {
		t.endGlow(never.at)
		t.endHead(t.at, false)
		for i := range t.looked {
			t.keepPage(i, Stands)
		}
		t.hold.release(t.earliest(), t.emit)
		if t.hold.size > maxHeld {
			t.hold.release(never, t.emit)
		}
	}
	t.check = t.hold.size
}

// earliest is the first moment of which a line may still come.
func (t *Transcript) earliest() moment {
	m := moment{at: t.at, place: t.places}
	if len(t.inside) > 0 {
		m.at = min(m.at, t.insideAt)
	}
	for _, g := range t.flashes.glow {
		if g.where.before(m) {
			m = g.where
		}
	}
	for _, s := range t.head {
		if at := (moment{at: s.holds, place: s.place}); at.before(m) {
			m = at
		}
	}
	for i, p := range t.pages() {
		if i == 1 && t.term.page == t.term.main {
			break
		}
		for y, r := range p.rows {
			at := r.at
			if s := r.seen; s != nil && !r.dirty && s.empty {
				continue
			} else if s != nil && !s.empty {
				at = min(at, s.holds)
			} else if blankCells(r.cells) {
				continue
			}
			place := y
			if i == 0 {
				place += t.places
			}
			if r.seen != nil {
				place = min(place, r.seen.place)
			}
			if at := (moment{at: at, page: uint8(i), place: place}); at.before(m) {
				m = at
			}
		}
	}
	for _, page := range t.looked {
		for _, s := range page {
			if at := (moment{at: s.holds}); s.row == nil && !s.empty && at.before(m) {
				m = at
			}
		}
	}
	return m
}

// keepPage tells a screen's rows that stand and weren't told. gone is when they go.
func (t *Transcript) keepPage(page int, gone time.Duration) {
	rows := t.pages()[page].rows
	if page == 1 && t.term.page == t.term.main {
		return
	}
	base := 0
	if page == 0 {
		base = t.places
	}
	for len(rows) > 0 && blankCells(rows[len(rows)-1].cells) {
		rows = rows[:len(rows)-1]
	}
	if page == 1 || !t.follows(t.term.main.rows[0]) {
		t.endHead(t.at, false)
	}
	t.next = nil
	for y, r := range rows {
		if gone == Stands && r.dirty {
			continue
		}
		if page == 0 || !blankCells(r.cells) {
			t.keep(r, moment{page: uint8(page), place: base + y}, gone)
		} else {
			t.endHead(gone, false)
		}
		if r.told = true; r.seen != nil {
			r.seen.holds = Stands
		}
	}
	t.endHead(gone, false)
}

// keep tells a row as it stands, unless it was told so; one that the next row goes on
// from, or that goes on from others, together with those.
func (t *Transcript) keep(r *row, m moment, gone time.Duration) {
	s := r.seen
	if !s.same(r) {
		s = nil
	}
	if r.told && (s != nil || !r.dirty) || r.mute {
		t.endHead(gone, false)
		return
	}
	if !t.follows(r) {
		t.endHead(t.at, false)
	}
	if s != nil {
		m.place = s.place
	}
	if len(t.head) > 0 || r.wrapped {
		if s == nil {
			if r.seen != nil {
				r.seen.leave()
			}
			s = &seen{}
			s.update(t, r, m.place)
			r.seen = s
		}
		if len(t.head) == 0 {
			t.first = m
		}
		t.head = append(t.head, s)
		if t.headCells += len(s.cells); !r.wrapped || t.headCells >= maxLine {
			t.endHead(gone, false)
		}
		return
	}
	b := &t.build
	b.reset()
	if s != nil {
		t.appendSeen(b, s, gone)
		b.at = max(b.at, s.at)
	} else {
		b.text, b.at = t.appendCells(b.text, r.cells), r.at
		b.step(r.at)
	}
	t.endKept(m, gone, s != nil && s.returned)
}

// goesOn hears in which row a line goes on whose others are above the screen.
func (t *Transcript) goesOn(r *row) { t.next, t.nextSeen, t.blanked = r, r.seen, r.blanked }

// follows reports whether it does so in a row still.
func (t *Transcript) follows(r *row) bool {
	return len(t.head) == 0 || t.next == nil || t.next == r && t.blanked == r.blanked
}

// endHead tells the rows that were collected of a line, unless it was told, and forgets
// those of them that are above the screen.
func (t *Transcript) endHead(gone time.Duration, told bool) {
	if len(t.head) == 0 {
		return
	}
	if !told {
		b, returned := &t.build, true
		b.reset()
		for k, s := range t.head {
			t.appendSeen(b, s, gone)
			if k < len(t.head)-1 {
				b.pad(s.used - len(s.cells))
			}
			b.at, returned = max(b.at, s.at), returned && (s.returned || s.empty)
		}
		t.endKept(t.first, gone, returned)
	}
	for _, s := range t.head {
		if s.above {
			s.leave()
		}
	}
	t.head, t.headCells = t.head[:0], 0
}

// endKept tells the line that was built, which stands or went as a whole.
func (t *Transcript) endKept(m moment, gone time.Duration, returned bool) {
	b := &t.build
	text := trimRight(b.text)
	if len(text) == 0 {
		t.blank, t.blankAt = min(t.blank+1, maxBlank), b.at
		return
	}
	if t.blankAt > b.at {
		t.blank = 0
	}
	l := Line{At: b.at, Gone: gone, Text: text, came: b.steps(b.at)}
	if returned {
		l.Kind = Returned
	}
	m.at = b.at
	t.hold.add(m, l, t.blank)
	t.blank = 0
}

// push tells the line that was built.
func (t *Transcript) push(l Line, m moment) {
	if l.Text = trimRight(t.build.text); len(l.Text) > 0 {
		l.At = t.build.at
		m.at, l.came = l.At, t.build.steps(l.At)
		t.hold.add(m, l, 0)
	}
}

// appendCells appends what cells show. Most are ASCII.
func (t *Transcript) appendCells(b []byte, cells []Cell) []byte {
	n := len(b)
	b = slices.Grow(b, len(cells))[:n+len(cells)]
	text := b[n:]
	for i := range cells {
		switch g := cells[i].glyph; {
		case g == 0:
			text[i] = ' '
		case g < utf8.RuneSelf:
			text[i] = byte(g)
		default:
			b = b[:n+i]
			for _, c := range cells[i:] {
				b = t.appendGlyph(b, c.glyph, c.attr)
			}
			return b
		}
	}
	return b
}

func (t *Transcript) appendGlyph(b []byte, glyph uint32, attr Attr) []byte {
	switch {
	case glyph-1 < 0x7f:
		return append(b, byte(glyph))
	case attr&tail != 0:
		return b
	}
	return append(b, t.term.clusters.of(glyph)...)
}

func blankCells(cells []Cell) bool {
	for _, c := range cells {
		if !c.blank() {
			return false
		}
	}
	return true
}
