package screen

import (
	"slices"
	"time"
	"unicode"
)

// seen is how a row looked when the transcript last looked.
type seen struct {
	row      *row // which shows it; nil if that was lost since
	cells    []seenCell
	used     int // cells until which something was ever written
	wrapped  bool
	empty    bool          // nothing was to be read
	mute     bool          // it is a test picture
	returned bool          // it was above the screen, and came back as it was
	above    bool          // it is there, and its line goes on on the screen
	at       time.Duration // since when it looks so
	holds    time.Duration // the earliest time that a line about it may yet be told with
	gone     time.Duration // when its row was lost
	told     bool          // its row was told then
	place    int           // where it stood first
	turns    int           // how often in a row nothing but numbers and drawings changed
}

// seenCell is one cell of it.
type seenCell struct {
	glyph uint32 // 0 is blank, tailGlyph the right half of a wide one
	told  bool   // a line told it where it stands
	over  bool   // it took the place of another one
	mute  bool   // it is of a test picture
	flash bool   // it is to be told though it didn't stand for long at once, or doesn't go; while its line is looked at
	form  uint32 // since when the letter has this form: milliseconds, which overflow
	since time.Duration
	upto  time.Duration // until when lines told it
}

// milliseconds is what seenCell has of a time.
func milliseconds(at time.Duration) uint32 { return uint32(at / time.Millisecond) }

// reforms reports whether a glyph that comes in its place is but another form of the letter,
// which stands there all the while then.
func (c *seenCell) reforms(t *Transcript, r *row, glyph uint32) bool {
	return c.mute == r.mute && c.glyph != 0 && glyph != 0 && readable(glyph) && t.term.clusters.letter(c.glyph) == t.term.clusters.letter(glyph)
}

// open is since when no line told it.
func (c *seenCell) open() time.Duration { return max(c.since, c.upto) }

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
func (s *seen) update(t *Transcript, r *row, place int) {
	if was := len(s.cells); was < len(r.cells) {
		s.cells = slices.Grow(s.cells, len(r.cells)-was)[:len(r.cells)]
		clear(s.cells[was:])
	}
	known := s.row != nil
	changed := !known
	for x := range s.cells {
		c := &s.cells[x]
		if g := glyphAt(r, x); c.glyph != g {
			changed = true
			if form := milliseconds(r.at); c.reforms(t, r, g) {
				c.glyph, c.form = g, form
			} else {
				*c = seenCell{glyph: g, told: r.mute, over: c.glyph != 0, mute: r.mute, form: form, since: r.at}
			}
		}
	}
	s.cells = s.cells[:len(r.cells)]
	if changed {
		s.at, s.place, s.returned = r.at, place, s.returned && !known
		r.told = r.told && !known && !r.dirty
	}
	s.row, s.wrapped, s.used, s.mute, r.dirty = r, r.wrapped, r.used, r.mute, false
	s.hold()
}

// hold finds out about when a line may yet be told.
func (s *seen) hold() {
	s.empty, s.holds = true, s.at
	for x := range s.cells {
		if c := &s.cells[x]; c.glyph != 0 {
			s.empty = false
			s.holds = min(s.holds, c.open())
		}
	}
}

// same reports whether the row looks as it did.
func (s *seen) same(r *row) bool {
	if s == nil {
		return false
	}
	for x := range max(len(s.cells), len(r.cells)) {
		if s.glyph(x) != glyphAt(r, x) {
			return false
		}
	}
	return true
}

func (s *seen) glyph(x int) uint32 {
	if x >= len(s.cells) {
		return 0
	}
	return s.cells[x].glyph
}

// leave parts it from its row: nothing of it can be lost any more.
func (s *seen) leave() {
	if s.row != nil {
		s.row.seen, s.row = nil, nil
	}
	s.cells, s.empty, s.wrapped = s.cells[:0], true, false
}

// part parts it from the screen, not from its row, which is above that now.
func (s *seen) part() *seen {
	above := *s
	above.above = true
	above.row.seen = &above
	s.cells, s.row = nil, nil
	s.leave()
	return &above
}

// left reports whether it was parted from its row, or never was of one.
func (s *seen) left() bool { return s.row == nil && s.empty }

// endFlash ends what is only so while a line is told.
func (s *seen) endFlash() {
	for x := range s.cells {
		s.cells[x].flash = false
	}
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

// goes reports whether a cell goes away. all says that everything does.
func (s *seen) goes(t *Transcript, x int, all bool) bool {
	c := &s.cells[x]
	if c.glyph == 0 || all || c.flash {
		return c.glyph != 0
	}
	g := glyphAt(s.row, x)
	if c.glyph == g || s.row == nil {
		return s.row == nil
	}
	return milliseconds(s.row.since)-c.form >= uint32(settled/time.Millisecond) || !c.reforms(t, s.row, g)
}

// lossy reports whether something of it goes away, and when it did.
func (s *seen) lossy(t *Transcript, all bool) (gone time.Duration, lossy bool) {
	switch {
	case s.empty:
		return 0, false
	case s.row == nil:
		return s.gone, true
	case s.row.dirty:
		for x := range s.cells {
			if s.goes(t, x, false) {
				return s.row.since, true
			}
		}
	}
	return t.at, all
}

// cut reports whether more of it goes than stays, so that it isn't what it was.
func (s *seen) cut(t *Transcript, all bool) bool {
	goes, stays := 0, 0
	for x := range s.cells {
		switch {
		case s.row == nil || s.goes(t, x, all):
			goes++
		case s.cells[x].glyph != 0:
			stays++
		}
	}
	return goes > stays
}

// word returns where the word that starts at x ends; x if none does.
func (s *seen) word(x int) int {
	for x < len(s.cells) && s.cells[x].glyph != 0 {
		x++
	}
	return x
}

// words calls f with each word of it of which something goes, and whether it is more
// than drawing.
func (s *seen) words(t *Transcript, all bool, f func(word []seenCell, x int, letters bool)) {
	for x := 0; x < len(s.cells); {
		end := s.word(x)
		if end == x {
			x++
			continue
		}
		goes, letters := false, false
		for i := x; i < end; i++ {
			goes = goes || s.goes(t, i, all)
			letters = letters || readable(s.cells[i].glyph)
		}
		if goes {
			f(s.cells[x:end], x, letters)
		}
		x = end
	}
}

// readable reports whether a glyph is no drawing.
func readable(glyph uint32) bool {
	return glyph >= cluster && glyph != tailGlyph || unicode.IsLetter(rune(glyph)) || unicode.IsDigit(rune(glyph))
}

// counts reports whether nothing but numbers and drawings is other on a row than it was.
func (s *seen) counts(r *row) bool {
	if r == nil || blankCells(r.cells) {
		return false
	}
	n := max(len(s.cells), len(r.cells))
	letter := func(x *int, glyph func(int) uint32) uint32 {
		for ; *x < n; *x++ {
			if g := glyph(*x); readable(g) && (g >= cluster || !unicode.IsDigit(rune(g))) {
				*x++
				return g
			}
		}
		return 0
	}
	for a, b := 0, 0; a < n || b < n; {
		if letter(&a, s.glyph) != letter(&b, func(x int) uint32 { return glyphAt(r, x) }) {
			return false
		}
	}
	return true
}
