package screen

import (
	"math"
	"slices"
	"time"
)

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

	maxLine  = 64 << 10 // bytes of a line until it is told in two
	maxBlank = 24       // blank lines in a row that are told
)

// Transcript is the transcript of everything that could ever be read on a
// terminal: each line as it stood, once it has gone. Memory is bounded. It isn't safe
// for concurrent use.
type Transcript struct {
	term *Terminal
	emit func(Line)

	at, burst time.Duration // of the last write, and of the first since the last look
	changed   bool          // something was written since
	torn      bool          // a row was lost since
	looked    [2][]*seen    // how the rows of the main and the alternate screen looked
	base      [2]int        // the place of the first of them
	places    int           // of the main screen's first row
	flashes   flashes
	moved     map[*row]*seen    // rows that show what another one did
	elsewhere map[uint64][]*row // rows that changed, by what they show, while losses are looked for
	spare     int               // bytes that may be told anew

	hold      hold
	check     int     // bytes held until somebody looks what of them can go
	head      []*seen // the rows of a line that are above the screen while it goes on there
	headCells int
	first     moment        // of that line
	next      *row          // in which it goes on, unless that was blanked since; nil while the size changes
	nextSeen  *seen         // how that looked
	blanked   int           // how often that was by then
	blank     int           // blank lines to be told before the next one, if it isn't older
	blankAt   time.Duration // when the last of them came
	build     build         // the line that is put together
	text      []byte
	line      []placed // that is looked at for what was filled
	written   written
	far       beyond
	gone      map[uint64]struct{}                 // rows that went and that somebody heard of, by their hashes
	passing   func(at time.Duration, line []byte) // hears of lines as they are written; nil if nobody does
	hiding    func(at time.Duration, text []byte) // hears of what is written hidden; nil if nobody does
	hid       bool                                // something was, last

	insideAt    time.Duration // when the last of it came
	title       uint64        // the last one's hash
	inside      []byte        // what a control string's line holds so far
	insideLines int           // lines of it that ended
	titles      map[uint64]struct{}
}

// NewTranscript returns the transcript of a terminal of this size, as New takes
// it. emit gets each line, in the order of the times since when they stood, and of one
// time down the screen. Where more would have to be held back than a mebibyte, lines
// that still stand are told, with Stands for when they went, and again if they are
// erased later: the order then goes back.
func NewTranscript(cols, rows int, emit func(Line)) *Transcript {
	t := &Transcript{term: New(cols, rows), emit: emit, titles: map[uint64]struct{}{}, spare: maxLine}
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
	t.earn(at, len(b))
	t.pass(at)
	t.change(at)
	t.term.Write(b)
}

// Resize changes the size, as New takes it.
func (t *Transcript) Resize(at time.Duration, cols, rows int) {
	cols, rows = Fit(cols, rows)
	was, high := t.term.Size()
	if was == cols && high == rows {
		return
	}
	t.pass(at)
	t.change(at)
	t.lookAtAll()
	t.next = nil
	t.term.Resize(was, rows) // a line that is cut off below is lost as it stood
	t.unscroll()
	t.lookAtAll()
	if cols != was {
		if cols == 1 { // there is no room for wide characters
			t.losses(0, true)
		}
		t.rewrap(cols)
		t.lookAtAll()
	}
	t.goesOn(t.term.main.rows[0])
}

func (t *Transcript) lookAtAll() {
	t.lookAt(0)
	if t.term.page == t.term.alt {
		t.lookAt(1)
	}
}

// Note has a text told among the lines, in its place in time.
func (t *Transcript) Note(at time.Duration, text []byte) {
	t.pass(at)
	t.hold.add(moment{at: t.at, page: math.MaxUint8}, Line{At: t.at, Gone: t.at, Kind: Note, Text: text}, 0)
	t.release()
}

// Close tells what still is to be told.
func (t *Transcript) Close(at time.Duration) {
	t.pass(at)
	t.passes(nil, true)
	t.tellBeyond(never.at)
	t.tellWritten(t.at)
	t.lookAt(0)
	t.keepPage(0, t.at)
	if t.term.page == t.term.alt {
		t.lookAt(1)
		t.keepPage(1, t.at)
	}
	t.endString(t.term.parser.osc, false)
	t.endGlow(never.at)
	t.hold.release(never, t.emit)
}

// pass lets time pass until at.
func (t *Transcript) pass(at time.Duration) {
	at = max(at, t.at)
	switch {
	case !t.changed:
	case at-t.at >= visible || at-t.burst >= longest:
		t.look(at)
	case at-t.at >= glimpse:
		t.glance(at)
	}
	t.at, t.term.now = at, at
}

// change notes that something changes now.
func (t *Transcript) change(at time.Duration) {
	if !t.changed {
		t.changed, t.burst = true, max(at, t.at)
	}
}

func (t *Transcript) pages() [2]*page { return [2]*page{t.term.main, t.term.alt} }

