package find

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"time"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/play"
	"entry/session/recording/screen"
)

// maxInput is how long a line of input may be until it counts as two: bytes.
const maxInput = 64 << 10

// scan looks at the frames of one recording.
type scan struct {
	q       *Query
	info    recording.Info
	emit    func(Hit)
	command func(text []byte) // hears of each command; nil if nobody does
	tally   recording.Tally
	open    map[uint32]*channel
	gaps    int
}

// channel is one that has shown or sent something and isn't closed.
type channel struct {
	number   uint32
	terminal bool
	at       time.Duration
	lines    *play.Lines    // nil unless its output is looked at
	commands *play.Commands // nil unless they are
	input    []byte         // a line whose end is still to come
	sent     bool           // input is looked at
}

func newScan(q *Query, info recording.Info, emit func(Hit)) *scan {
	return &scan{q: q, info: info, emit: emit, open: map[uint32]*channel{}}
}

func (s *scan) frame(f recording.Frame) {
	facts := s.tally.Add(f)
	switch f.Kind {
	case recording.Output, recording.Error, recording.Resize, recording.Input:
		s.channel(*facts).frame(s, f)
	case recording.Request:
		s.request(facts, f)
	case recording.Transfer:
		s.file(f)
	case recording.Gap:
		s.gaps++
	}
}

// close ends all channels.
func (s *scan) close() {
	for _, n := range slices.Sorted(maps.Keys(s.open)) {
		s.open[n].close(s)
	}
	clear(s.open)
}

func (s *scan) request(facts *recording.Channel, f recording.Frame) {
	switch r := f.Request(); r.Type {
	case "exec":
		s.entered(facts.Number, facts.PTY, screen.Command{At: f.At, Text: r.Command}, Commands)
	case "channel-close":
		if c := s.open[f.Channel]; c != nil {
			c.close(s)
			delete(s.open, f.Channel)
		}
	case "env":
		if !s.q.looksIn(Input) {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(r.Env)) {
			s.line(Hit{Channel: f.Channel, Terminal: facts.PTY, At: f.At, In: Input, Note: "environment"}, []byte(name+"="+r.Env[name]))
		}
	}
}

// file looks at the names in a line of a manifest.
func (s *scan) file(f recording.Frame) {
	file, ok := f.File()
	if !ok || !s.q.looksIn(Files) {
		return
	}
	note := plain.Word(file.Protocol) + " " + plain.Word(file.Operation) + ", " + plain.Word(file.Outcome)
	if sizes := file.Sizes(); sizes != "" {
		note += ", " + sizes
	}
	for _, name := range []string{string(file.Path), string(file.To), file.Ref} {
		s.line(Hit{Channel: f.Channel, At: f.At, In: Files, Note: note}, []byte(name))
	}
}

// entered has a command. as is where it stands besides, which is looked at already if
// the query says so.
func (s *scan) entered(number uint32, terminal bool, c screen.Command, as Field) {
	if s.command != nil {
		s.command([]byte(c.Text))
	}
	if s.q.looksIn(Commands) && (as == Commands || !s.q.looksIn(as)) {
		s.line(Hit{Channel: number, Terminal: terminal, At: c.At, In: Commands, Note: status(c.Status)}, []byte(c.Text))
	}
}

// line is a hit if it matches.
func (s *scan) line(h Hit, text []byte) {
	if len(text) == 0 {
		return
	}
	m := s.q.Match(text)
	if m == nil {
		return
	}
	if at := s.info.Start.Add(h.At); at.Before(s.q.Since) || !s.q.Until.IsZero() && !at.Before(s.q.Until) {
		return
	}
	h.Session, h.Text, h.From, h.To = s.info, string(text), m[0], m[1]
	s.emit(h)
}

// channel returns an open channel.
func (s *scan) channel(facts recording.Channel) *channel {
	c := s.open[facts.Number]
	if c != nil {
		return c
	}
	c = &channel{number: facts.Number, terminal: facts.PTY, sent: s.q.looksIn(Input)}
	s.open[facts.Number] = c
	entered := func(cmd screen.Command) {
		as := Output
		if !c.terminal {
			as = Input
		}
		s.entered(c.number, c.terminal, cmd, as)
	}
	// A command that was typed in a terminal is on its screen.
	commands := s.command != nil || s.q.looksIn(Commands) && (!c.terminal || !s.q.looksIn(Output))
	switch {
	case s.q.looksIn(Output):
		lines := play.Transcribe(facts, func(l screen.Line) {
			note := ""
			if l.Kind != screen.Kept {
				note = l.Kind.String()
			}
			s.line(Hit{Channel: c.number, Terminal: c.terminal, At: l.At, In: Output, Note: note}, l.Text)
		})
		c.lines = &lines
		if commands {
			c.commands = lines.Commands(facts, entered)
		}
	case commands:
		c.commands = play.CommandsOf(facts, false, entered)
	}
	return c
}

func (c *channel) frame(s *scan, f recording.Frame) {
	c.at = f.At
	if c.lines != nil {
		c.lines.Frame(f)
	}
	if c.commands != nil {
		c.commands.Frame(f)
	}
	if f.Kind != recording.Input || !c.sent {
		return
	}
	for b := f.Data; len(b) > 0; {
		n := bytes.IndexAny(b, "\r\n")
		ended := n >= 0
		if !ended {
			n = len(b)
		}
		if room := maxInput - len(c.input); n > room {
			n, ended = room, true
			c.input = append(c.input, b[:n]...)
			b = b[n:]
		} else {
			c.input = append(c.input, b[:n]...)
			b = b[min(n+1, len(b)):]
		}
		if ended {
			c.endInput(s)
		}
	}
}

func (c *channel) endInput(s *scan) {
	s.line(Hit{Channel: c.number, Terminal: c.terminal, At: c.at, In: Input}, c.input)
	c.input = c.input[:0]
}

func (c *channel) close(s *scan) {
	if c.lines != nil {
		c.lines.Close(c.at)
	}
	if c.commands != nil {
		c.commands.Close()
	}
	c.endInput(s)
}

func status(n *int) string {
	if n == nil {
		return ""
	}
	return "exit status " + strconv.Itoa(*n)
}
