package screen

import "slices"

// rewrap changes the width. Lines stay what they are, with when their parts came and
// until when those were told, whatever rows they take.
func (t *Transcript) rewrap(cols int) {
	_, rows := t.term.Size()
	back := map[*seen]bool{}
	for _, r := range t.term.back {
		back[r.seen] = true
	}
	t.behead(func(s *seen) bool { return back[s] }) // of which it hears again
	t.looked[0] = t.looked[0][:0]                   // none of it is lost
	t.term.Resize(cols, rows)
}

// unscroll has rows be on the screen that came back while their line was going on there.
func (t *Transcript) unscroll() {
	var back []*seen
	t.behead(func(s *seen) bool {
		if !slices.Contains(t.term.main.rows, s.row) {
			return false
		}
		s.above, s.row.told = false, false
		back = append(back, s)
		return true
	})
	t.looked[0] = append(back, t.looked[0]...)
}

// behead takes rows from those above the screen of a line that goes on there.
func (t *Transcript) behead(which func(s *seen) bool) {
	t.head, t.headCells = slices.DeleteFunc(t.head, which), 0
	for _, s := range t.head {
		t.headCells += len(s.cells)
	}
}

// rewrapped hears that a line has other rows.
func (t *Transcript) rewrapped(were, are []*row) {
	known := slices.IndexFunc(were, func(r *row) bool { return r.seen != nil })
	if known < 0 {
		return // it was above the screen, and may come back from there
	}
	t.indents(were, are)
	var cells []seenCell
	var of []*seen // whose cell each is
	for _, r := range were {
		s := r.seen
		if s == nil { // it was above the screen
			s = &seen{returned: true}
			s.update(t, r, t.places)
			s.at = 0
			for x := range s.cells {
				s.cells[x].told, s.cells[x].since = true, t.at
			}
		}
		for x := range r.used {
			var c seenCell
			if x < len(s.cells) {
				c = s.cells[x]
			}
			cells, of = append(cells, c), append(of, s)
		}
	}
	if len(of) == 0 {
		of = []*seen{were[known].seen}
	}
	for _, r := range are {
		s := &seen{row: r, used: r.used, wrapped: r.wrapped, returned: true, mute: true, place: of[0].place}
		for x := range r.used {
			c, was := cells[x], of[x]
			if g := glyphAt(r, x); c.glyph != g { // there was no room for it
				c = seenCell{glyph: g, since: t.at}
			}
			s.cells = append(s.cells, c)
			s.join(was)
		}
		if r.used == 0 {
			s.join(of[0])
		}
		cells, of = cells[r.used:], of[r.used:]
		if s.returned {
			s.at = t.at
		}
		r.seen, r.at, r.mute = s, s.at, s.mute
		s.hold()
	}
	for _, r := range were {
		if r.seen != nil {
			r.seen.leave()
		}
	}
}

// indents tells a line before it has other rows, if the blanks with which one of them begins
// come to stand in another row than what follows them: who looks at a row sees where in it
// something stands, and such blanks are no letters, which alone count when their row goes.
func (t *Transcript) indents(were, are []*row) {
	var group []*seen
	read, cut, from := false, false, 0
	for _, r := range were {
		n := 0
		for n < len(r.cells) && glyphAt(r, n) == 0 {
			n++
		}
		cut = cut || n < len(r.cells) && rowOf(are, from) != rowOf(are, from+n)
		if from += r.used; r.seen != nil {
			group = append(group, r.seen)
			read = read || t.wasRead(r.seen, true, t.at)
		}
	}
	if cut && read {
		t.tell(Line{Kind: Erased, Gone: t.at}, group, moment{place: group[0].place}, true)
	}
}

// rowOf returns the row in which a line's cell x is.
func rowOf(rows []*row, x int) int {
	for i, r := range rows {
		if x -= r.used; x < 0 {
			return i
		}
	}
	return len(rows)
}

// join has a row show what was another one's.
func (s *seen) join(was *seen) {
	s.at, s.turns = max(s.at, was.at), max(s.turns, was.turns)
	s.returned, s.mute = s.returned && was.returned, s.mute && was.mute
}
