package screen

import (
	"bytes"
	"slices"
	"time"
	"unicode"
)

// Command is what somebody typed at a prompt and entered, as it stood on the screen
// then: after all editing, completion and recall. What was typed without echo isn't
// in it.
type Command struct {
	At     time.Duration // when it was entered
	Prompt string        // what stood before it
	Text   string        // UTF-8; lines end in \n but for the last one
	// Status is the exit status by the shell's own word (OSC 133), nil without.
	Status *int
}

const (
	maxCommand  = 64 << 10 // bytes of one; the rest is an ellipsis
	maxBurst    = 4 << 10  // bytes of a write after which a prompt is believed without a pause
	maxEcho     = 4        // bytes of the echo of one key
	maxTyped    = 16       // bytes of what comes while somebody types where nothing looked like a prompt
	maxMark     = 64       // bytes of a shell's mark
	thinks      = 100 * time.Millisecond
	maxPrompted = 200 // rows that one line of input takes

	// Cells that may be looked at for commands: so many for each byte and each
	// microsecond, and no more at once than two of the largest screens have. A
	// recording that is made of prompts mustn't hold up a search.
	perByte, perMicrosecond = 8, 1
	maxWork                 = 2 * MaxCols * MaxRows
)

// Commands finds the commands in what programs write to a terminal. There is no
// record of keys to go by, so it goes by the screen: a line editor that switches
// bracketed paste on (bash, zsh, fish, readline's other programs) edits from there to
// where it switches that off; elsewhere a prompt is where output rests behind "$ ",
// "# ", "% " or the like, or where single keys are echoed after a pause, and from then
// on where such a line's beginning shows again; and the marks of OSC 133 say it where a
// shell sends them. None of these switches another one off. Numbers in a prompt may
// change, and what is drawn elsewhere doesn't matter, if the cursor comes back: a clock,
// a spinner, a status line. What stands at the right of the input, where the cursor never
// was, isn't of it.
//
// A target may show what looks like a prompt and isn't, and hide one: commands help
// to find one's way, and the transcript has all that was to be read. Memory is
// bounded. It isn't safe for concurrent use.
//
// Source of OSC 133: FinalTerm's semantic prompts,
// https://gitlab.freedesktop.org/Per_Bothner/specifications/-/blob/master/proposals/semantic-prompts.md
type Commands struct {
	t     *Terminal
	emit  func(Command)
	early bool

	at     time.Duration // of the last write
	burst  int           // its bytes
	rest   time.Duration // since when the cursor rests: what is drawn elsewhere meanwhile, a clock, isn't echo
	rx, ry int           // and where
	long   bool          // the last write was more than somebody types, and no end of a line
	armed  arming
	row    *row   // where the input starts
	col    int    // and the column
	prompt string // what is before it
	right  string // what stood at the end of that row before anything was typed
	beyond string // what stands there now, beyond the input
	rcol   int    // and the column where that begins
	far    int    // how far the cursor came on that row
	idle   bool   // nothing is typed yet
	known  string // the last prompt that was sure, and its column
	kcol   int
	guess  bool   // it was known by the echo of what was typed there
	shy    bool   // it is where the input starts: a line that ends at once isn't what was typed
	edits  bool   // a line editor has switched bracketed paste on
	fresh  bool   // and nobody looked at its prompt yet
	began  *row   // where the cursor was then
	was    string // and what that row showed
	last   *row   // where the last command ended
	joins  bool   // what is typed goes on with that one
	held   *Command
	doubt  bool   // it was seen by its echo alone
	work   int    // cells that may still be looked at
	mark   []byte // of an OSC
	text   []byte
}

// arming is how sure it is that what comes is typed.
type arming uint8

const (
	unarmed arming = iota
	echoed         // keys are echoed after a pause
	sure
)

// NewCommands listens to t. emit gets each command: once the next prompt, or its
// status, shows that it is whole; or at once, line by line and without a status, if
// early says so.
func NewCommands(t *Terminal, early bool, emit func(Command)) *Commands {
	c := &Commands{t: t, emit: emit, early: early, work: maxWork}
	t.typed = c
	return c
}

// Write takes what a program wrote at a time, which never falls.
func (c *Commands) Write(at time.Duration, b []byte) {
	c.before(at, b)
	c.t.Write(b)
}

