package screen

import (
	"bytes"
	"slices"
	"time"
	"unicode/utf8"
)

// maxWritten is how much of what was written last is remembered, twice: bytes. What a
// program writes beyond it in a tenth of a second is more than anybody could read.
const maxWritten = 256 << 10

// maxCompared is how much of lines and screens is searched at once for lines that stand, and
// so aren't in doubt: bytes of screens. Beyond it all are.
const maxCompared = 1 << 20

// unsure are modes in which xterm erases and moves other than this terminal does, or
// other terminals than xterm.
type unsure uint8

const (
	guarded  unsure = 1 << iota // DECSCA: what is written is protected from some erasures
	area                        // SPA: the same
	vt52                        // DECANM is reset: sequences are others
	backwrap                    // reverse wraparound: a backspace goes up
	margins                     // DECLRMM with margins: lines are narrower
	newlines                    // LNM, which tmux hasn't
	reset                       // a soft reset, where something was set
	stops                       // tab stops by CTC or DECST8C
)

// doubtful says that a control comes that not all terminals carry out as this one does.
// What was written shortly before it may stand elsewhere although it is erased here.
func (t *Terminal) doubtful() {
	if t.log != nil {
		t.log.stood(false)
		t.log.written.doubt, t.log.written.joins = true, true
	}
}

// cleared says that the screen is cleared, or another one shows. Many terminals keep what
// stood there above it, until that is cleared, too (kept is false then); some have no other
// screen.
func (t *Terminal) cleared(kept bool) {
	if t.log == nil {
		return
	}
	w := &t.log.written
	if w.kept = kept; !kept {
		return
	}
	w.apart = true
	t.log.stood(true)
	if t.log.passing != nil {
		for y := range t.page.rows {
			t.goes(y, 0, t.cols, true)
		}
	}
}

// unsureOf notes whether such a mode is on.
func (t *Terminal) unsureOf(m unsure, on bool) {
	if t.doubtful(); on {
		t.unsure |= m
	} else {
		t.unsure &^= m
	}
}

// written is what a program wrote last, letter after letter as it did, so that it can be
// told where nobody can know what of it stood. A tenth of a second is, at least: what
// stood for longer is told by how it stood.
type written struct {
	text    []byte        // since before; a line feed is where the cursor was moved
	old     []byte        // before that
	came    [2][]came     // when that of old, and of text, came
	since   time.Duration // when the first of text came
	at      time.Duration // of the last of it
	x, y    int           // where the cursor was left
	pending bool
	joins   bool // what comes goes on, wherever it stands
	apart   bool // what comes stands in another place than what came, even if it doesn't here
	doubt   bool // it is to be told
	other   bool // it is to be told as it is in another character set

	fresh    bool      // something was written since the lines of the screen were taken notice of
	kept     bool      // terminals keep what was cleared last above the screen
	standing []doubted // what is to be told, unless it stands
	size     int       // of the lines that came since that was looked at: bytes
	line     []byte    // that isn't parted from what comes yet, if somebody wants each
}

// wrote notes what is about to be written where the cursor is.
func (t *Transcript) wrote(b []byte) {
	w, c := &t.written, &t.term.cursor
	if len(w.text)+len(b) > maxWritten {
		w.turn(t.at)
		b = b[max(0, len(b)-maxWritten):]
	}
	switch {
	case !w.apart && (w.joins || c.astray != 0 || c.y == w.y && c.x == w.x && c.pending == w.pending):
	case !w.apart && c.y == w.y && c.x > w.x:
		w.text = append(w.text, ' ')
		t.passes([]byte{' '}, false)
	default:
		w.text = append(w.text, '\n')
		t.passes(nil, true)
		t.endHides()
	}
	t.passes(b, false)
	if t.hiding != nil {
		t.hides(b)
	}
	w.text, w.joins, w.apart, w.fresh = append(w.text, b...), false, false, true
	if n := len(w.came[1]); n > 0 && w.at == t.at {
		w.came[1][n-1].end = len(w.text)
	} else {
		w.came[1] = append(w.came[1], came{len(w.text), t.at})
	}
	w.at = t.at
	w.doubt = w.doubt || t.term.doubted()
}

// Passing has f called with each line as it was written, whatever became of it, and when the
// last of it was: what stood too shortly to be told stands there. The line is valid until f
// returns. Lines are parted where the cursor was moved; there may be blanks where it was
// moved to the right.
func (t *Transcript) Passing(f func(at time.Duration, line []byte)) { t.passing = f }

// Hiding has f called with what is written so that this terminal doesn't show it, concealed or
// in the colour of its background, and when, in pieces; with nothing where one ends: something
// else comes, or the cursor was moved. The text is valid until f returns.
func (t *Transcript) Hiding(f func(at time.Duration, text []byte)) { t.hiding = f }

// hides hears of what is written.
func (t *Transcript) hides(b []byte) {
	if !t.term.pen.Style().Hides() {
		t.endHides()
		return
	}
	t.hid = true
	t.hiding(t.at, b)
}

func (t *Transcript) endHides() {
	if t.hid {
		t.hid = false
		t.hiding(t.at, nil)
	}
}

// passes takes more of such a line, of which that is the end or isn't.
func (t *Transcript) passes(b []byte, end bool) {
	w := &t.written
	if t.passing == nil {
		return
	}
	if w.line = append(w.line, b...); !end && len(w.line) < maxLine {
		return
	}
	if len(w.line) > 0 {
		t.passing(w.at, w.line)
		w.line = w.line[:0]
	}
}

