package screen

import (
	"math"
	"slices"
	"time"
	"unicode/utf8"
)

// beyond is what stands on a larger screen and doesn't here: its rows, by their numbers.
type beyond struct {
	rows  map[int]*farRow
	other map[int]*farRow // an empty one, for the next time that they move
	fresh []int           // those that aren't told as they stand
	size  int             // columns of the rows

	// What telling a row uses anew.
	here []lettered
	with []string
}

// farRow is such a row.
type farRow struct {
	y    int
	span               // what stands in it
	at   time.Duration // when the last of it came
	told bool          // it is told as it stands
}

// span is what stands in a row from its first letter to its last one.
type span struct {
	from    int      // the first one's column
	letters []string // by column from there on; "" where none is
	n       int      // that there are
}

// lettered is one column of a row.
type lettered struct {
	x      int
	letter string
}

// get is the letter in a column, "" if there is none.
func (s *span) get(x int) string {
	if x < s.from || x >= s.from+len(s.letters) {
		return ""
	}
	return s.letters[x-s.from]
}

// set puts a letter into a column.
func (s *span) set(x int, letter string) {
	switch {
	case len(s.letters) == 0:
		if s.from = x; s.letters == nil {
			s.letters = make([]string, 0, 80)
		}
	case x < s.from:
		s.letters = slices.Insert(s.letters, 0, make([]string, s.from-x)...)
		s.from = x
	}
	for n := x - s.from + 1 - len(s.letters); n > 0; n-- {
		s.letters = append(s.letters, "")
	}
	if s.letters[x-s.from] == "" {
		s.n++
	}
	s.letters[x-s.from] = letter
}

// distance is how many columns x is away from what stands.
func (s *span) distance(x int) int {
	if len(s.letters) == 0 {
		return 0
	}
	return max(s.from-x, x-(s.from+len(s.letters)-1), 0)
}

const (
	maxBeyond = 1 << 15 // columns of that which are remembered: a few screens. Beyond it all is told
	maxApart  = 1 << 10 // columns between letters that are told together
)

// wordLength is how much of a word is looked for in the row above: letters.
const wordLength = 32

// apart hears that letters of a row, from lo to hi, stand on on a larger screen, n columns
// further to the right, whatever becomes of them here.
func (t *Transcript) apart(r *row, lo, hi, n int) {
	hi = min(hi, len(r.cells))
	if lo >= hi || !t.term.anyYoung(r, lo, hi) {
		return
	}
	rows := t.term.page.rows
	if i := slices.Index(rows, r); i > 0 && rows[i-1].wrapped && rows[i-1].far.both == r.far.both { // its words may begin there
		above := rows[i-1]
		t.putAll(above, max(above.lo, above.hi-wordLength), above.hi, 0)
	}
	t.putAll(r, lo, hi, n)
}

// putAll puts letters of a row there, n columns further to the right.
func (t *Transcript) putAll(r *row, lo, hi, n int) {
	hi = min(hi, len(r.cells))
	if there := t.far.rows[r.far.both]; there != nil && !there.told && there.n <= t.spare && there.differs(t, r, lo, hi, n) {
		t.tellFar(there)
	}
	for x := lo; x < hi; x++ {
		if g := glyphAt(r, x); g != 0 && g != tailGlyph {
			t.put(r.far.both, x+r.far.dx+n, t.term.clusters.of(g))
		}
	}
}

// differs reports whether something else comes to stand somewhere.
func (f *farRow) differs(t *Transcript, r *row, lo, hi, n int) bool {
	for x := lo; x < hi; x++ {
		if was := f.get(x + r.far.dx + n); was != "" && glyphAt(r, x)&^tailGlyph != 0 && was != t.term.clusters.of(glyphAt(r, x)) {
			return true
		}
	}
	return false
}

// stands hears that a letter stands on a larger screen.
func (t *Transcript) stands(y, x int, letter string) {
	if there := t.far.rows[y]; there != nil && !there.told && there.n <= t.spare {
		if was := there.get(x); was != "" && was != letter {
			t.tellFar(there)
		}
	}
	t.put(y, x, letter)
}

// farGoes has the row of a larger screen where the cursor is lose what is from one column to
// another.
func (t *Terminal) farGoes(from, to int) {
	if t.log == nil {
		return
	}
	if there := t.log.far.rows[t.y+t.dy]; there != nil {
		t.log.changes(there, func(x int) (int, bool) { return x, x < from || x >= to })
	}
}

// farMoves moves what is there from the cursor on to the right, or to the left if n is below
// zero.
func (t *Terminal) farMoves(n int) {
	if t.log == nil {
		return
	}
	if there := t.log.far.rows[t.y+t.dy]; there != nil {
		at := t.x + t.dx
		t.log.changes(there, func(x int) (int, bool) {
			if x < at {
				return x, true
			}
			return x + n, x+n >= at
		})
	}
}

