package screen

import (
	"bytes"
	"hash/maphash"
	"slices"
	"time"
)

// What a program writes needn't come in the order in which it is read: letters may come from
// the last to the first, each where it belongs. So what goes before it stood for long enough
// to be told by that is looked at as it stood just then, as well as as it was written.

const (
	// around is how much of a row is looked at beside what goes of it: cells.
	around = 200

	// aroundDrawn is that of a row in another character set, which costs more.
	aroundDrawn = 40

	// maxPassing is how many lines that passed are remembered, so that each is looked at once.
	maxPassing = 1 << 12

	// maxDoubted is how much waits to be told until it is known whether it stands: bytes.
	maxDoubted = 64 << 10
)

// young reports whether a cell has a character that hasn't stood for long enough to be told
// by that.
func (t *Terminal) young(r *row, x int) bool {
	g, s := glyphAt(r, x), r.seen
	return g != 0 && g != tailGlyph && (s == nil || s.glyph(x) != g || t.now-s.cells[x].since < settled)
}

// anyYoung is young of one of some cells of a row.
func (t *Terminal) anyYoung(r *row, x, end int) bool {
	if t.now-r.at >= settled || r.mute {
		return false
	}
	for x, end = max(x, r.from), min(end, r.to, len(r.cells)); x < end; x++ {
		if t.young(r, x) {
			return true
		}
	}
	return false
}

// goes notes that the cells of a row from x to end are about to be erased or written over;
// also says that they are on a larger screen, too.
func (t *Terminal) goes(y, x, end int, also bool) {
	if t.log == nil {
		return
	}
	r := t.page.rows[y]
	if (!also || r.shaky) && x < r.hi && end > r.lo {
		t.log.apart(r, r.lo, r.hi, 0)
	}
	if t.anyYoung(r, x, end) {
		t.log.goes(y, x, end)
	}
}

// over is goes of what is about to be written over up to end where the cursor is.
func (t *Terminal) over(r *row, end int) {
	if t.log != nil {
		t.located(r, end)
	}
	if t.x < len(r.cells) {
		t.goes(t.y, t.x, end, true)
		r.wiped = t.now
	}
}

// goAway is goes of n rows from one on, which the rest takes the place of. also says that so
// do a larger screen's from another one on.
func (t *Terminal) goAway(y, n int, far far, also bool) {
	for i := range n {
		t.goes(y+i, 0, t.cols, also && t.page.rows[y+i].far.row(far))
		far.both, far.higher, far.wider = far.both+1, far.higher+1, far.wider+1
	}
}

func (t *Transcript) goes(y, x, end int) {
	r := t.term.page.rows[y]
	if t.passing != nil {
		t.passesRow(y, x, end)
	}
	if t.term.doubted() {
		t.doubts(doubted{text: t.appendCells(nil, r.cells[max(0, min(x, len(r.cells))-around):min(end+around, len(r.cells))]), at: r.at})
	}
	if r.drawn {
		if as := t.inLetters(r, x-aroundDrawn, end+aroundDrawn); as != nil {
			t.doubts(doubted{text: as, at: r.at, as: true})
			if t.passing != nil {
				t.passesText(r.at, as)
			}
		}
	}
}

// passesRow has somebody hear of a row as it stands, about the cells from x to end.
func (t *Transcript) passesRow(y, x, end int) {
	rows := t.term.page.rows
	r, b := rows[y], t.text[:0]
	if above := y - 1; above >= 0 && rows[above].wrapped && x < around {
		cells := rows[above].cells
		b = t.appendBlanks(t.appendCells(b, cells[max(0, len(cells)-around):]), rows[above])
	}
	b = t.appendCells(b, r.cells[max(0, min(x, len(r.cells))-around):min(end+around, len(r.cells))])
	if y+1 < len(rows) && r.wrapped && end+around > len(r.cells) {
		cells := rows[y+1].cells
		b = t.appendCells(t.appendBlanks(b, r), cells[:min(around, len(cells))])
	}
	t.text = b
	t.passesText(r.at, b)
}

// appendBlanks adds those at the end of a row, with which the next one goes on.
func (t *Transcript) appendBlanks(b []byte, r *row) []byte {
	for range t.term.cols - len(r.cells) {
		b = append(b, ' ')
	}
	return b
}

// passesText has somebody hear of a line that goes, once.
func (t *Transcript) passesText(at time.Duration, line []byte) {
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return
	}
	sum := maphash.Bytes(titleSeed, line)
	if _, had := t.gone[sum]; had {
		return
	}
	if t.gone == nil || len(t.gone) >= maxPassing {
		t.gone = map[uint64]struct{}{}
	}
	t.gone[sum] = struct{}{}
	t.passing(at, line)
}

// line is one as it stands on the screen, of one row or more.
type line struct {
	text []byte
	as   []byte // as it is on terminals with another character set; nil if it isn't
	at   time.Duration
}

// lineAt returns the line of some rows.
func (t *Transcript) lineAt(y, end int) (l line) {
	drawn := false
	for _, r := range t.term.page.rows[y:end] {
		if l.text, l.at = t.appendCells(l.text, r.cells), max(l.at, r.at); r.wrapped {
			l.text = t.appendBlanks(l.text, r)
		}
		drawn = drawn || r.drawn
	}
	if drawn {
		for _, r := range t.term.page.rows[y:end] {
			l.as = append(l.as, t.inLetters(r, 0, len(r.cells))...)
		}
	}
	return l
}

// stood takes notice of the lines that stand on the screen and haven't stood for long enough
// to be told by that: somebody's terminal may show them for longer. cleared says that it
// shows them above the screen, unless that is cleared, too.
func (t *Transcript) stood(cleared bool) {
	if w := &t.written; w.fresh {
		w.fresh = false
		t.stoodIn(0, len(t.term.page.rows), cleared)
	}
}

// stoodIn is stood of the lines that begin in some rows.
func (t *Transcript) stoodIn(y, to int, cleared bool) {
	rows := t.term.page.rows
	for y < to {
		first, end, young := -1, y, false
		for more := true; more && end < len(rows); end++ {
			r := rows[end]
			if !r.noted && t.term.anyYoung(r, 0, t.term.cols) {
				if young = true; first < 0 {
					first = end
				}
			}
			r.noted = true
			more = rows[end].wrapped
		}
		if l := t.term.cols * (end - y); young && l <= t.spare {
			t.spare -= len(rows[first].cells) // of a row that is drawn once that is less than it earns
			if end-y > 1 {
				t.spare -= l
			}
			t.doubtsLine(t.lineAt(y, end), true, cleared)
		} else if young { // more would be told than is written: it is told as that was
			t.written.doubt = true
		}
		y = end
	}
}

// doubtsLine has a line told, unless it stands, where it is in doubt whether it is gone; and
// as it is on terminals with another character set, if that is something else.
func (t *Transcript) doubtsLine(l line, gone, cleared bool) {
	if gone {
		t.doubts(doubted{text: l.text, at: l.at, cleared: cleared})
	}
	if l.as != nil {
		t.doubts(doubted{text: l.as, at: l.at, cleared: cleared, as: true})
	}
}

// doubts has a line told.
func (t *Transcript) doubts(l doubted) {
	if l.text = bytes.TrimSpace(l.text); len(l.text) == 0 {
		return
	}
	w := &t.written
	l.text, l.upto = slices.Clone(l.text), l.at
	w.standing = append(w.standing, l)
	if w.size += len(l.text); w.size > maxDoubted {
		t.tellDoubted(never.at, nil)
	}
}