// look takes notice of the screen as it stands until now.
func (t *Transcript) look(now time.Duration) {
	if t.term.page == t.term.main {
		t.lookAt(0)
	} else {
		t.lookAt(1)
	}
	t.tellWritten(now)
	t.changed = false
	t.release()
}

// lookAt takes notice of a screen, 0 or 1, as it stands.
func (t *Transcript) lookAt(page int) {
	t.losses(page, false)
	if page == 0 {
		t.base[page] = t.places
	}
	t.looked[page] = t.looked[page][:0]
	for y, r := range t.pages()[page].rows {
		if s := t.moved[r]; s != nil {
			r.seen, r.told = s, s.told
		}
		if r.seen == nil {
			if r.seen = (&seen{returned: r.left}); r.left {
				r.at, r.told = t.at, false
			}
		}
		if r.seen.row == nil || r.dirty {
			t.drawn(r)
			r.seen.update(t, r, t.base[page]+y)
		}
		r.seen.wrapped = r.wrapped
		t.looked[page] = append(t.looked[page], r.seen)
	}
	if t.next != nil {
		t.nextSeen = t.next.seen
	}
	t.torn = false
	if t.moved, t.elsewhere = nil, nil; page == 0 && !t.follows(t.term.main.rows[0]) {
		t.endHead(t.at, false)
	}
}

// scrolled hears that a row leaves the main screen at its top.
func (t *Transcript) scrolled(r *row) {
	if r.told && r.left && !r.dirty {
		return // it was above it
	}
	if s := r.seen; s != nil && (t.torn && t.tornAbove(s) || !t.follows(r)) {
		t.lossOf(s, true)
	} else if s != nil && (r.dirty && !s.same(r) || s.wrapped && !r.wrapped) {
		t.lossOf(s, false)
	}
	if r.dirty {
		t.drawn(r)
	}
	t.keep(r, moment{place: t.places}, t.at)
	t.places++
	if s, n := r.seen, len(t.head); s != nil && n > 0 && t.head[n-1] == s {
		t.head[n-1] = s.part()
	} else if s != nil {
		s.leave()
	}
	r.told, r.dirty = true, false
	if t.hold.size > t.check+maxLine {
		t.release()
	}
}

// lossOf tells the line at the top of the main screen, which goes on with a row, if it
// goes as loss says.
func (t *Transcript) lossOf(s *seen, all bool) {
	i := slices.Index(t.looked[0], s)
	if i < 0 {
		return
	}
	end := lineEnd(t.looked[0], i)
	for i > 0 && t.looked[0][i-1].wrapped {
		i--
	}
	t.loss(0, i, end, all, false, true)
	for k, s := range t.looked[0][i:end] {
		if s.row != nil {
			s.update(t, s.row, t.base[0]+i+k)
		}
	}
}

// tornAbove reports whether the row that one went on from was lost.
func (t *Transcript) tornAbove(s *seen) bool {
	i := slices.Index(t.looked[0], s)
	return i > 0 && t.looked[0][i-1].wrapped && t.looked[0][i-1].row == nil
}

// parts hears that rows come in at the top of the main screen, or go there, but not
// above it.
func (t *Transcript) parts() {
	if len(t.head) == 0 {
		return
	}
	if s := t.term.main.rows[0].seen; s != nil {
		t.lossOf(s, true)
	}
	t.endHead(t.at, false)
}

// lost hears that a row's cells go away.
func (t *Transcript) lost(r *row) {
	if r == t.term.main.rows[0] {
		t.parts()
	}
	if s := r.seen; s != nil {
		s.gone, s.told = t.at, r.told
		if r.dirty {
			s.gone = r.since
		}
		s.row, r.seen = nil, nil
		t.torn = true
	}
}

// switched hears that the screen that shows gives way to the other one.
func (t *Transcript) switched() {
	if t.term.page == t.term.main {
		t.lookAt(0)
		for _, r := range t.term.alt.rows {
			r.at = t.at // it shows from now on
		}
		return
	}
	if len(t.looked[1]) > 0 { // else it was too short to be seen
		t.lookAt(1)
		t.losses(1, true)
		t.forgetPage(1)
	}
}

// wiped hears that both screens are reset.
func (t *Transcript) wiped() {
	for i := range t.pages() {
		if i == 1 && t.term.page == t.term.main {
			break
		}
		t.lookAt(i)
		t.losses(i, true)
		t.forgetPage(i)
	}
	t.endHead(t.at, false)
}

func (t *Transcript) forgetPage(i int) {
	for _, s := range t.looked[i] {
		s.leave()
	}
	t.looked[i] = t.looked[i][:0]
}

// renew hears that glyphs got other numbers.
func (t *Transcript) renew(f func(uint32) uint32) {
	for _, page := range [][]*seen{t.looked[0], t.looked[1], t.head} {
		for _, s := range page {
			for i := range s.cells {
				s.cells[i].glyph = f(s.cells[i].glyph)
			}
		}
	}
}
