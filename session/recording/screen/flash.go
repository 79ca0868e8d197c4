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
	letter uint32
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

	marks []flashMark // of the row that is looked at
}

// flashMark is a letter of a row that goes before it has stood for long enough.
type flashMark struct {
	x      int
	letter uint32
	stood  time.Duration
	first  time.Duration // when it came first
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

// place returns what is known of a place.
func (f *flashes) place(page, y, x int) *flashAt {
	rows := f.places[page]
	if y >= len(rows) {
		rows = slices.Grow(rows, y+1-len(rows))[:y+1]
		f.places[page] = rows
	}
	if row := rows[y]; x >= len(row) {
		rows[y] = slices.Grow(row, x+1-len(row))[:x+1]
	}
	return &rows[y][x]
}

// flashed looks at the letters of a row that go before they have stood for long enough and
// reports whether one of them has by now, all its times together, and since when they come
// and go. Then they are marked, so that a line tells them all: words are read together.
func (t *Transcript) flashed(s *seen, page, y int, all bool, gone time.Duration) (first time.Duration, due bool) {
	f := &t.flashes
	f.marks = f.marks[:0]
	for x := range s.cells {
		c := &s.cells[x]
		if stood := gone - c.open(); !c.mute && !c.told && stood > 0 && stood < settled && readable(c.glyph) && s.goes(t, x, all) {
			f.marks = append(f.marks, flashMark{x, t.term.clusters.letter(c.glyph), stood, c.since})
		}
	}
	if len(f.marks) == 0 {
		return 0, false
	}
	due = t.at < f.until && len(f.marks) >= together
	back := uint64(0)
	note := func(was *flash, key uint64, marks []flashMark) {
		since, stood := marks[0].first, marks[0].stood
		for _, m := range marks {
			since, stood = max(since, s.cells[m.x].since), min(stood, m.stood)
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
	t.groups(s, func(marks []flashMark, key uint64) {
		was := f.group(key, t.at)
		note(&was, key, marks)
		f.young[key] = was
	})
	for i := range f.marks {
		m := f.marks[i : i+1]
		at := f.place(page, y, m[0].x)
		if at.letter != m[0].letter {
			*at = flashAt{letter: m[0].letter}
		}
		note(&at.flash, placeKey(page, y, m[0].x), m)
	}
	first = gone
	for _, m := range f.marks {
		first = min(first, m.first)
	}
	if due {
		t.markFlash(s, page, y, gone)
	} else if back != 0 {
		t.glows(s, page, back, first, gone)
	}
	return first, due
}

// groups calls fn with each group of letters of a row that goes, and words of fewer.
func (t *Transcript) groups(s *seen, fn func(marks []flashMark, key uint64)) {
	marks := t.flashes.marks
	hash := func(marks []flashMark) uint64 {
		return hashOf(len(marks), func(i int) uint32 { return marks[i].letter }) | 1<<63
	}
	for i := range marks {
		if i+together <= len(marks) {
			fn(marks[i:i+together], hash(marks[i:i+together]))
		}
	}
	for i := 0; i < len(marks); {
		end, x := i+1, s.word(marks[i].x)
		for end < len(marks) && marks[end].x < x {
			end++
		}
		if first := marks[i].x; end-i < together && (first == 0 || s.cells[first-1].glyph == 0) && x-first == end-i {
			fn(marks[i:end], hash(marks[i:end]))
		}
		i = end
	}
}

// placeKey tells places apart, and from groups of letters.
func placeKey(page, y, x int) uint64 { return uint64(page)<<40 | uint64(y)<<20 | uint64(x) }

// markFlash marks what flashes in a row to be told, and notes that it is.
func (t *Transcript) markFlash(s *seen, page, y int, gone time.Duration) {
	f := &t.flashes
	for _, m := range f.marks {
		s.cells[m.x].flash = true
		f.place(page, y, m.x).flash = flash{last: gone, told: true}
		delete(f.glow, placeKey(page, y, m.x))
	}
	t.groups(s, func(_ []flashMark, key uint64) {
		f.young[key] = flash{last: gone, told: true}
		delete(f.glow, key)
	})
}

// glows remembers a row that was told, came back and goes, so that it is told until when
// it did even if it doesn't come again.
func (t *Transcript) glows(s *seen, page int, key uint64, first, gone time.Duration) {
	f, b := &t.flashes, &t.build
	b.reset()
	for x := range s.cells {
		c := &s.cells[x]
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
	f.glow[key] = glow{l, moment{at: b.at, page: uint8(page), place: s.place}}
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