// Close tells what is still held back.
func (c *Commands) Close() {
	c.look(c.at)
	c.flush()
}

// Typed hears that somebody typed, of recordings that have it.
func (c *Commands) Typed(at time.Duration) {
	c.look(at)
	if c.armed == unarmed && !c.edits && at-c.rest >= visible {
		c.arm(echoed)
	}
}

// before looks at the screen as it stood until b came.
func (c *Commands) before(at time.Duration, b []byte) {
	c.look(at)
	switch {
	case c.armed == unarmed && !c.edits && at-c.rest >= thinks && len(b) <= maxEcho && len(b) > 0 && b[0] > ' ' && b[0] != 0x7f:
		c.arm(echoed)
	}
	c.work += min(maxWork, perByte*len(b)) + int(min(maxWork, perMicrosecond*max(0, at-c.at).Microseconds()))
	c.work = min(c.work, maxWork)
	c.at, c.burst = at, len(b)
	c.long = len(b) > maxTyped && b[0] != '\r' && b[0] != '\n'
}

func (c *Commands) look(at time.Duration) {
	t := c.t
	if t.x != c.rx || t.y != c.ry {
		if c.rx, c.ry, c.rest = t.x, t.y, c.at; c.armed == echoed && c.long {
			c.armed = unarmed
		}
	}
	if c.armed == echoed {
		c.beside()
	}
	if c.armed == sure {
		c.follow()
		return
	}
	switch rested := at-c.at >= visible || c.burst < maxBurst; {
	case c.fresh && t.x == 0 && at-c.rest < thinks: // the prompt is on its way
	case c.fresh && t.page == t.alt && at-c.rest < thinks: // it may be drawing
	case c.fresh && t.page == t.alt && (t.x == 0 || len(trimRight(c.rowText(t.page.rows[t.y], t.x, len(t.page.rows[t.y].cells)))) > 0):
		c.fresh = false // a program with its own screen, which takes pastes, too
	case c.fresh:
		c.arm(sure)
		if t.x > 0 && !c.prompted(t.page.rows[t.y], t.x) {
			c.split(t.page.rows[t.y])
		}
	case rested && c.prompted(t.page.rows[t.y], t.x):
		c.arm(sure)
		c.known, c.kcol, c.guess = c.prompt, c.col, false
	case rested && c.kcol > 0 && t.x >= c.kcol && c.shows(t.page.rows[t.y], c.known, c.kcol): // with something typed ahead
		c.arm(sure)
		c.prompt, c.col, c.right, c.beyond = string(c.rowText(t.page.rows[t.y], 0, c.kcol)), c.kcol, "", ""
		c.shy = c.guess
	}
}

// follow finds the prompt again where its line editor has drawn it anew: further down
// below a list of completions, at the top of a cleared screen. Where what it left
// isn't what it goes on with, that was entered.
func (c *Commands) follow() {
	t := c.t
	y := t.y
	for n := 0; y > 0 && n < maxPrompted && c.full(t.page.rows[y-1]); n++ {
		y--
	}
	r := t.page.rows[y]
	if r == c.row || t.page.rows[t.y] == c.row {
		c.idle = c.idle && t.x == c.col
		c.beside()
		return
	}
	same := c.shows(r, c.prompt, c.col)
	if !same && !(t.y == y && c.prompted(r, t.x)) {
		return
	}
	old := slices.Index(t.page.rows, c.row)
	if same && c.col == 0 || old >= 0 && old > y && c.shows(c.row, c.prompt, c.col) {
		return // a line of the input that is edited
	}
	if old >= 0 && c.shows(c.row, c.prompt, c.col) {
		was := c.read(c.row, c.row)
		now := ""
		if same {
			now = string(c.read(r, t.page.rows[t.y]))
		}
		if text := string(was); text != "" && !bytes.HasPrefix([]byte(now), was) {
			c.take(text, c.row)
		}
	}
	c.row, c.right, c.far = r, "", 0
	if c.beside(); !same {
		c.arm(sure)
	}
}

// arm says that what comes behind the cursor is typed.
func (c *Commands) arm(how arming) {
	t := c.t
	r := t.page.rows[t.y]
	c.joins = c.held != nil && t.y > 0 && t.page.rows[t.y-1] == c.last && continues(c.rowText(r, 0, t.x))
	if !c.joins && !c.doubt {
		c.flush()
	}
	c.armed, c.fresh, c.idle, c.shy = how, false, true, false
	c.row, c.col, c.prompt, c.far = r, t.x, string(c.rowText(r, 0, t.x)), 0
	c.beside()
}

