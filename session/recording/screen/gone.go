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
	for y, r := range t.pages()[page].rows {
		r.y = y
	}
	first := page == 0
	for i := 0; i < len(list); {
		end := lineEnd(list, i)
		t.loss(page, i, end, all, !all, first)
		first = first && list[i].left()
		i = end
	}
}

// lineEnd returns where the line ends that goes on at i.
func lineEnd(list []*seen, i int) int {
	for i++; i < len(list) && list[i-1].wrapped; i++ {
	}
	return i
}

// parted reports whether rows of a line aren't one below the other any more, or the last of
// them stand without one that was before them.
func parted(group []*seen) bool {
	lost := false
	for i, s := range group {
		switch {
		case s.row == nil:
			lost = true
		case lost:
			return true
		case i+1 < len(group):
			if next := group[i+1].row; next != nil && (!s.row.wrapped || next.y != s.row.y+1) {
				return true
			}
		}
	}
	return false
}

// loss tells a line that goes, as it stood, if something goes of it that was to be
// read. moves says that it isn't gone if it stands elsewhere; first, that it is the first on
// the screen, in which one that began above it goes on while the size changes.
func (t *Transcript) loss(page, from, to int, all, moves, first bool) {
	group := t.looked[page][from:to]
	head := page == 0 && len(t.head) > 0 && (t.next == nil && first || t.next != nil && slices.Contains(group, t.nextSeen))
	if parted(group) || head && (group[0].cut(t, all) || group[0].row != nil && group[0].row.y > 0 || !t.follows(t.term.main.rows[0])) {
		all, moves = true, false
	}
	if !all {
		t.filled(group)
	}
	l := Line{Kind: Redrawn}
	lossy, counts, last := false, false, time.Duration(0)
	t.flashes.marks = t.flashes.marks[:0]
	for k, s := range group {
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
		if s.mute {
			continue
		}
		if t.wasRead(s, all, gone) {
			counts, l.Gone = true, max(l.Gone, gone)
		}
		t.marks(s, from+k, all, gone)
		last = max(last, gone)
	}
	if !lossy {
		return
	}
	if len(t.flashes.marks) > 0 {
		if l.first, l.flashes = t.flashed(group, page, last); l.flashes {
			counts, l.Gone = true, max(l.Gone, last)
		}
	}
	told := counts && !(moves && t.movedTo(group, page))
	if told {
		whole := group
		if head {
			whole = slices.Concat(t.head, group)
		}
		t.tell(l, whole, moment{page: uint8(page), place: whole[0].place}, all)
	}
	for _, s := range group {
		s.endFlash()
	}
	if head && group[0].cut(t, all) {
		t.endHead(t.at, told && !slices.ContainsFunc(t.head, (*seen).untold))
	}
}

// untold reports whether no line told something of it.
func (s *seen) untold() bool {
	return slices.ContainsFunc(s.cells, func(c seenCell) bool { return c.glyph != 0 && !c.told })
}

// wasRead reports whether something goes of a row that was to be read: that stood for
// long enough since a line told it.
func (t *Transcript) wasRead(s *seen, all bool, gone time.Duration) (counts bool) {
	whole := gone-s.at >= settled
	s.words(t, all, func(word []seenCell, x int, letters bool) {
		for i := range word {
			if c := &word[i]; (whole || letters && !c.mute) && gone-c.open() >= settled && s.goes(t, x+i, all) {
				counts = true
			}
		}
	})
	return counts
}

// shows returns the rows of a screen that came to look other than they did, by what
// they show. One that did but grow has its own to go on with.
func (t *Transcript) shows(page int) map[uint64][]*row {
	if t.elsewhere == nil {
		t.elsewhere = map[uint64][]*row{}
		for _, r := range t.pages()[page].rows {
			if len(r.cells) > 0 && (r.seen == nil || r.dirty && !r.seen.same(r) && !r.seen.grows(t)) {
				h := hashOf(len(r.cells), func(x int) uint32 { return glyphAt(r, x) })
				t.elsewhere[h] = append(t.elsewhere[h], r)
			}
		}
	}
	return t.elsewhere
}

// grows reports whether something was to be read on a row of which nothing goes.
func (s *seen) grows(t *Transcript) bool {
	_, lossy := s.lossy(t, false)
	return !s.empty && !lossy
}

