package screen

import (
	"container/heap"
	"math"
	"slices"
	"time"
)

const (
	// maxHeld is what is held back to be told in order: bytes. It is a few hundred
	// pages of a program's own screen, behind which lines of the main one stand.
	maxHeld = 1 << 20

	// perHeld is what a line takes beside its text: bytes.
	perHeld = 96
)

// moment is where a line stands in a transcript: by when it could be read, then
// down the screen.
type moment struct {
	at    time.Duration
	page  uint8 // of the main screen, the alternate one, or beside both
	place int   // counted from the first row that ever was
	seq   uint64
}

var never = moment{at: math.MaxInt64, page: math.MaxUint8}

func (m moment) before(o moment) bool {
	switch {
	case m.at != o.at:
		return m.at < o.at
	case m.page != o.page:
		return m.page < o.page
	case m.place != o.place:
		return m.place < o.place
	}
	return m.seq < o.seq
}

// held is a line that waits until no earlier one can come.
type held struct {
	moment
	line  Line
	from  int // its text in hold.text, for those of a run
	to    int
	blank int // blank lines before it
}

// hold holds lines back and gives them away in order. Most come in order already.
type hold struct {
	run  []held // in order, those from first on
	next int
	text []byte // of run
	base int    // how much of text was dropped
	late late   // that came out of order
	seq  uint64
	size int           // bytes of all
	last time.Duration // the time of what was given away last
}

// add takes a line, of whose text and steps it keeps a copy.
func (h *hold) add(m moment, l Line, blank int) {
	h.seq++
	m.seq = h.seq
	e := held{moment: m, line: l, blank: blank}
	e.line.came = slices.Clone(l.came)
	h.size += l.weight()
	if n := len(h.run); n > h.next && m.before(h.run[n-1].moment) {
		e.line.Text = slices.Clone(l.Text)
		heap.Push(&h.late, e)
		return
	}
	e.line.Text = nil
	e.from = h.base + len(h.text)
	h.text = append(h.text, l.Text...)
	e.to = h.base + len(h.text)
	h.run = append(h.run, e)
}

// weight is what a line that is held takes: bytes.
func (l *Line) weight() int { return perHeld + len(l.Text) + 16*len(l.came) }

// release gives away what stands before a moment.
func (h *hold) release(m moment, emit func(Line)) {
	for {
		var l Line
		var blank int
		inRun := h.next < len(h.run)
		switch {
		case len(h.late) > 0 && (!inRun || h.late[0].before(h.run[h.next].moment)):
			if !h.late[0].before(m) {
				return
			}
			e := heap.Pop(&h.late).(held)
			l, blank = e.line, e.blank
		case inRun && h.run[h.next].before(m):
			e := &h.run[h.next]
			l, blank = e.line, e.blank
			l.Text = h.text[e.from-h.base : e.to-h.base]
			if e.line.came != nil {
				e.line.came = nil
			}
			h.next++
		default:
			h.tidy()
			return
		}
		h.size, h.last = h.size-l.weight(), l.At
		for ; blank > 0; blank-- {
			emit(Line{At: l.At, Gone: l.Gone})
		}
		emit(l)
	}
}

// tidy drops what was given away, once that is most of it.
func (h *hold) tidy() {
	switch {
	case h.next == len(h.run):
		h.run, h.text, h.next, h.base = h.run[:0], h.text[:0], 0, 0
	case h.next > 1<<10 && h.next > len(h.run)/2:
		gone := h.run[h.next].from - h.base
		h.text = h.text[:copy(h.text, h.text[gone:])]
		h.base += gone
		h.run = h.run[:copy(h.run, h.run[h.next:])]
		h.next = 0
	}
}

// late is a heap of lines, the first of them on top.
type late []held

func (l late) Len() int           { return len(l) }
func (l late) Less(i, j int) bool { return l[i].before(l[j].moment) }
func (l late) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *late) Push(e any)        { *l = append(*l, e.(held)) }
func (l *late) Pop() any {
	n := len(*l) - 1
	e := (*l)[n]
	(*l)[n] = held{}
	*l = (*l)[:n]
	return e
}