// full reports whether the next row may go on with this one.
func (c *Commands) full(r *row) bool { return r.wrapped || len(r.cells) >= c.t.cols }

// lineFeed hears of one, before it is carried out.
func (c *Commands) lineFeed() {
	if c.armed == unarmed || c.edits {
		return
	}
	if c.long && (c.armed == echoed || c.shy) {
		c.armed = unarmed
		return
	}
	t := c.t
	r := t.page.rows[t.y]
	if c.full(r) && t.y+1 < t.rows && !blankCells(t.page.rows[t.y+1].cells) {
		return // within a line that is edited
	}
	c.enter(r)
}

// editing hears that a line editor begins or ends.
func (c *Commands) editing(on bool) {
	t := c.t
	switch {
	case on && !c.edits:
		c.edits, c.fresh, c.began = true, c.armed != sure, t.page.rows[t.y]
		c.was = string(c.rowText(c.began, 0, len(c.began.cells)))
	case !on && c.edits:
		if c.fresh && slices.Contains(t.page.rows, c.began) && string(c.rowText(c.began, 0, len(c.began.cells))) != c.was {
			// Prompt and input came in one piece.
			c.row, c.col, c.prompt, c.right, c.beyond, c.far = c.began, 0, "", "", "", 0
			if c.split(c.began) || t.page == t.main {
				c.armed = sure
			}
		}
		c.edits, c.fresh = false, false
		if c.armed != unarmed {
			c.enter(t.page.rows[t.y])
		}
	}
}

// enter takes what stands from the prompt to the end of a row as entered.
func (c *Commands) enter(end *row) {
	how := c.armed
	c.armed = unarmed
	first := c.row
	if !slices.Contains(c.t.page.rows, first) && !slices.Contains(c.t.back, first) || !c.shows(first, c.prompt, c.col) {
		first = c.above(end)
	}
	text := c.read(first, end)
	if how == echoed && bytes.IndexFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) < 0 {
		return // somebody waits and sees dots
	}
	for y := slices.Index(c.t.page.rows, end); y > 0 && end != first && blankCells(end.cells); y-- {
		end = c.t.page.rows[y-1]
	}
	c.take(string(text), end)
	if c.doubt = how == echoed; c.doubt && c.col > 0 {
		c.known, c.kcol, c.guess = c.prompt, c.col, true // where it shows again, that is a prompt
	}
}

// gone hears that a row of the alternate screen goes, before it does.
func (c *Commands) gone(r *row) {
	if c.armed == sure && r == c.row && c.shows(r, c.prompt, c.col) {
		c.armed = unarmed
		c.take(string(c.read(r, r)), r)
	}
}

// above returns the row at or above one that shows the prompt, or that row.
func (c *Commands) above(r *row) *row {
	y := slices.Index(c.t.page.rows, r)
	for up := y; up >= 0 && c.col > 0; up-- {
		if c.shows(c.t.page.rows[up], c.prompt, c.col) {
			return c.t.page.rows[up]
		}
		if c.work -= c.col; c.work < 0 {
			return r
		}
	}
	return r
}

// take has one entered line.
func (c *Commands) take(text string, end *row) {
	text = string(bytes.ToValidUTF8([]byte(text), []byte("�")))
	joins := c.joins && c.held != nil
	c.last, c.joins = end, false
	if !joins && c.doubt && c.held != nil && c.held.Text == text {
		c.held = nil // typed ahead, and shown again by who read it
	}
	c.doubt = false
	switch {
	case c.early:
		if text != "" {
			c.emit(Command{At: c.at, Prompt: c.prompt, Text: text})
		}
		return
	case joins && len(c.held.Text)+len(text) < maxCommand:
		c.held.Text += "\n" + text
		return
	}
	c.flush()
	if text != "" {
		c.held = &Command{At: c.at, Prompt: c.prompt, Text: text}
	}
}

func (c *Commands) flush() {
	if c.held != nil {
		c.held.Text = string(bytes.TrimRight([]byte(c.held.Text), "\n"))
		c.emit(*c.held)
		c.held = nil
	}
}