// movedTo reports whether all rows of a line came to stand elsewhere on the screen, one
// below the other, as where a program scrolls by drawing. They aren't gone then.
func (t *Transcript) movedTo(group []*seen, page int) bool {
	shows := t.shows(page)
	to := make([]*row, len(group))
	for i, s := range group {
		if s.empty {
			continue
		}
		h := s.hash()
		rows := shows[h]
		if s.row != nil && !s.row.dirty {
			to[i] = s.row
		} else if len(rows) > 0 {
			to[i], shows[h] = rows[0], rows[1:]
		}
		if to[i] == nil || i > 0 && to[i-1] != nil && (to[i].y != to[i-1].y+1 || !to[i-1].wrapped) {
			for k, s := range group[:i+1] {
				if to[k] != nil && to[k] != s.row {
					shows[s.hash()] = append(shows[s.hash()], to[k])
				}
			}
			return false
		}
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

// tell tells a line as it stood until it went: what had stood for long enough by then,
// since when that did.
func (t *Transcript) tell(l Line, group []*seen, m moment, all bool) {
	b, anew, returned := &t.build, 0, true
	b.reset()
	for _, s := range group {
		returned = returned && (s.returned || s.empty)
		for _, c := range s.cells {
			if c.told && c.glyph != 0 {
				anew++
			}
		}
	}
	if returned {
		l.Kind = Returned
	}
	if anew > t.spare {
		l.Kind = Redrawn
		for _, s := range group {
			t.appendWords(b, s, l.Gone, all)
		}
		t.push(l, m)
		return
	}
	t.spare -= anew
	for k, s := range group {
		t.appendStood(b, s, l.Gone)
		if k < len(group)-1 {
			b.pad(s.used - len(s.cells))
		}
		if s.hold(); len(b.text) >= maxLine {
			t.push(l, m)
			b.reset()
		}
	}
	t.push(l, m)
}

// appendStood adds what of a row stood for long enough when it went: words of which
// something did, but for what had just come to stand in the place of something else, in
// whose place an ellipsis is.
func (t *Transcript) appendStood(b *build, s *seen, gone time.Duration) {
	if gone-s.at >= settled {
		b.at = max(b.at, s.at)
		t.appendSeen(b, s, gone)
		return
	}
	stood := func(c *seenCell) bool { return c.flash || c.told || gone-c.since >= settled }
	left := false
	for x := 0; x < len(s.cells); {
		end := s.word(x)
		if end == x {
			b.pad(1)
			left = false
			x++
			continue
		}
		word := s.cells[x:end]
		counts := slices.ContainsFunc(word, func(c seenCell) bool { return stood(&c) })
		for i := range word {
			switch c := &word[i]; {
			case counts && (stood(c) || !c.over):
				t.appendCell(b, c, gone)
				left = false
			case !c.over || left:
				b.pad(1)
			default:
				b.text = append(b.text, "…"...)
				b.step(c.since)
				left = true
			}
		}
		x = end
	}
}

// appendSeen adds what was to be seen of a row. gone is when it goes.
func (t *Transcript) appendSeen(b *build, s *seen, gone time.Duration) {
	for x := range s.cells {
		if c := &s.cells[x]; c.glyph == 0 {
			b.pad(1)
		} else {
			t.appendCell(b, c, gone)
		}
	}
}

// appendCell adds a character, which is told then.
func (t *Transcript) appendCell(b *build, c *seenCell, gone time.Duration) {
	if c.glyph != tailGlyph {
		b.text = t.appendGlyph(b.text, c.glyph, 0)
	}
	b.step(c.open())
	b.at = max(b.at, c.open())
	if c.told = true; gone != Stands {
		c.upto = gone
	}
}

// appendWords adds the words that go and were to be read since a line told them, but
// for those that are drawing, with a mark where others stand between them: words side
// by side were so on the screen.
func (t *Transcript) appendWords(b *build, s *seen, gone time.Duration, all bool) {
	last := 0
	s.words(t, all, func(word []seenCell, x int, letters bool) {
		between, told := false, true
		for _, c := range s.cells[last:x] {
			between = between || c.glyph != 0
		}
		for i := range word {
			told = told && (word[i].told || !s.goes(t, x+i, all))
		}
		for i := range word {
			word[i].told = true
		}
		if !letters || told {
			return
		}
		if last = x + len(word); len(b.text) > 0 {
			b.pad(1)
			if between {
				b.text = append(b.text, "… "...)
			}
		}
		for i := range word {
			t.appendCell(b, &word[i], gone)
		}
	})
}
