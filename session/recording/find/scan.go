package find

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/play"
	"entry/session/recording/screen"
)

// scan looks at the frames of one recording.
type scan struct {
	q       *Query
	info    recording.Info
	emit    func(Hit)
	command func(text []byte) // hears of each command; nil if nobody does
	tally   recording.Tally
	open    map[uint32]*channel
	gaps    int
	unread  string // what of panes couldn't be followed
}

// channel is one that has shown or sent something and isn't closed.
type channel struct {
	number   uint32
	terminal bool
	at       time.Duration
	lines    *play.Lines    // nil unless its output is looked at
	commands *play.Commands // nil unless they are
	sent     bool           // input is looked at

	// Of what both the screen and the commands have, either may lack it: a screen tells
	// a line in pieces that was edited. What both tell is one hit.
	shown   []Hit // lines of output, the last of them
	entered []Hit // commands that no line has yet

	// matched is what matched in lines, and the lines, by their hashes: what is drawn
	// again and again is a hit once, as is a line that came back as it was.
	matched map[uint64]struct{}
	passed  passed
	titles  map[string]*screen.Line // the window's, or a pane's, from before what is searched

	typed  typed
	hidden hidden
}

// maxMatched is how many of those are remembered.
const maxMatched = 1 << 12

// maxTwins is how many hits of each kind wait for one of the other.
const maxTwins = 64

// How much a line may be older than the command in it, that was typed slowly, and how
// much younger, since it was drawn anew when it was entered.
const (
	twinBefore = 5 * time.Minute
	twinAfter  = 2 * time.Second
)

// twins reports whether a line of output is where a command was typed.
func twins(line, command Hit) bool {
	if line.Pane != command.Pane {
		return false
	}
	text := command.Text
	if i := strings.LastIndexByte(text[:command.From], '\n'); i >= 0 {
		text = text[i+1:]
	}
	text, _, _ = strings.Cut(text, "\n")
	return command.At-line.At <= twinBefore && line.At-command.At <= twinAfter && strings.Contains(line.Text, text)
}

// twin takes a hit, and looks for its twin among others; if there is none it is kept in
// mine, and past is what that has no room for any more.
func twin(h Hit, mine, others []Hit, same func(other Hit) bool) (mineNow, othersNow []Hit, past *Hit, found bool) {
	for i := len(others) - 1; i >= 0; i-- {
		if same(others[i]) {
			return mine, slices.Delete(others, i, i+1), nil, true
		}
	}
	if mine = append(mine, h); len(mine) > maxTwins {
		first := mine[0]
		mine, past = slices.Delete(mine, 0, 1), &first
	}
	return mine, others, past, false
}

// titled has a window's title, or a pane's, which shows until the next one; nil is the end. One
// that came before what is searched is a hit once it is known that it shows then.
func (c *channel) titled(s *scan, pane string, l *screen.Line, at time.Duration) {
	since := s.q.Since.Sub(s.info.Start)
	if was := c.titles[pane]; was != nil && at > since {
		was.Gone, was.Title = at, false
		c.line(s, pane, *was)
	}
	if delete(c.titles, pane); l == nil {
		return
	}
	if s.q.Since.IsZero() || l.At >= since {
		l.Title = false
		c.line(s, pane, *l)
		return
	}
	if l.Text = bytes.Clone(l.Text); c.titles == nil {
		c.titles = map[string]*screen.Line{}
	}
	if len(c.titles) < maxTitles {
		c.titles[pane] = l
	}
}

// maxTitles is how many panes' titles from before what is searched are remembered.
const maxTitles = 1 << 10

// line has a line of the channel's screen, which may have stood there before it was
// complete, and for long.
func (c *channel) line(s *scan, pane string, l screen.Line) {
	if l.Title {
		title := l // so that lines, of which there are many more, stay on the stack
		c.titled(s, pane, &title, l.At)
		return
	}
	if at := s.q.Since.Sub(s.info.Start); !s.q.Since.IsZero() && l.At < at && l.Gone <= at {
		return
	}
	if !s.q.Until.IsZero() {
		until := s.q.Until.Sub(s.info.Start)
		switch was, ok := l.Before(until); {
		case ok && s.q.Match(was.Text) != nil:
			l = was
		case !l.Flashed(until):
			return
		}
	}
	if len(l.Text) == 0 || s.q.Match(l.Text) == nil {
		return
	}
	h := Hit{Channel: c.number, Pane: pane, Terminal: c.terminal, At: l.At, In: Output}
	if l.Kind != screen.Kept {
		h.Note = l.Kind.String()
	}
	if l.Kind == screen.Erased || l.Kind == screen.Written {
		h.Stood = l.Gone - l.At
	}
	h, ok := s.matches(h, l.Text)
	if !ok {
		return
	}
	if pane == "" && l.Kind != screen.Concealed {
		since := l.Since()
		if l.Kind == screen.Returned {
			since = 0
		}
		h.Hidden = c.hidden.has(h.Text[h.From:h.To], since, max(l.At, l.Since()))
	}
	c.stands(pane, &l)
	match, line := c.had(pane+h.Text[h.From:h.To]), c.had(pane+"\n"+h.Text)
	if match && l.Kind == screen.Redrawn || line && l.Kind == screen.Returned {
		return
	}
	s.emit(h)
	c.shown, c.entered, _, _ = twin(h, c.shown, c.entered, func(command Hit) bool { return twins(h, command) })
}

// has reports whether a hit had a text.
func (c *channel) has(text string) bool {
	_, had := c.matched[maphash.String(textSeed, text)]
	return had
}

