package control

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"entry/session/recording/screen"
)

const (
	maxPanes   = 64                                  // that are followed at once
	maxCells   = 4 * screen.MaxCols * screen.MaxRows // of all of them together
	maxSizes   = 1 << 10                             // panes and windows of which anything is known
	maxReopens = 10_000                              // panes that were closed for others
)

// Display is a pane's screen, or whatever else takes what its program writes.
type Display interface {
	Write(at time.Duration, b []byte)
	// Doubtful says that what was written shortly before goes, or may go: terminals that
	// show control strings still show it.
	Doubtful()
	Resize(at time.Duration, cols, rows int)
	Close(at time.Duration)
}

// Options say where what a Stream finds goes.
type Options struct {
	Cols, Rows int // of the terminal around the panes
	// Around gets what isn't a pane's output within a control string; nil where nobody does.
	Around func(at time.Duration, b []byte)
	// Asked reports whether somebody asked for control mode; nil where nobody wants to know.
	Asked func() bool
	// Open returns the screen of a pane, by tmux's name for it (%3), when it writes first. Where
	// nobody asked for control mode the name has a question mark (%3?): it may only look so.
	Open func(pane string, cols, rows int) Display
}

// Stream is what a program wrote to a terminal, with its panes where it is tmux in control
// mode. It isn't safe for concurrent use.
type Stream struct {
	o      Options
	parse  parser
	at     time.Duration
	panes  map[uint32]*pane
	sizes  map[uint32]size
	whole  size              // of the last window whose layout came; zero if none did
	window map[uint32]uint32 // of a pane
	active map[uint32]uint32 // the pane of a window
	front  uint32            // the window that shows
	shown  bool              // it is known
	next   uint64            // what the next window may be called; lower is of another server
	last   *pane             // written to; nil if what is around is
	cells  int
	count  uint64 // of writes to panes
	seen   bool
	closed int // panes closed for others
	unread bool
}

// pane is one that is followed.
type pane struct {
	id   uint32
	name string
	Display
	size
	used uint64 // when it was written to, as Stream counts
	fade fade
}

// New returns the stream of a terminal.
func New(o Options) *Stream {
	s := &Stream{o: o, panes: map[uint32]*pane{}}
	s.parse.sink = s
	s.forget()
	return s
}

func (s *Stream) forget() {
	s.sizes, s.window, s.active, s.shown = map[uint32]size{}, map[uint32]uint32{}, map[uint32]uint32{}, false
	s.whole, s.next = size{}, 0
}

// Write takes what a program wrote at a time, which never falls.
func (s *Stream) Write(at time.Duration, b []byte) {
	s.at = at
	s.parse.write(b)
}

// Resize says the size of the terminal around, which panes have of which no layout tells.
func (s *Stream) Resize(cols, rows int) { s.o.Cols, s.o.Rows = cols, rows }

// Close ends the panes.
func (s *Stream) Close(at time.Duration) {
	s.at = at
	if s.parse.on() && s.parse.place == atHead && len(s.parse.line) > 0 {
		s.around(s.parse.line)
	}
	s.closeAll()
}

// Seen reports whether control mode was ever on.
func (s *Stream) Seen() bool { return s.seen }

// Unread reports whether there was output of panes that nobody got: of more of them by
// turns than can be followed.
func (s *Stream) Unread() bool { return s.unread }

// On reports whether control mode is on.
func (s *Stream) On() bool { return s.parse.on() }

// Shown returns the screen of the pane that is in front, as far as tmux told, or that was
// written to last; nil where what is around shows.
func (s *Stream) Shown() (name string, d Display) {
	if s.last == nil || !s.parse.str {
		return "", nil
	}
	p := s.last
	if s.shown {
		if id, ok := s.active[s.front]; ok && s.panes[id] != nil {
			p = s.panes[id]
		} else if !ok && s.window[p.id] != s.front {
			for _, other := range s.panes {
				if s.window[other.id] == s.front && (s.window[p.id] != s.front || other.used > p.used) {
					p = other
				}
			}
		}
	}
	return p.name, p.Display
}

// Pane returns the screen of a pane that is followed, by its name; nil if it isn't.
func (s *Stream) Pane(name string) Display {
	if n, ok := id([]byte(name), '%'); ok && s.panes[n] != nil {
		return s.panes[n].Display
	}
	return nil
}

func (s *Stream) around(b []byte) {
	if len(b) > 0 && s.o.Around != nil {
		s.o.Around(s.at, b)
	}
}

func (s *Stream) output(id uint32, b []byte) {
	s.seen = true
	p := s.panes[id]
	if p == nil {
		if p = s.open(id); p == nil {
			s.unread = true
			return
		}
	}
	s.count++
	p.used, s.last = s.count, p
	p.Write(s.at, b)
	if p.fade.takes(b) {
		p.Doubtful()
	}
}

// open begins to follow a pane; nil if too many took turns.
func (s *Stream) open(id uint32) *pane {
	z, known := s.sizes[id]
	if !known {
		z = s.whole // tmux tells no layout of a new window
	}
	if z.cols == 0 {
		z = size{s.o.Cols, s.o.Rows}
	}
	z.cols, z.rows = screen.Fit(z.cols, z.rows)
	if s.closed > maxReopens {
		return nil
	}
	p := &pane{id: id, name: fmt.Sprintf("%%%d", id), size: z}
	if s.o.Asked != nil && !s.o.Asked() {
		p.name += "?"
	}
	s.panes[id] = p
	s.cells += z.cols * z.rows
	s.room(p)
	p.Display = s.o.Open(p.name, z.cols, z.rows)
	return p
}

// room closes panes until there is room for the rest, but not one.
func (s *Stream) room(but *pane) {
	for len(s.panes) > maxPanes || s.cells > maxCells && len(s.panes) > 1 {
		var oldest *pane
		for _, p := range s.panes {
			if p != but && (oldest == nil || p.used < oldest.used) {
				oldest = p
			}
		}
		s.close(oldest)
		s.closed++
	}
}

func (s *Stream) close(p *pane) {
	delete(s.panes, p.id)
	s.cells -= p.cols * p.rows
	if s.last == p {
		s.last = nil
	}
	p.Close(s.at)
}

// resize gives a pane its size.
func (s *Stream) resize(id uint32, z size) {
	if len(s.sizes) < maxSizes {
		s.sizes[id] = z
	}
	p := s.panes[id]
	z.cols, z.rows = screen.Fit(z.cols, z.rows)
	if p == nil || p.size == z {
		return
	}
	s.cells += z.cols*z.rows - p.cols*p.rows
	p.size = z
	s.room(p)
	p.Resize(s.at, z.cols, z.rows)
}

func (s *Stream) notified(line []byte) {
	s.seen = true
	s.notice(line)
}

func (s *Stream) answered(line []byte) {
	s.seen = true
	if !s.parse.long {
		s.listed(line)
	}
	s.last = nil
}

func (s *Stream) other() { s.last = nil }

// left hears that control mode ends. Panes go on without it: who attaches again is told of
// them only what is new.
func (s *Stream) left() { s.last = nil }

// closeAll closes all panes, and forgets what is known of any.
func (s *Stream) closeAll() {
	for _, id := range slices.Sorted(maps.Keys(s.panes)) {
		s.close(s.panes[id])
	}
	s.forget()
}
