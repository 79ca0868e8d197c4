package screen

import "time"

// Kind says why a line stands in a transcript.
type Kind uint8

// The kinds of lines.
const (
	Kept      Kind = iota // it scrolled off, or stands at the end, or another line below it had to be told
	Erased                // it stood there to be read and was erased or overwritten, or a program's own screen closed
	Concealed             // it stood in a control string, which most terminals hide and some show
	Redrawn               // of a line that is drawn again and again: the words that stood there and changed
)

// String returns the kind's name as it stands in exports.
func (k Kind) String() string {
	switch k {
	case Erased:
		return "erased"
	case Concealed:
		return "concealed"
	case Redrawn:
		return "redrawn"
	}
	return "kept"
}

// Line is one line of a transcript: a line as its program wrote it, which may
// have been wrapped over several rows.
type Line struct {
	At   time.Duration // since when it could be read as it stands here
	Gone time.Duration // when it went; of a kept line, when it was told
	Kind Kind
	Text []byte // UTF-8 without controls or blanks at its end; valid until emit returns
}

const (
	// visible is how long a screen stands until it counts at all: what a
	// display shows for less than a frame, at 50 frames a second, nobody sees. It
	// also is what joins the pieces in which a network delivers one change.
	visible = 20 * time.Millisecond

	// longest is how long output without a pause goes on until the screen counts
	// as it is in the middle of that: two frames or three.
	longest = 50 * time.Millisecond

	// settled is how long text stands until it counts as read when it is erased.
	// People read words that are shown one after the other for a tenth of a
	// second each, and not much faster (rapid serial visual presentation); most
	// programs that animate change something more often than that. Times add up
	// for words that come and go.
	settled = 100 * time.Millisecond

	maxLine     = 64 << 10 // bytes of a line until it is told in two
	maxBlank    = 24       // blank lines in a row that are told
	maxFlashing = 1 << 10  // words that came and went, whose times are remembered
	maxTold     = 1 << 16  // lines of a program's own screen that are remembered
)

// Transcript is the transcript of everything that could ever be read on a
// terminal: each line once it has scrolled off, and before that each one that
// was erased or overwritten after it had settled. Memory is bounded. It isn't safe for
// concurrent use.
type Transcript struct {
	term *Terminal
	emit func(Line)

	at, burst time.Duration // of the last write, and of the first since the last look
	changed   bool          // something was written since
	looked    [2][]*seen    // how the rows of the main and the alternate screen looked
	told      map[uint64]struct{}
	flashing  map[uint64]time.Duration
	moved     map[*row]*seen // rows that show what another one did

	part   []byte // of a line whose end is still to come
	partAt time.Duration
	blank  int // blank lines to be told before the next one
	text   []byte

	inside      []byte // what a control string's line holds so far
	insideLines int    // lines of it that ended
	titles      map[uint64]struct{}
}

// NewTranscript returns the transcript of a terminal of this size, as New takes
// it. emit gets each line, in the order in which people would read them on a
// page; their times may therefore go back.
func NewTranscript(cols, rows int, emit func(Line)) *Transcript {
	t := &Transcript{term: New(cols, rows), emit: emit, told: map[uint64]struct{}{}, flashing: map[uint64]time.Duration{}, titles: map[uint64]struct{}{}}
	t.term.log, t.term.maxBack = t, 100 // enough for a screen that grows
	return t
}

// Cooked says that no terminal of the target's made lines of what comes: a line
// feed alone starts a new line.
func (t *Transcript) Cooked() { t.term.Cooked() }

// Commands has emit called with each command that is typed at a prompt, as
// NewCommands says. Close of what it returns comes last.
func (t *Transcript) Commands(emit func(Command)) *Commands { return NewCommands(t.term, false, emit) }

// Write takes what a program wrote at a time, which never falls.
func (t *Transcript) Write(at time.Duration, b []byte) {
	if t.term.typed != nil {
		t.term.typed.before(at, b)
	}
	t.pass(at)
	t.change(at)
	t.term.Write(b)
}

// Resize changes the size, as New takes it.
func (t *Transcript) Resize(at time.Duration, cols, rows int) {
	cols, rows = Fit(cols, rows)
	if c, r := t.term.Size(); c == cols && r == rows {
		return
	}
	t.pass(at)
	t.change(at)
	t.losses(0, false)
	t.losses(1, false)
	t.keep(len(t.term.main.rows) - 1)
	t.term.Resize(cols, rows)
}

// Flush tells what stands on the main screen, for something that is told beside
// it. What changes there later is told again.
func (t *Transcript) Flush(at time.Duration) {
	t.pass(at)
	t.losses(0, false)
	t.keep(len(t.term.main.rows) - 1)
}

// Close tells what still stands on the screen.
func (t *Transcript) Close(at time.Duration) {
	t.Flush(at)
	t.endString(t.term.parser.osc)
	if t.term.page == t.term.alt {
		t.losses(1, false)
		for _, r := range t.term.alt.rows {
			if !r.told && !blankCells(r.cells) {
				t.keepRow(r)
			}
		}
	}
	t.endIfPart()
}

