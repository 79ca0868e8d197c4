package play

import (
	"time"

	"entry/session/recording"
	"entry/session/recording/control"
	"entry/session/recording/screen"
)

// inControlMode says of a channel what its panes are.
const inControlMode = "a tmux in control mode"

// follow has the panes of a tmux in control mode, each with its screen.
func (p *player) follow() {
	term := p.term
	p.request = control.RequestOf(p.o.Channel.Command)
	p.panes = control.New(control.Options{
		Asked: p.request.Asked,
		Cols:  int(p.o.Channel.Cols), Rows: int(p.o.Channel.Rows),
		Around: func(_ time.Duration, b []byte) { term.Write(b) },
		Open: func(pane string, cols, rows int) control.Display {
			s := &paneScreen{term: screen.New(cols, rows)}
			if p.view == nil && !p.o.Still {
				s.plain = &plainWriter{w: p.plain.w, end: p.plain.end, pane: pane}
				s.term.OnScroll(s.plain.row)
				s.ended = func() { p.plain.took(s.plain.err) }
			}
			return s
		},
	})
}

// shown is the screen that the user had in front, as far as that is known.
func (p *player) shown() *screen.Terminal {
	if _, d := p.panes.Shown(); d != nil {
		if s, ok := d.(*paneScreen); ok {
			return s.term
		}
	}
	return p.term
}

// inControl is a note, once, that there is control mode.
func (p *player) inControl() string {
	if p.noted || !p.panes.Seen() {
		return ""
	}
	p.noted = true
	if !p.request.Asked() {
		return "what looks like " + inControlMode + ", for which neither the command nor recorded input asked: its panes, with a question mark, may show something else than the terminal did"
	}
	if p.view != nil {
		return inControlMode + ": what is shown is the pane in front, as far as tmux tells it"
	}
	return inControlMode + ": lines of its panes begin with the pane's name"
}

// paneScreen is a pane's screen while it is replayed.
type paneScreen struct {
	term  *screen.Terminal
	plain *plainWriter // nil where a terminal shows it
	ended func()
}

// Write carries out what the program wrote.
func (s *paneScreen) Write(_ time.Duration, b []byte) { s.term.Write(b) }

// Doubtful does nothing: a replay shows what a terminal shows.
func (s *paneScreen) Doubtful() {}

// Resize changes its size.
func (s *paneScreen) Resize(_ time.Duration, cols, rows int) { s.term.Resize(cols, rows) }

// Close writes what stands on it where lines are written.
func (s *paneScreen) Close(time.Duration) {
	if s.plain != nil {
		s.plain.screen(s.term)
		s.ended()
	}
}

// took keeps the first error of a pane's lines.
func (p *plainWriter) took(err error) {
	if p.err == nil {
		p.err = err
	}
}

// watch finds the channels in which tmux speaks in control mode. The zero watch has none.
type watch struct{ found map[uint32]*control.Stream }

// over returns next, whose frames it sees.
func (w *watch) over(next func() (recording.Frame, error)) func() (recording.Frame, error) {
	return func() (recording.Frame, error) {
		f, err := next()
		if err == nil && f.Kind == recording.Output {
			w.of(f.Channel).Write(f.At, f.Data)
		}
		return f, err
	}
}

func (w *watch) of(channel uint32) *control.Stream {
	s := w.found[channel]
	if s == nil {
		s = control.New(control.Options{Open: func(string, int, int) control.Display { return unseen{} }})
		if w.found == nil {
			w.found = map[uint32]*control.Stream{}
		}
		w.found[channel] = s
	}
	return s
}

// mark says of each channel what it found.
func (w *watch) mark(list []recording.Channel) {
	for i := range list {
		s := w.found[list[i].Number]
		list[i].Tmux = s != nil && s.Seen()
	}
}

// unseen is a screen that nobody looks at.
type unseen struct{}

func (unseen) Write(time.Duration, []byte)    {}
func (unseen) Doubtful()                      {}
func (unseen) Resize(time.Duration, int, int) {}
func (unseen) Close(time.Duration)            {}
