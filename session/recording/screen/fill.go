package screen

import "time"

// phrase is how many blanks lie at most between words that are read as one phrase, so that
// it is another one when something comes between them.
const phrase = 2

// placed is a cell of a line, with what stands in its place now.
type placed struct {
	*seenCell
	now  uint32
	gone time.Duration // when the place first changed
}

// filled looks for words of a line between which blanks were filled, so that they aren't the
// words that they were, though none of their letters went: the line is told as it stood
// then. Text that comes behind other text, or in a gap as between columns that stays one, is
// that of a line that grows, as at a prompt with something at its right.
func (t *Transcript) filled(group []*seen) {
	fills := false
	for _, s := range group {
		if s.row == nil || s.mute {
			return // all of it goes, or nothing is read
		}
		for x := 0; s.row.dirty && !fills && x < len(s.cells); x++ {
			fills = s.cells[x].glyph == 0 && glyphAt(s.row, x) != 0
		}
	}
	if !fills {
		return
	}
	line := t.line[:0]
	for k, s := range group {
		n := len(s.cells)
		if k < len(group)-1 {
			n = max(n, s.used)
		}
		for x := range n {
			c := placed{now: glyphAt(s.row, x), gone: s.row.since}
			if x < len(s.cells) {
				c.seenCell = &s.cells[x]
			} else {
				c.seenCell = &seenCell{since: s.at}
			}
			line = append(line, c)
		}
	}
	t.line = line
	for end := 0; end < len(line); {
		from := end
		for end < len(line) && line[end].glyph == 0 {
			end++
		}
		if from > 0 && end < len(line) && end > from && joins(line, from, end) {
			line[from-1].flash, line[end].flash = true, true
		}
		for end < len(line) && line[end].glyph != 0 {
			end++
		}
	}
}

// joins reports whether what was filled of the gap from one place of a line to another makes
// other words of those beside it, that had stood for long enough.
func joins(line []placed, from, to int) bool {
	fills, blanks, most := false, 0, 0
	gone, since := time.Duration(0), max(line[from-1].open(), line[to].open())
	for _, c := range line[from:to] {
		if since = max(since, c.open()); c.now != 0 {
			fills, blanks, gone = true, 0, c.gone
		} else {
			blanks++
			most = max(most, blanks)
		}
	}
	if !fills || most > phrase || gone-since < settled {
		return false
	}
	before, after := false, false
	for x := from - 1; x >= 0 && line[x].glyph != 0; x-- {
		before = before || readable(line[x].glyph)
	}
	for x := to; x < len(line) && line[x].glyph != 0; x++ {
		after = after || readable(line[x].glyph)
	}
	return before && after
}