// pass lets time pass until at.
func (t *Transcript) pass(at time.Duration) {
	at = max(at, t.at)
	if t.changed && (at-t.at >= visible || at-t.burst >= longest) {
		t.look()
	}
	t.at, t.term.now = at, at
}

// change notes that something changes now.
func (t *Transcript) change(at time.Duration) {
	if !t.changed {
		t.changed, t.burst = true, max(at, t.at)
	}
}

// look takes notice of the screen as it stands.
func (t *Transcript) look() {
	for i, p := range []*page{t.term.main, t.term.alt} {
		if p != t.term.page && len(t.looked[i]) == len(p.rows) {
			continue // nothing changes there
		}
		t.losses(i, false)
		t.looked[i] = t.looked[i][:0]
		for _, r := range p.rows {
			if s := t.moved[r]; s != nil {
				r.seen, r.told = s, s.retell()
			}
			fresh := r.seen == nil
			if fresh {
				r.seen = &seen{}
			}
			r.seen.row = r
			if fresh || r.dirty {
				r.seen.update(r)
			}
			t.looked[i] = append(t.looked[i], r.seen)
		}
		t.moved = nil
	}
	t.changed = false
}

// scrolled hears that a row leaves the main screen at its top.
func (t *Transcript) scrolled(r *row) {
	told := r.told && (!r.dirty || r.seen.same(r))
	if s := r.seen; s != nil {
		if r.dirty && s.lost(t, false) {
			t.tellGone([]*seen{s}, false, false)
		}
		s.leave()
	}
	if !told {
		t.keepText(r)
	}
	r.told, r.dirty = true, false
}

// lost hears that a row's cells go away.
func (t *Transcript) lost(r *row) {
	if r.seen != nil {
		r.seen.row, r.seen = nil, nil
	}
}

// switched hears that the screen that shows gives way to the other one.
func (t *Transcript) switched() {
	if t.term.page == t.term.main {
		t.losses(0, false)
		t.keep(t.term.y)
		return
	}
	t.losses(1, false)
	t.losses(1, true)
	t.forgetPage(1)
	clear(t.told)
}

// wiped hears that both screens are reset.
func (t *Transcript) wiped() {
	for i := range t.looked {
		t.losses(i, false)
		t.losses(i, true)
		t.forgetPage(i)
	}
	t.endIfPart()
}

func (t *Transcript) forgetPage(i int) {
	for _, s := range t.looked[i] {
		s.leave()
	}
	t.looked[i] = t.looked[i][:0]
}

// renew hears that glyphs got other numbers.
func (t *Transcript) renew(f func(uint32) uint32) {
	for _, page := range t.looked {
		for _, s := range page {
			for i := range s.cells {
				s.cells[i].glyph = f(s.cells[i].glyph)
			}
		}
	}
}

// keep tells the rows of the main screen down to row y, those that weren't told.
func (t *Transcript) keep(y int) {
	rows := t.term.main.rows[:y+1]
	for len(rows) > 0 && blankCells(rows[len(rows)-1].cells) {
		rows = rows[:len(rows)-1]
	}
	for _, r := range rows {
		if !r.told || r.dirty && !r.seen.same(r) {
			t.keepRow(r)
		}
	}
	t.endIfPart()
}

func blankCells(cells []Cell) bool {
	for _, c := range cells {
		if !c.blank() {
			return false
		}
	}
	return true
}

// keepRow tells a row as it stands.
func (t *Transcript) keepRow(r *row) {
	t.keepText(r)
	if r.seen == nil {
		r.seen = &seen{row: r}
	}
	r.seen.update(r)
	for x := range r.seen.cells {
		r.seen.cells[x].told = true
	}
	r.told = true
}

// keepText tells the row's text, together with the rows that it goes on from.
func (t *Transcript) keepText(r *row) {
	t.part = t.appendCells(t.part, r.cells)
	t.partAt = r.at
	if r.seen != nil && r.seen.same(r) {
		t.partAt = r.seen.latest()
	}
	if !r.wrapped || len(t.part) >= maxLine {
		t.endPart()
		return
	}
	for n := len(r.cells); n < t.term.cols; n++ {
		t.part = append(t.part, ' ')
	}
}

// endPart tells the line that rows were collected of.
func (t *Transcript) endPart() {
	text := trimRight(t.part)
	t.part = t.part[:0]
	if len(text) == 0 {
		t.blank = min(t.blank+1, maxBlank)
		return
	}
	for ; t.blank > 0; t.blank-- {
		t.emit(Line{At: t.partAt, Gone: t.at})
	}
	t.emit(Line{At: t.partAt, Gone: t.at, Text: text})
}

// appendCells appends the text of cells.
func (t *Transcript) appendCells(b []byte, cells []Cell) []byte {
	for _, c := range cells {
		b = t.appendGlyph(b, c.glyph, c.attr)
	}
	return b
}

func (t *Transcript) appendGlyph(b []byte, glyph uint32, attr Attr) []byte {
	switch {
	case glyph-1 < 0x7f:
		return append(b, byte(glyph))
	case attr&tail != 0:
		return b
	}
	return append(b, t.term.clusters.of(glyph)...)
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}
