package screen

import (
	"slices"
	"time"
)

// Telling a look anew of which some was told already costs more than the bytes that
// made it: a key stroke may change a line of a thousand columns. What may be told so
// is so many bytes for each one written and each second, and no more at once than the
// largest line has. Beyond it lines are told by the words that went.
const (
	perWritten, perSecond = 100, 4 << 10
	maxSpare              = 1 << 20
)

// earn takes what was written for what may be told anew.
func (t *Transcript) earn(at time.Duration, bytes int) {
	passed := min(max(0, at-t.at), time.Hour)
	t.spare = min(maxSpare, t.spare+perWritten*bytes+int(perSecond*passed/time.Second))
}

// losses tells what was to be read on a screen, 0 or 1, and is gone; or what still is
// there and goes, if all says so.
func (t *Transcript) losses(page int, all bool) {
	list := t.looked[page]
	for i := 0; i < len(list); {
		end := lineEnd(list, i)
		t.loss(page, i, end, all, !all)
		i = end
	}
}

// lineEnd returns where the line ends that goes on at i.
func lineEnd(list []*seen, i int) int {
	for i++; i < len(list) && list[i-1].wrapped; i++ {
	}
	return i
}

// loss tells a line that goes, as it stood. It does if that stood for long enough, in
// any row that something went of: so nobody misses a look that was to be read. Else,
// of a line of which something changes all the time, it does if a word went that stood
// for long enough and no line told; or, without what came last, if that is what it did
// before. moves says that it isn't gone if it stands elsewhere.
func (t *Transcript) loss(page, from, to int, all, moves bool) {
	group := t.looked[page][from:to]
	l := Line{Kind: Redrawn}
	lossy, whole := false, false
	for _, s := range group {
		if !all && s.row != nil && !s.row.dirty {
			continue
		}
		gone, goes := s.lossy(t, all)
		if !goes {
			continue
		}
		if lossy = true; !all && !s.mute && s.counts(s.row) {
			s.turns++
		} else {
			s.turns = 0
		}
		if s.turns < 2 {
			l.Kind = Erased
		}
		if !s.mute && gone-s.at >= settled {
			whole = true
			l.At, l.Gone = max(l.At, s.at), max(l.Gone, gone)
		}
	}
	if !lossy {
		return
	}
	if from == 0 && page == 0 {
		t.endIfPart() // of which this was the rest
	}
	elsewhere, looked := false, !moves
	moved := func() bool {
		if !looked {
			elsewhere, looked = t.movedTo(group, page), true
		}
		return elsewhere
	}
	m := moment{page: uint8(page), place: group[0].place}
	if whole {
		if !moved() {
			t.tell(l, group, m, Stands, all)
		}
		return
	}
	limit := time.Duration(-1)
	for _, s := range group {
		if _, goes := s.lossy(t, all); goes && s.restGoes(all) {
			limit = max(limit, s.rest)
			l.At, l.Gone = limit, max(l.Gone, s.rested)
		}
	}
	if limit >= 0 && !moved() {
		t.tell(l, group, m, limit, all)
	}
	words := false
	for _, s := range group {
		gone, goes := s.lossy(t, all)
		if !goes || s.mute {
			continue
		}
		s.words(all, func(x, end int, since time.Duration, letters bool) {
			stood := gone - since
			if letters && stood > 0 && (stood >= settled || t.flashed(s.cells[x:end], stood)) {
				l.At, l.Gone, words = max(l.At, since), max(l.Gone, gone), true
			}
		})
	}
	if words && !moved() {
		t.tell(l, group, m, Stands, all)
	}
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

// shows returns the rows of a screen that came to look other than they did, by what
// they show.
func (t *Transcript) shows(page int) map[uint64][]*row {
	if t.elsewhere == nil {
		t.elsewhere = map[uint64][]*row{}
		for _, r := range t.pages()[page].rows {
			if len(r.cells) > 0 && (r.seen == nil || r.dirty && !r.seen.same(r)) {
				h := hashOf(len(r.cells), func(x int) uint32 { return glyphAt(r, x) })
				t.elsewhere[h] = append(t.elsewhere[h], r)
			}
		}
	}
	return t.elsewhere
}

// movedTo reports whether all rows of a line came to stand elsewhere on the screen, as
// where a program scrolls by drawing. They aren't gone then.
func (t *Transcript) movedTo(group []*seen, page int) bool {
	shows := t.shows(page)
	to := make([]*row, len(group))
	for i, s := range group {
		if s.empty {
			continue
		}
		h := s.hash()
		rows := shows[h]
		switch {
		case s.row != nil && !s.row.dirty:
			to[i] = s.row
			continue
		case len(rows) == 0:
			for k, s := range group[:i] {
				if to[k] != nil && to[k] != s.row {
					shows[s.hash()] = append(shows[s.hash()], to[k])
				}
			}
			return false
		}
		to[i], shows[h] = rows[0], rows[1:]
	}
	if t.moved == nil {
		t.moved = map[*row]*seen{}
	}
	for i, s := range group {
		if r := to[i]; r != nil && r != s.row {
			m := *s
			m.cells, m.row = slices.Clone(s.cells), r
			if s.row != nil {
				m.told = s.row.told
			}
			t.moved[r] = &m
		}
	}
	return true
}

// tell tells a line as it was seen, but for what came after a limit.
func (t *Transcript) tell(l Line, group []*seen, m moment, limit time.Duration, all bool) {
	b, anew := &t.build, 0
	b.reset()
	for _, s := range group {
		for _, c := range s.cells {
			if c.told && c.glyph != 0 {
				anew++
			}
		}
	}
	if anew > t.spare {
		l.Kind = Redrawn
		for _, s := range group {
			t.appendWords(b, s, all)
		}
		t.push(l, m)
		return
	}
	t.spare -= anew
	for k, s := range group {
		t.appendSeen(b, s, limit, s.wrapped && k < len(group)-1)
		if len(b.text) >= maxLine {
			t.push(l, m)
			b.reset()
		}
	}
	t.push(l, m)
}

// appendSeen adds what was to be seen of a row but for what came after a limit, up to
// the screen's width if the line goes on behind it.
func (t *Transcript) appendSeen(b *build, s *seen, limit time.Duration, fill bool) {
	for x := range s.cells {
		c := &s.cells[x]
		switch {
		case c.glyph == tailGlyph:
		case c.glyph == 0, c.since > limit:
			b.text = append(b.text, ' ')
			continue
		default:
			b.text = t.appendGlyph(b.text, c.glyph, 0)
		}
		c.told = true
		b.step(max(c.since, s.from))
	}
	for n := len(s.cells); fill && n < t.term.cols; n++ {
		b.text = append(b.text, ' ')
	}
}

// appendWords adds the words that go and that no line told, but for those that are
// drawing, with a mark where others stand between them: words side by side were so on
// the screen.
func (t *Transcript) appendWords(b *build, s *seen, all bool) {
	last := 0
	s.words(all, func(x, end int, since time.Duration, letters bool) {
		between := false
		for i := last; i < x; i++ {
			between = between || s.cells[i].glyph != 0
		}
		for i := x; i < end; i++ {
			s.cells[i].told = true
		}
		if !letters {
			return
		}
		if last = end; len(b.text) > 0 {
			b.text = append(b.text, ' ')
			if between {
				b.text = append(b.text, "… "...)
			}
		}
		for _, c := range s.cells[x:end] {
			if c.glyph != tailGlyph {
				b.text = t.appendGlyph(b.text, c.glyph, 0)
			}
		}
		b.step(max(since, s.from))
	})
}
