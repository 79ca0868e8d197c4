package screen

import (
	"maps"
	"math"
	"slices"
	"time"
	"unicode/utf8"
)

// beyond is what stands on a larger screen and doesn't here: its rows, by their numbers.
type beyond struct {
	rows  map[int]*farRow
	fresh []int // those that aren't told as they stand
	size  int   // letters
}

// farRow is such a row.
type farRow struct {
	y       int
	letters map[int]string // by column
	at      time.Duration  // when the last of it came
	told    bool           // it is told as it stands
}

// maxBeyond is how many letters of that are remembered: a few screens. Beyond it all is told.
const maxBeyond = 1 << 15

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
	if there := t.far.rows[r.far.both]; there != nil && !there.told && len(there.letters) <= t.spare && there.differs(t, r, lo, hi, n) {
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
		if was, ok := f.letters[x+r.far.dx+n]; ok && glyphAt(r, x)&^tailGlyph != 0 && was != t.term.clusters.of(glyphAt(r, x)) {
			return true
		}
	}
	return false
}

// stands hears that a letter stands on a larger screen.
func (t *Transcript) stands(y, x int, letter string) {
	if there := t.far.rows[y]; there != nil && !there.told && len(there.letters) <= t.spare {
		if was, ok := there.letters[x]; ok && was != letter {
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
	rows, fresh := make(map[int]*farRow, len(f.rows)), f.fresh[:0]
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
	f.rows, f.fresh = rows, fresh
}

// changes moves letters of such a row, or takes them away; it is told before.
func (t *Transcript) changes(f *farRow, to func(x int) (int, bool)) {
	if t.spare -= len(f.letters); t.spare < 0 { // as in farShifts
		if t.spare = 0; !f.told {
			t.tellFar(f)
		}
		t.far.size -= len(f.letters)
		f.letters = map[int]string{}
		return
	}
	letters := make(map[int]string, len(f.letters))
	differs := false
	for x, letter := range f.letters {
		at, stays := to(x)
		if differs = differs || at != x || !stays; stays {
			letters[at] = letter
		}
	}
	if !differs {
		return
	}
	if !f.told && len(f.letters) <= t.spare {
		t.tellFar(f)
	}
	t.far.size += len(letters) - len(f.letters)
	f.letters, f.told = letters, true
}

func (t *Transcript) put(y, x int, letter string) {
	f := &t.far
	there := f.rows[y]
	if there == nil {
		if f.rows == nil {
			f.rows = map[int]*farRow{}
		}
		there = &farRow{y: y, letters: map[int]string{}, told: true}
		f.rows[y] = there
	}
	was, ok := there.letters[x]
	if !ok {
		f.size++
	}
	if was == letter || letter == " " && !ok {
		return
	}
	if there.told {
		f.fresh = append(f.fresh, y)
	}
	there.letters[x], there.at, there.told = letter, t.at, false
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
	var other map[int]string // with what is here
	for _, r := range t.term.page.rows {
		for x := r.lo; x < min(r.hi, len(r.cells)) && r.far.both == f.y; x++ {
			g := glyphAt(r, x)
			if g == 0 || g == tailGlyph {
				continue
			}
			letter := t.term.clusters.of(g)
			switch was, ok := f.letters[x+r.far.dx]; {
			case !ok:
				f.letters[x+r.far.dx] = letter
				t.far.size++
			case was != letter && other == nil:
				other = map[int]string{}
				fallthrough
			case was != letter:
				other[x+r.far.dx] = letter
			}
		}
	}
	t.tellLetters(f.letters, f.at)
	if other != nil {
		with := maps.Clone(f.letters)
		maps.Copy(with, other)
		t.tellLetters(with, f.at)
	}
}

func (t *Transcript) tellLetters(letters map[int]string, at time.Duration) {
	t.spare = max(0, t.spare-len(letters))
	var text []byte
	last := 0
	for i, x := range slices.Sorted(maps.Keys(letters)) {
		if gap := x - last - 1; i > 0 && gap > 0 {
			text = append(text, "  "[:min(gap, 2)]...)
		}
		if text, last = append(text, letters[x]...), x; len(letters[x]) > 1 {
			first, _ := utf8.DecodeRuneInString(letters[x])
			last += Width(first) - 1
		}
	}
	t.doubts(doubted{text: text, at: at})
}
