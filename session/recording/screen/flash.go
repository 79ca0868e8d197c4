package screen

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

const (
	// maxFlashing is how many groups of letters that came and went are remembered, and
	// as many before them. It is a few times what the customary screen has: who shows
	// more than that within a flood isn't remembered, but told at once.
	maxFlashing = 1 << 14
	flood       = time.Second

	again    = time.Second // of such times until a word is told once more
	together = 4           // letters that are recognized wherever they stand, whatever is glued to them
	maxGlow  = 64          // lines that wait for their words to come back

	firstWide = 0x2e80               // of the scripts of East Asia, in which two letters are a word
	glimpse   = 4 * time.Millisecond // less than that no display shows
)

// flash is something that comes and goes.
type flash struct {
	first, stood time.Duration // since it was told, if it was: when it came first, and for how long it stood in all
	last         time.Duration // when that was counted, or it was told until
	told         bool
}

// add takes that it stood since a time for so long, which counts once at a time, and
// reports whether it is to be told.
func (f *flash) add(since, stood, now time.Duration) bool {
	if f.stood == 0 {
		if f.first = since; f.told && since-f.last < again {
			f.first = f.last // it comes and goes since then
		}
	}
	if f.stood == 0 || f.last != now {
		f.stood, f.last = f.stood+stood, now
	}
	return f.stood >= settled && (!f.told || f.stood >= again)
}

// flashAt is the letter that came and went last at a place.
type flashAt struct {
	flash
	letter, glyph uint32
}

// flashes remembers what comes and goes for less than a tenth of a second, to tell it once
// it has stood for as long in all: by the place, where blanks and drawings may come between;
// and by groups of letters, wherever they stand, whatever lies between them.
type flashes struct {
	places     [2][][]flashAt // of each page, row and column
	young, old map[uint64]flash
	began      time.Duration // when the young ones did
	until      time.Duration // when a flood ends, in which everything is told
	glow       map[uint64]glow

	marks   []flashMark   // of the line that is looked at
	glanced time.Duration // when somebody last glanced at what isn't looked at
}

// flashMark is a letter of a line that goes before it has stood for long enough.
type flashMark struct {
	s            *seen
	y, x         int
	letter       uint32
	since, stood time.Duration
	first        time.Duration // when it came first
}

// glow is a line that was told, came back and went, and isn't told anew yet.
type glow struct {
	line  Line
	where moment
}

// group returns what is known of a group of letters.
func (f *flashes) group(key uint64, now time.Duration) flash {
	known, ok := f.young[key]
	if ok {
		return known
	}
	if len(f.young) >= maxFlashing || f.young == nil {
		if f.young != nil && now-f.began < flood {
			f.until = now + flood
		}
		f.young, f.old, f.began = map[uint64]flash{}, f.young, now
	}
	return f.old[key]
}

// row returns what is known of the first n places of a row, at least.
func (f *flashes) row(page, y, n int) []flashAt {
	rows := f.places[page]
	if y >= len(rows) {
		rows = slices.Grow(rows, y+1-len(rows))[:y+1]
		f.places[page] = rows
	}
	if row := rows[y]; n > len(row) {
		rows[y] = slices.Grow(row, n-len(row))[:n]
	}
	return rows[y]
}

// place returns what is known of a place.
func (f *flashes) place(page, y, x int) *flashAt { return &f.row(page, y, x+1)[x] }

// marks collects the letters of a row that go before they have stood for long enough.
func (t *Transcript) marks(s *seen, y int, all bool, gone time.Duration) {
	for x := range s.cells {
		c := &s.cells[x]
		if stood := gone - c.open(); !c.mute && !c.told && stood > 0 && stood < settled && readable(c.glyph) && s.goes(t, x, all) {
			t.flashes.marks = append(t.flashes.marks, flashMark{s, y, x, t.term.clusters.letter(c.glyph), c.since, stood, c.since})
		}
	}
}

// flashed looks at the letters of a line that were collected, and reports whether one of
// them has stood for long enough by now, all its times together, and since when they come
// and go. Then all are marked, so that a line tells them: words are read together.
func (t *Transcript) flashed(group []*seen, page int, gone time.Duration) (first time.Duration, due bool) {
	f := &t.flashes
	due = t.at < f.until && len(f.marks) >= together
	back := uint64(0)
	note := func(was *flash, key uint64, marks []flashMark) {
		since, stood := marks[0].since, marks[0].stood
		for _, m := range marks {
			since, stood = max(since, m.since), min(stood, m.stood)
		}
		if was.add(since, stood, t.at) {
			due = true
		} else if was.told && back == 0 {
			back = key
		}
		for i := range marks {
			marks[i].first = min(marks[i].first, was.first)
		}
	}
	f.groups(func(marks []flashMark, key uint64) {
		was := f.group(key, t.at)
		note(&was, key, marks)
		f.young[key] = was
	})
	for i := range f.marks {
		m := f.marks[i]
		at := f.place(page, m.y, m.x)
		if at.letter != m.letter {
			*at = flashAt{letter: m.letter}
		}
		at.glyph = m.s.cells[m.x].glyph
		note(&at.flash, placeKey(page, m.y, m.x), f.marks[i:i+1])
	}
	first = gone
	for _, m := range f.marks {
		first = min(first, m.first)
	}
	if due {
		t.overlaid(page, first, gone)
		f.mark(page, gone)
	} else if back != 0 {
		t.glows(group, page, back, first, gone)
	}
	return first, due
}

