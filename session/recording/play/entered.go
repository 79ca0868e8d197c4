package play

import (
	"time"

	"entry/session/recording"
	"entry/session/recording/control"
	"entry/session/recording/screen"
)

// Commands are those of one channel, made of its frames: what was typed at prompts of
// its terminal, or of the panes of a tmux in control mode there, the command it was opened
// with, and the lines that were piped to a shell or an interpreter. It isn't safe for
// concurrent use.
type Commands struct {
	channel recording.Channel
	emit    func(pane string, c screen.Command)
	term    *screen.Terminal // nil if somebody else's is listened to, or there is none
	typed   *screen.Commands // nil without a terminal
	panes   *control.Stream  // whose panes have a Typed
	own     bool             // nobody else has it
	request *control.Request // nil if somebody else's is
	keys    control.Keys
	script  []byte // a line whose end is still to come
	at      time.Duration
}

// CommandsOf returns the commands of a channel. emit gets each one as
// screen.NewCommands has it, with tmux's name of its pane, or ""; those that no screen
// showed may hold controls.
func CommandsOf(c recording.Channel, early bool, emit func(pane string, c screen.Command)) *Commands {
	m := &Commands{channel: c, emit: emit, own: true, request: control.RequestOf(c.Command)}
	if c.PTY {
		m.term = screen.New(int(c.Cols), int(c.Rows))
		m.typed = screen.NewCommands(m.term, early, func(c screen.Command) { emit("", c) })
	}
	around := func(at time.Duration, b []byte) {
		if m.typed != nil {
			m.typed.Write(at, b)
		}
	}
	m.panes = control.New(control.Options{Cols: int(c.Cols), Rows: int(c.Rows), Around: around, Asked: m.request.Asked, Open: func(pane string, cols, rows int) control.Display {
		p := &paneCommands{term: screen.New(cols, rows)}
		p.Commands = screen.NewCommands(p.term, early, func(c screen.Command) { emit(pane, c) })
		return p
	}})
	return m
}

// paneCommands are those of a pane.
type paneCommands struct {
	*screen.Commands
	term *screen.Terminal
}

func (p *paneCommands) Doubtful() {}

func (p *paneCommands) Resize(_ time.Duration, cols, rows int) { p.term.Resize(cols, rows) }

func (p *paneCommands) Close(time.Duration) { p.Commands.Close() }

// Commands returns the commands of the same channel; both take each frame. It comes
// before the first one.
func (l Lines) Commands(c recording.Channel, emit func(pane string, c screen.Command)) *Commands {
	m := &Commands{channel: c, emit: emit, panes: l.panes}
	if c.PTY {
		m.typed = l.Transcript.Commands(func(c screen.Command) { emit("", c) })
	}
	l.wanted.entered = emit
	return m
}

// Frame takes the recording's next frame, of whatever channel.
func (m *Commands) Frame(f recording.Frame) {
	if f.Channel != m.channel.Number {
		return
	}
	m.at = f.At
	switch f.Kind {
	case recording.Output:
		if m.own {
			m.panes.Write(f.At, f.Data)
		}
	case recording.Error:
		if m.term != nil {
			m.typed.Write(f.At, f.Data)
		}
	case recording.Resize:
		if size, ok := f.Size(); ok {
			if m.term != nil {
				m.term.Resize(screen.Fit(int(size.Cols), int(size.Rows)))
			}
			if m.own {
				m.panes.Resize(int(size.Cols), int(size.Rows))
			}
		}
	case recording.Input:
		if m.own {
			m.request.Sent(f.Data)
		}
		if m.panes.On() {
			m.keys.Sent(f.Data, func(pane string, _ []byte) {
				if p, ok := m.panes.Pane(pane).(interface{ Typed(at time.Duration) }); ok {
					p.Typed(f.At)
				}
			})
		}
		switch {
		case m.typed != nil:
			m.typed.Typed(f.At)
		case m.scripted():
			m.piped(f.Data)
		}
	case recording.Request:
		if r := f.Request(); r.Type == "exec" {
			m.emit("", screen.Command{At: f.At, Text: string(r.Command)})
		}
	}
}

// Unread says what couldn't be read for them; "" is nothing.
func (m *Commands) Unread() string { return unreadOf(m.panes) }