// farShifts moves the rows of a larger screen from one on down, or up if n is below zero.
func (t *Terminal) farShifts(from far, n int) {
	if t.log == nil || from == nowhere {
		return
	}
	end := math.MaxInt
	if t.page.bounded {
		end = t.page.bottom
	}
	shift := func(y *int, from, end int) {
		if *y >= from && *y <= end {
			*y += n
		}
	}
	for _, r := range t.page.rows {
		shift(&r.far.both, from.both, end)
		shift(&r.far.higher, from.higher, end)
		shift(&r.far.wider, from.wider, t.rolled+t.page.bottom)
	}
	y := from.both
	f := &t.log.far
	if len(f.rows) == 0 {
		return
	}
	if t.log.spare -= 10 * len(f.rows); t.log.spare < 0 { // moving them costs more than the bytes that do it
		t.log.spare = 0
		t.log.tellBeyond(never.at)
		*f = beyond{}
		return
	}
	rows, fresh := f.other, f.fresh[:0]
	if rows == nil {
		rows = make(map[int]*farRow, len(f.rows))
	}
	for at, there := range f.rows {
		if at >= y && at <= end {
			if at += n; at < y || at > end { // it goes
				if !there.told {
					t.log.tellFar(there)
				}
				f.size -= len(there.letters)
				continue
			}
		}
		if rows[at], there.y = there, at; !there.told {
			fresh = append(fresh, at)
		}
	}
	clear(f.rows)
	f.rows, f.other, f.fresh = rows, f.rows, fresh
}

// changes moves letters of such a row, or takes them away; it is told before.
func (t *Transcript) changes(f *farRow, to func(x int) (int, bool)) {
	if t.spare -= f.n; t.spare < 0 { // as in farShifts
		if t.spare = 0; !f.told {
			t.tellFar(f)
		}
		t.far.size -= len(f.letters)
		f.span = span{}
		return
	}
	differs := false
	for i, letter := range f.letters {
		if at, stays := to(f.from + i); letter != "" && (at != f.from+i || !stays) {
			differs = true
			break
		}
	}
	if !differs {
		return
	}
	var left span
	for i, letter := range f.letters {
		if at, stays := to(f.from + i); letter != "" && stays {
			left.set(at, letter)
		}
	}
	if !f.told && f.n <= t.spare {
		t.tellFar(f)
	}
	t.far.size += len(left.letters) - len(f.letters)
	f.span, f.told = left, true
}

func (t *Transcript) put(y, x int, letter string) {
	f := &t.far
	there := f.rows[y]
	if there == nil {
		if f.rows == nil {
			f.rows = map[int]*farRow{}
		}
		there = &farRow{y: y, told: true}
		f.rows[y] = there
	}
	was := there.get(x)
	if was == letter || letter == " " && was == "" {
		return
	}
	if there.distance(x) > maxApart {
		if !there.told {
			t.tellFar(there)
		}
		f.size -= len(there.letters)
		there.span = span{}
	}
	if there.told {
		f.fresh = append(f.fresh, y)
	}
	f.size -= len(there.letters)
	there.set(x, letter)
	f.size += len(there.letters)
	there.at, there.told = t.at, false
	if f.size > maxBeyond {
		t.tellBeyond(never.at)
		*f = beyond{}
	}
}

// tellBeyond tells the rows that have been as they are since before a time.
func (t *Transcript) tellBeyond(before time.Duration) {
	var later []int
	for _, y := range t.far.fresh {
		there := t.far.rows[y]
		switch {
		case there.told:
			continue
		case there.at >= before:
			later = append(later, y)
			continue
		}
		t.tellFar(there)
	}
	t.far.fresh = later
}

// tellFar tells one, with what of it stands here, too; if that is something else in the same
// places, once with each.
func (t *Transcript) tellFar(f *farRow) {
	f.told = true
	here := t.far.here[:0] // what stands in their places here
	for _, r := range t.term.page.rows {
		for x := r.lo; x < min(r.hi, len(r.cells)) && r.far.both == f.y; x++ {
			g := glyphAt(r, x)
			if g == 0 || g == tailGlyph {
				continue
			}
			at, letter := x+r.far.dx, t.term.clusters.of(g)
			switch was := f.get(at); {
			case was == "":
				t.far.size -= len(f.letters)
				f.set(at, letter)
				t.far.size += len(f.letters)
			case was != letter:
				here = append(here, lettered{at, letter})
			}
		}
	}
	t.tellLetters(&f.span, f.at)
	if len(here) > 0 {
		with := span{f.from, append(t.far.with[:0], f.letters...), f.n}
		for _, p := range here {
			with.set(p.x, p.letter)
		}
		t.tellLetters(&with, f.at)
		t.far.with = with.letters
	}
	t.far.here = here
}

func (t *Transcript) tellLetters(s *span, at time.Duration) {
	t.spare = max(0, t.spare-s.n)
	var text []byte
	last := 0
	for i, letter := range s.letters {
		if letter == "" {
			continue
		}
		if gap := i - last - 1; gap > 0 && len(text) > 0 {
			text = append(text, "  "[:min(gap, 2)]...)
		}
		if text, last = append(text, letter...), i; len(letter) > 1 {
			first, _ := utf8.DecodeRuneInString(letter)
			last += Width(first) - 1
		}
	}
	t.doubts(doubted{text: text, at: at})
}