// groups calls fn with each group of letters of a line that goes, and words of fewer.
func (f *flashes) groups(fn func(marks []flashMark, key uint64)) {
	group := func(marks []flashMark) {
		fn(marks, hashOf(len(marks), func(i int) uint32 { return marks[i].letter })|1<<63)
	}
	wide := func(m flashMark) bool { return m.letter >= firstWide && m.letter < cluster }
	for i, m := range f.marks {
		if i+together <= len(f.marks) {
			group(f.marks[i : i+together])
		}
		if i+1 < len(f.marks) && wide(m) && wide(f.marks[i+1]) {
			group(f.marks[i : i+2])
		}
	}
	for i := 0; i < len(f.marks); {
		s, from, end := f.marks[i].s, f.marks[i].x, i+1
		word := s.word(from)
		for end < len(f.marks) && f.marks[end].s == s && f.marks[end].x < word {
			end++
		}
		if end-i < together && (from == 0 || s.cells[from-1].glyph == 0) && word-from == end-i {
			group(f.marks[i:end])
		}
		i = end
	}
}

// placeKey tells places apart, and from groups of letters.
func placeKey(page, y, x int) uint64 { return uint64(page)<<40 | uint64(y)<<20 | uint64(x) }

// mark marks what flashes in a line to be told, and notes that it is.
func (f *flashes) mark(page int, gone time.Duration) {
	for _, m := range f.marks {
		m.s.cells[m.x].flash = true
		f.place(page, m.y, m.x).flash = flash{last: gone, told: true}
		delete(f.glow, placeKey(page, m.y, m.x))
	}
	f.groups(func(_ []flashMark, key uint64) {
		f.young[key] = flash{last: gone, told: true}
		delete(f.glow, key)
	})
}

// overlaid tells rows as they look to eyes that still see what was there just before, in
// places that are blank now: of a text that is shown in parts by turns.
func (t *Transcript) overlaid(page int, first, gone time.Duration) {
	f, b := &t.flashes, &t.build
	for i := 0; i < len(f.marks); {
		m := f.marks[i]
		for i < len(f.marks) && f.marks[i].s == m.s {
			i++
		}
		if m.y >= len(f.places[page]) {
			continue
		}
		b.reset()
		more := false
		for x, at := range f.places[page][m.y] {
			glyph := uint32(0)
			if x < len(m.s.cells) {
				glyph = m.s.cells[x].glyph
			}
			if glyph == 0 && at.told && at.last <= m.since && m.since-at.last < settled {
				glyph, more = at.glyph, true
			}
			if glyph != tailGlyph {
				b.text = t.appendGlyph(b.text, glyph, 0)
			}
		}
		text := trimRight(b.text)
		if more && len(text) <= t.spare {
			t.spare -= len(text)
			t.hold.add(moment{at: gone, page: uint8(page), place: m.s.place}, Line{At: gone, Gone: gone, Kind: Redrawn, Text: text, flashes: true, first: first}, 0)
		}
	}
}

// glows remembers a line that was told, came back and goes, so that it is told until when
// it did even if it doesn't come again.
func (t *Transcript) glows(group []*seen, page int, key uint64, first, gone time.Duration) {
	f, b := &t.flashes, &t.build
	b.reset()
	for k, s := range group {
		for _, c := range s.cells {
			switch {
			case c.glyph == 0:
				b.pad(1)
				continue
			case c.glyph != tailGlyph:
				b.text = t.appendGlyph(b.text, c.glyph, 0)
			}
			b.step(c.open())
			b.at = max(b.at, c.open())
		}
		if k < len(group)-1 {
			b.pad(s.used - len(s.cells))
		}
	}
	text := trimRight(b.text)
	if len(text) > t.spare {
		return
	}
	t.spare -= len(text)
	if _, ok := f.glow[key]; !ok && len(f.glow) >= maxGlow {
		t.endGlow(never.at)
	}
	if f.glow == nil {
		f.glow = map[uint64]glow{}
	}
	l := Line{At: b.at, Gone: gone, Kind: Redrawn, Text: slices.Clone(text), came: slices.Clone(b.steps(b.at)), flashes: true, first: first}
	f.glow[key] = glow{l, moment{at: b.at, page: uint8(page), place: group[0].place}}
}

// endGlow tells the lines that went before a time and didn't come back.
func (t *Transcript) endGlow(before time.Duration) {
	var all []glow
	for key, g := range t.flashes.glow {
		if g.line.Gone < before {
			all = append(all, g)
			delete(t.flashes.glow, key)
		}
	}
	slices.SortFunc(all, func(a, b glow) int {
		return cmp.Or(cmp.Compare(a.where.at, b.where.at), cmp.Compare(a.where.page, b.where.page), cmp.Compare(a.where.place, b.where.place), bytes.Compare(a.line.Text, b.line.Text))
	})
	for _, g := range all {
		t.hold.add(g.where, g.line, 0)
	}
}

// glance counts for how long letters stand that come and go between two looks, in rows of
// which something goes all the time. Once that is long enough it has somebody look, until when
// they stand.
func (t *Transcript) glance(now time.Duration) {
	f, page := &t.flashes, 0
	if t.term.page == t.term.alt {
		page = 1
	}
	due := false
	for y, r := range t.term.page.rows {
		if !r.dirty || r.mute || r.wiped == 0 || now-r.wiped > again {
			continue
		}
		stood, places := now-max(r.at, f.glanced), f.row(page, y, len(r.cells))
		for x := range r.cells {
			g := glyphAt(r, x)
			if g == 0 || r.seen != nil && r.seen.glyph(x) == g {
				continue
			}
			at := &places[x]
			if at.glyph != g {
				if !readable(g) {
					continue
				}
				if letter := t.term.clusters.letter(g); at.letter != letter {
					*at = flashAt{letter: letter}
				}
				at.glyph = g
			}
			due = at.add(r.at, stood, now) || due
		}
	}
	if f.glanced = now; due {
		t.look(now)
	}
}
