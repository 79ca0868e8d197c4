package screen

import (
	"slices"
	"time"
	"unicode"
)

// seen is how a row looked when the transcript last looked.
type seen struct {
	row     *row // which shows it; nil if that was lost since
	cells   []seenCell
	wrapped bool
	again   bool // an earlier look of this row was told as gone
}

// seenCell is one cell of it.
type seenCell struct {
	glyph uint32 // 0 is blank, tailGlyph the right half of a wide one
	told  bool
	since time.Duration
}

const tailGlyph = 1 << 31

// glyphAt returns the glyph of a row's cell as seenCell has it.
func glyphAt(r *row, x int) uint32 {
	if r == nil || x >= len(r.cells) {
		return 0
	}
	switch c := r.cells[x]; {
	case c.attr&tail != 0:
		return tailGlyph
	case c.glyph == ' ':
		return 0
	default:
		return c.glyph
	}
}

// update takes over how the row looks, which it does since it was last written on.
func (s *seen) update(r *row) {
	told := r.told && !r.dirty
	if was := len(s.cells); was < len(r.cells) {
		s.cells = slices.Grow(s.cells, len(r.cells)-was)[:len(r.cells)]
		clear(s.cells[was:])
	}
	changed := false
	for x := range s.cells {
		if g := glyphAt(r, x); s.cells[x].glyph != g {
			s.cells[x] = seenCell{g, told, r.at}
			changed = true
		}
	}
	s.cells = s.cells[:len(r.cells)]
	if changed {
		r.told = s.retell()
	}
	s.wrapped = r.wrapped
	r.dirty = false
}

// retell notes that a word of which something wasn't told wasn't told as it is,
// and reports whether everything was.
func (s *seen) retell() bool {
	all := true
	for x := 0; x < len(s.cells); {
		end := s.word(x)
		told := true
		for _, c := range s.cells[x:end] {
			told = told && c.told
		}
		for i := x; i < end && !told; i++ {
			s.cells[i].told = false
		}
		all = all && told
		x = max(end, x+1)
	}
	return all
}

// latest returns when the last of it came.
func (s *seen) latest() (at time.Duration) {
	for _, c := range s.cells {
		if c.glyph != 0 {
			at = max(at, c.since)
		}
	}
	return at
}

// same reports whether the row looks as it did.
func (s *seen) same(r *row) bool {
	if s == nil {
		return false
	}
	for x := range max(len(s.cells), len(r.cells)) {
		var was uint32
		if x < len(s.cells) {
			was = s.cells[x].glyph
		}
		if was != glyphAt(r, x) {
			return false
		}
	}
	return true
}

// leave parts it from its row: nothing of it can be lost any more.
func (s *seen) leave() {
	if s.row != nil {
		s.row.seen, s.row = nil, nil
	}
	s.cells = s.cells[:0]
}

// blank reports whether nothing was to be seen.
func (s *seen) blank() bool {
	for _, c := range s.cells {
		if c.glyph != 0 {
			return false
		}
	}
	return true
}

// hash tells looks apart.
func (s *seen) hash() uint64 {
	return hashOf(len(s.cells), func(x int) uint32 { return s.cells[x].glyph })
}

func hashOf(n int, glyph func(int) uint32) uint64 {
	h, blanks := uint64(14695981039346656037), 0 // FNV-1a
	for x := range n {
		g := glyph(x)
		if g == 0 {
			blanks++
			continue
		}
		h = (h ^ uint64(blanks)) * 1099511628211
		h = (h ^ uint64(g)) * 1099511628211
		blanks = 0
	}
	return h
}

// goes reports whether a cell that wasn't told goes away.
func (s *seen) goes(x int, all bool) bool {
	c := s.cells[x]
	return c.glyph != 0 && !c.told && (all || c.glyph != glyphAt(s.row, x))
}

// lost reports whether something that settled, and wasn't told, goes away. all
// says that everything goes.
func (s *seen) lost(t *Transcript, all bool) bool {
	lost := false
	for x := 0; x < len(s.cells); {
		end := s.word(x)
		if end == x {
			x++
			continue
		}
		var stood time.Duration
		for i := x; i < end; i++ {
			if s.goes(i, all) {
				stood = max(stood, t.burst-s.cells[i].since)
			}
		}
		if stood > 0 && (stood >= settled || t.flashed(s.cells[x:end], stood)) {
			lost = true
		}
		x = end
	}
	return lost
}

// flashed reports whether a word that went has stood for long enough by now, all
// its times together.
func (t *Transcript) flashed(word []seenCell, stood time.Duration) bool {
	if len(t.flashing) >= maxFlashing {
		clear(t.flashing)
	}
	h := hashOf(len(word), func(x int) uint32 { return word[x].glyph })
	t.flashing[h] += stood
	if t.flashing[h] < settled {
		return false
	}
	delete(t.flashing, h)
	return true
}

// word returns where the word that starts at x ends; x if none does.
func (s *seen) word(x int) int {
	for x < len(s.cells) && s.cells[x].glyph != 0 {
		x++
	}
	return x
}

