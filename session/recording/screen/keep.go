package screen

import (
	"slices"
	"time"
	"unicode/utf8"
)

// release gives away what nothing can come before any more.
func (t *Transcript) release() {
	t.hold.release(t.earliest(), t.emit)
	if t.hold.size > maxHeld {
		t.endIfPart()
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
	if len(t.part.text) > 0 {
		m = t.first
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
	for y, r := range rows {
		if gone == Stands && r.dirty {
			continue
		}
		if page == 0 || !blankCells(r.cells) {
			t.keep(r, moment{page: uint8(page), place: base + y}, gone)
		}
		if r.told = true; r.seen != nil {
			r.seen.holds = Stands
		}
	}
	t.endIfPart()
}

// keep tells a row as it stands, together with the rows that it goes on from, unless
// it was told so.
func (t *Transcript) keep(r *row, m moment, gone time.Duration) {
	s := r.seen
	if !s.same(r) {
		s = nil
	}
	if r.told && (s != nil || !r.dirty) || r.mute {
		return
	}
	b := &t.part
	if s != nil {
		m.place = s.place
	}
	if len(b.text) == 0 {
		t.first = m
	}
	if s != nil {
		t.appendSeen(b, s, Stands, false)
		b.at = max(b.at, s.at)
	} else {
		b.text = t.appendCells(b.text, r.cells)
		b.step(r.at)
		b.at = max(b.at, r.at)
	}
	t.first.at = b.at
	if !r.wrapped || len(b.text) >= maxLine {
		t.endPart(gone)
		return
	}
	for n := len(r.cells); n < t.term.cols; n++ {
		b.text = append(b.text, ' ')
	}
}

func (t *Transcript) endIfPart() {
	if len(t.part.text) > 0 {
		t.endPart(t.at)
	}
}

// endPart tells the line that rows were collected of.
func (t *Transcript) endPart(gone time.Duration) {
	b := &t.part
	if text := trimRight(b.text); len(text) > 0 {
		if t.blankAt > b.at {
			t.blank = 0
		}
		t.hold.add(t.first, Line{At: b.at, Gone: gone, Text: text, came: b.steps(b.at)}, t.blank)
		t.blank = 0
	} else {
		t.blank, t.blankAt = min(t.blank+1, maxBlank), b.at
	}
	b.reset()
}

// push tells the line that was built.
func (t *Transcript) push(l Line, m moment) {
	if l.Text = trimRight(t.build.text); len(l.Text) > 0 {
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