// marked notes a mark on what was written last.
func (t *Transcript) marked(mark rune) {
	if w := &t.written; len(w.text) > 0 {
		t.passes(utf8.AppendRune(nil, mark), false)
		w.text = utf8.AppendRune(w.text, mark)
		w.came[1][len(w.came[1])-1].end, w.fresh = len(w.text), true
	}
}

// turn makes what was written last what was written before that.
func (w *written) turn(at time.Duration) {
	w.old, w.text, w.since = w.text, w.old[:0], at
	w.came[0], w.came[1] = w.came[1], w.came[0][:0]
}

// lines returns what was written, a line each, with when the last of that came.
func (w *written) lines() (lines []doubted) {
	n, came := len(w.old), slices.Clone(w.came[0])
	for _, c := range w.came[1] {
		c.end += n
		came = append(came, c)
	}
	end := 0
	for line := range bytes.SplitSeq(slices.Concat(w.old, w.text), []byte("\n")) {
		end += len(line) + 1
		for len(came) > 1 && came[0].end < end-1 {
			came = came[1:]
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && len(came) > 0 {
			lines = append(lines, doubted{text: line, at: came[0].at, upto: came[0].at, other: !w.doubt})
		}
	}
	return lines
}

// writtenTo notes where that left the cursor.
func (t *Transcript) writtenTo() {
	w, c := &t.written, &t.term.cursor
	w.x, w.y, w.pending = c.x, c.y, c.pending
}

// shownElsewhere notes what some terminals show of a sequence, or draw by it.
func (t *Terminal) shownElsewhere(b []byte) {
	if t.log == nil {
		return
	}
	w := &t.log.written
	w.doubt, w.joins = true, true
	for _, c := range b {
		if c-0x20 < 0x5f {
			t.log.wrote([]byte{c})
			w.joins = true
		}
	}
}

// doubted is a line that was written, when, and until when it surely stood.
type doubted struct {
	text     []byte
	at, upto time.Duration
	cleared  bool // it was cleared away
	other    bool // it may be in another character set, or no text
	as       bool // it stands so on other terminals, and not on this one
}

// tellWritten tells what was written, if it is in doubt what of it stood, and if it isn't
// on the screen until it has stood for long enough to be told by that. now is the time.
func (t *Transcript) tellWritten(now time.Duration) {
	w := &t.written
	t.tellBeyond(now - settled + 1)
	var lines []doubted
	if w.doubt || w.other {
		lines = w.lines()
		w.doubt, w.other, w.old, w.text = false, false, w.old[:0], w.text[:0]
		w.came[0], w.came[1] = w.came[0][:0], w.came[1][:0]
	}
	t.tellDoubted(now, lines)
	if t.at-w.since >= settled+longest {
		w.turn(t.at)
	}
}

// tellDoubted tells those lines, and those that wait, if they don't stand.
func (t *Transcript) tellDoubted(now time.Duration, lines []doubted) {
	w := &t.written
	lines = append(lines, w.standing...)
	if w.standing, w.size = nil, 0; len(lines) == 0 {
		return
	}
	var shown []byte
	few := now < never.at
	if few {
		shown = inLetters(t.shown())
		few = len(lines)*len(shown) <= maxCompared
	}
	for _, l := range lines {
		switch {
		case l.cleared && !w.kept && few:
		case l.as || !few || !bytes.Contains(shown, inLetters(l.text)):
			t.tellLine(l)
		case now-l.at < settled:
			l.upto = now
			w.standing = append(w.standing, l)
		}
	}
	if t.hold.size > t.check+maxLine {
		t.release()
	}
}

// shown is what the screen shows, its lines however many rows they take.
func (t *Transcript) shown() (b []byte) {
	for _, r := range t.term.page.rows {
		if b = t.appendCells(b, r.cells); r.wrapped {
			b = t.appendBlanks(b, r)
		} else {
			b = append(b, '\n')
		}
	}
	return b
}

// tellLine tells a line of it, once each, with when it was written and until when it stood
// if it did. Lines that are told already aren't younger.
func (t *Transcript) tellLine(l doubted) {
	line, at := l.text, max(l.at, t.hold.last)
	for len(line) > 0 {
		end := len(line)
		if end > maxLine {
			for end = maxLine; !utf8.RuneStart(line[end]); {
				end--
			}
		}
		part := line[:end]
		line = line[end:]
		if !bytes.ContainsFunc(part, func(r rune) bool { return readable(uint32(r)) }) || l.other && !legible(part) || t.toldString(append([]byte{0}, part...)) {
			continue
		}
		m := moment{at: at, place: t.places + t.term.y}
		if t.term.page == t.term.alt {
			m.page, m.place = 1, t.term.y
		}
		t.hold.add(m, Line{At: at, Gone: max(at, l.upto), Kind: Written, Text: part}, 0)
	}
}

// Doubtful says that what was written shortly before goes, where it may be that somebody's
// terminal shows it all the same: it is told as it was written, unless it stands.
func (t *Transcript) Doubtful() {
	w := &t.written
	if since := t.at - settled; w.since < since { // what is older is told by how it stood
		w.old, w.came[0] = younger(w.old, w.came[0], since)
		w.text, w.came[1] = younger(w.text, w.came[1], since)
	}
	w.doubt = true
}

// younger is what of a text came at a time or later.
func younger(text []byte, list []came, since time.Duration) ([]byte, []came) {
	n, from := 0, 0
	for from < len(list) && list[from].at < since {
		n = list[from].end
		from++
	}
	list = slices.Delete(list, 0, from)
	for i := range list {
		list[i].end -= n
	}
	return slices.Delete(text, 0, n), list
}