// losses tells what was to be read on a screen, 0 or 1, and is gone; or what
// still is there and goes, if all says so.
func (t *Transcript) losses(screen int, all bool) {
	list := t.looked[screen]
	var elsewhere map[uint64]*row
	above := 0 // rows of list before this one are told or nothing to tell
	for i := 0; i < len(list); {
		end := i + 1
		for end < len(list) && list[end-1].wrapped {
			end++
		}
		group := list[i:end]
		lost := false
		for _, s := range group {
			if s.row == nil || s.row.dirty || all {
				lost = s.lost(t, all) || lost
			}
		}
		if lost && !all {
			if elsewhere == nil {
				elsewhere = t.shows(screen)
			}
			lost = !t.movedTo(group, elsewhere)
		}
		if lost {
			if screen == 0 {
				for _, s := range list[above:i] {
					if s.row != nil && !s.row.told && !s.row.dirty {
						t.keepRow(s.row)
					}
				}
				t.endIfPart()
			}
			above = end
			t.tellGone(group, screen == 1, all)
		}
		i = end
	}
}

func (t *Transcript) endIfPart() {
	if len(t.part) > 0 {
		t.endPart()
	}
}

// shows returns the rows of a screen by what they show.
func (t *Transcript) shows(screen int) map[uint64]*row {
	p := t.term.main
	if screen == 1 {
		p = t.term.alt
	}
	m := make(map[uint64]*row, len(p.rows))
	for _, r := range p.rows {
		if len(r.cells) > 0 {
			m[hashOf(len(r.cells), func(x int) uint32 { return glyphAt(r, x) })] = r
		}
	}
	return m
}

// movedTo reports whether all rows of a line stand elsewhere on the screen now,
// as where a program scrolls by drawing. They aren't gone then.
func (t *Transcript) movedTo(group []*seen, elsewhere map[uint64]*row) bool {
	for _, s := range group {
		if !s.blank() && elsewhere[s.hash()] == nil {
			return false
		}
	}
	for _, s := range group {
		if r := elsewhere[s.hash()]; r != nil && r != s.row {
			if t.moved == nil {
				t.moved = map[*row]*seen{}
			}
			t.moved[r] = &seen{cells: append([]seenCell(nil), s.cells...)}
		}
	}
	return true
}

// tellGone tells a line that is gone, or, of one that is drawn again and again and of
// which half stays, what changed.
func (t *Transcript) tellGone(group []*seen, own, all bool) {
	words := group[0].again && (!own || !all) && group[0].shares()
	line := Line{Gone: t.burst, Kind: Erased}
	t.text = t.text[:0]
	if words {
		line.Kind = Redrawn
	}
	for _, s := range group {
		s.again = !blankNow(s.row)
		for x := 0; x < len(s.cells); x++ {
			c := &s.cells[x]
			if c.glyph != 0 && !c.told {
				line.At = max(line.At, c.since)
			}
		}
		if words {
			t.appendWords(s, all)
			continue
		}
		for x := range s.cells {
			t.text = t.appendSeen(t.text, s.cells[x].glyph)
			s.cells[x].told = true
		}
	}
	if own && !words {
		h := uint64(0)
		for _, s := range group {
			h = h*31 + s.hash()
		}
		if _, told := t.told[h]; told {
			return
		}
		if len(t.told) >= maxTold {
			clear(t.told)
		}
		t.told[h] = struct{}{}
	}
	if line.Text = trimRight(t.text); len(line.Text) > 0 {
		t.emit(line)
	}
}

// blankNow reports whether nothing is left of a row: what comes there next is another
// line.
func blankNow(r *row) bool { return r == nil || blankCells(r.cells) }

// appendWords adds the words that go, but for those that are drawing, with a mark where
// others stand between them: words side by side were so on the screen.
func (t *Transcript) appendWords(s *seen, all bool) {
	left := false
	for x := 0; x < len(s.cells); {
		end := s.word(x)
		if end == x {
			x++
			continue
		}
		goes, letters := false, false
		for i := x; i < end; i++ {
			goes = goes || s.goes(i, all)
			r := rune(s.cells[i].glyph)
			letters = letters || r >= cluster || unicode.IsLetter(r) || unicode.IsDigit(r)
		}
		if goes && letters && len(t.text) > 0 {
			t.text = append(t.text, ' ')
			if left {
				t.text = append(t.text, "… "...)
			}
		}
		left = !goes || !letters
		for i := x; i < end && goes; i++ {
			if s.cells[i].told = true; letters {
				t.text = t.appendSeen(t.text, s.cells[i].glyph)
			}
		}
		x = end
	}
}

func (t *Transcript) appendSeen(b []byte, glyph uint32) []byte {
	if glyph == tailGlyph {
		return b
	}
	return t.appendGlyph(b, glyph, 0)
}

// shares reports whether half of what was to be seen still is.
func (s *seen) shares() bool {
	was, is := 0, 0
	for x, c := range s.cells {
		if c.glyph != 0 {
			was++
			if c.glyph == glyphAt(s.row, x) {
				is++
			}
		}
	}
	return 2*is >= was
}
