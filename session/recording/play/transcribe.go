package play

import (
	"time"

	"entry/session/recording"
	"entry/session/recording/control"
	"entry/session/recording/screen"
)

// Lines is the transcript of one channel, made of its frames, and of each pane where tmux
// spoke in control mode there. It isn't safe for concurrent use.
type Lines struct {
	*screen.Transcript
	channel uint32
	panes   *control.Stream
	request *control.Request
	wanted  *wanted
}

// wanted is what is wanted of panes beside their lines; nil where it isn't.
type wanted struct {
	entered func(pane string, c screen.Command)
	passing func(pane string, at time.Duration, line []byte)
}

// Transcribe returns the transcript of a channel; emit gets each line once it is
// known, as screen.NewTranscript has it, with tmux's name of the pane where it stood, or "".
// The lines of one pane, and those of none, are in order of time. Memory is bounded whatever
// the recording holds.
func Transcribe(c recording.Channel, emit func(pane string, l screen.Line)) Lines {
	l := Lines{channel: c.Number, wanted: &wanted{}, request: control.RequestOf(c.Command)}
	l.Transcript = screen.NewTranscript(int(c.Cols), int(c.Rows), func(line screen.Line) {
		if line.Kind != screen.Concealed || !l.panes.Seen() || !control.Bare(line.Text) {
			emit("", line)
		}
	})
	if !c.PTY {
		l.Cooked()
	}
	l.panes = control.New(control.Options{Cols: int(c.Cols), Rows: int(c.Rows), Asked: l.request.Asked, Open: func(pane string, cols, rows int) control.Display {
		p := &paneLines{Transcript: screen.NewTranscript(cols, rows, func(line screen.Line) { emit(pane, line) })}
		if passing := l.wanted.passing; passing != nil {
			p.Passing(func(at time.Duration, line []byte) { passing(pane, at, line) })
		}
		if entered := l.wanted.entered; entered != nil {
			p.typed = p.Commands(func(c screen.Command) { entered(pane, c) })
		}
		return p
	}})
	return l
}

// paneLines is the transcript of a pane.
type paneLines struct {
	*screen.Transcript
	typed *screen.Commands // nil unless they are looked for
}

// Typed hears that somebody typed.
func (p *paneLines) Typed(at time.Duration) {
	if p.typed != nil {
		p.typed.Typed(at)
	}
}

// Close tells what still is to be told.
func (p *paneLines) Close(at time.Duration) {
	p.Transcript.Close(at)
	if p.typed != nil {
		p.typed.Close()
	}
}

// Passing has f called with each line as it was written, as a Transcript's Passing does, and
// its pane. It comes before the first frame.
func (l Lines) Passing(f func(pane string, at time.Duration, line []byte)) {
	l.Transcript.Passing(func(at time.Duration, line []byte) { f("", at, line) })
	l.wanted.passing = f
}

// Frame takes the recording's next frame, of whatever channel. Close ends the
// transcript.
func (l Lines) Frame(f recording.Frame) {
	if f.Channel != l.channel {
		return
	}
	switch f.Kind {
	case recording.Output:
		// Whatever is taken for tmux's may be a program's that only looks so: the terminal's
		// own screen is told with every byte.
		l.Write(f.At, f.Data)
		l.panes.Write(f.At, f.Data)
	case recording.Error:
		l.Write(f.At, f.Data)
	case recording.Resize:
		if size, ok := f.Size(); ok {
			l.Resize(f.At, int(size.Cols), int(size.Rows))
			l.panes.Resize(int(size.Cols), int(size.Rows))
		}
	case recording.Input:
		l.request.Sent(f.Data)
	}
}

// ControlMode reports whether control mode was ever on, as it seems.
func (l Lines) ControlMode() bool { return l.panes.Seen() }

// Close tells what still is to be told.
func (l Lines) Close(at time.Duration) {
	l.panes.Close(at)
	l.Transcript.Close(at)
}

// Unread says what couldn't be read of it; "" is nothing.
func (l Lines) Unread() string { return unreadOf(l.panes) }

// unreadOf says what of a channel's panes couldn't be read.
func unreadOf(s *control.Stream) string {
	if s == nil || !s.Unread() {
		return ""
	}
	return "a tmux in control mode changes among more panes than can be followed: what the rest showed is in the raw bytes alone"
}