// had is has, and that one has it now.
func (c *channel) had(text string) bool {
	sum := maphash.String(textSeed, text)
	if _, had := c.matched[sum]; had {
		return true
	}
	if c.matched == nil || len(c.matched) >= maxMatched {
		c.matched = map[uint64]struct{}{}
	}
	c.matched[sum] = struct{}{}
	return false
}

var textSeed = maphash.MakeSeed()

// command has what was typed at a prompt of the channel's screen. It is a hit of its
// own where no line of output is that.
func (c *channel) command(s *scan, h Hit, text []byte) {
	h, ok := s.matches(h, text)
	if !ok || !s.inSpan(h.At) {
		return
	}
	var past *Hit
	if c.entered, c.shown, past, _ = twin(h, c.entered, c.shown, func(line Hit) bool { return twins(line, h) }); past != nil {
		s.emit(*past)
	}
}

func newScan(q *Query, info recording.Info, emit func(Hit)) *scan {
	s := &scan{q: q, info: info, emit: emit, open: map[uint32]*channel{}}
	return s
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
		s.open[n].close(s, s.open[n].at)
	}
	clear(s.open)
}

func (s *scan) request(facts *recording.Channel, f recording.Frame) {
	r := f.Request()
	switch r.Type {
	case "exec":
		s.entered(Hit{Channel: facts.Number, Terminal: facts.PTY}, screen.Command{At: f.At, Text: string(r.Command)}, Commands)
	case "subsystem":
		s.entered(Hit{Channel: facts.Number, Terminal: facts.PTY}, screen.Command{At: f.At, Text: string(r.Name)}, Commands)
	case "channel-close":
		if c := s.open[f.Channel]; c != nil {
			c.close(s, f.At)
			delete(s.open, f.Channel)
		}
	}
	if !s.q.looksIn(Input) {
		return
	}
	for _, said := range r.Said() {
		s.line(Hit{Channel: f.Channel, Terminal: facts.PTY, At: f.At, In: Input, Note: said.As}, []byte(said.Text))
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
	for _, name := range []string{string(file.Path), string(file.To), string(file.Ref)} {
		if h, ok := s.matches(Hit{Channel: f.Channel, At: f.At, In: Files, Note: note, File: &file}, []byte(name)); ok && s.inSpan(h.At) {
			s.emit(h)
			return // one operation is one hit, which shows all its names
		}
	}
}

// entered has a command, and where it was entered. as is where it stands besides, which is
// looked at already if the query says so.
func (s *scan) entered(h Hit, c screen.Command, as Field) {
	if s.command != nil {
		s.command([]byte(c.Text))
	}
	h.At, h.In, h.Note = c.At, Commands, status(c.Status)
	switch {
	case !s.q.looksIn(Commands):
	case as == Commands || !s.q.looksIn(as):
		s.line(h, []byte(c.Text))
	case as == Output:
		s.open[h.Channel].command(s, h, []byte(c.Text))
	}
}

// line is a hit if it matches.
func (s *scan) line(h Hit, text []byte) {
	if h, ok := s.matches(h, text); ok && s.inSpan(h.At) {
		s.emit(h)
	}
}

// inSpan reports whether what was at a moment is a hit.
func (s *scan) inSpan(at time.Duration) bool {
	when := s.info.Start.Add(at)
	return !when.Before(s.q.Since) && (s.q.Until.IsZero() || when.Before(s.q.Until))
}

// matches makes a hit of a text that matches.
func (s *scan) matches(h Hit, text []byte) (Hit, bool) {
	if len(text) == 0 {
		return h, false
	}
	m := s.q.Match(text)
	if m == nil {
		return h, false
	}
	h.Session, h.Text, h.From, h.To = s.info, string(text), m[0], m[1]
	return h, true
}

// channel returns an open channel.
func (s *scan) channel(facts recording.Channel) *channel {
	c := s.open[facts.Number]
	if c != nil {
		return c
	}
	c = &channel{number: facts.Number, terminal: facts.PTY, sent: s.q.looksIn(Input)}
	s.open[facts.Number] = c
	entered := func(pane string, cmd screen.Command) {
		as := Output
		if !c.terminal && pane == "" {
			as = Input
		}
		s.entered(Hit{Channel: c.number, Pane: pane, Terminal: c.terminal}, cmd, as)
	}
	commands := s.command != nil || s.q.looksIn(Commands)
	switch {
	case s.q.looksIn(Output):
		lines := play.Transcribe(facts, func(pane string, l screen.Line) {
			if pane == "" && l.Kind == screen.Concealed && c.lines.ControlMode() {
				c.passing(s, "", l.At, l.Text, true) // tmux's own lines, whose panes have what they say, unless they aren't tmux's
				return
			}
			c.line(s, pane, l)
		})
		c.lines = &lines
		lines.Hiding(c.hidden.takes)
		lines.Passing(func(pane string, at time.Duration, line []byte) { c.passing(s, pane, at, line, false) })
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
	c.input(s, f.Data)
}

func (c *channel) close(s *scan, at time.Duration) {
	if c.lines != nil {
		c.lines.Close(at)
		for _, pane := range slices.Sorted(maps.Keys(c.titles)) {
			c.titled(s, pane, nil, at)
		}
		c.endPassing(s, math.MaxInt)
	}
	if c.commands != nil {
		c.commands.Close()
	}
	for _, h := range c.entered {
		s.emit(h)
	}
	c.entered, c.shown = nil, nil
	c.lastInput(s)
	if c.lines != nil {
		s.unread = cmp.Or(s.unread, c.lines.Unread())
	} else if c.commands != nil {
		s.unread = cmp.Or(s.unread, c.commands.Unread())
	}
}

func status(n *int) string {
	if n == nil {
		return ""
	}
	return "exit status " + strconv.Itoa(*n)
}
