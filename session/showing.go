package session

import "bytes"

// showing is what output shows, as far as prompts go: the line that is open, without
// what controls the terminal. What erases and moves within the line is left out of
// account, but for what begins it anew.
type showing struct {
	line   []byte // the end of the open line, at most 2*maxPrompt
	before []byte // likewise, before it was begun anew
	last   []byte // likewise, of the last one with something in it
	full   bool   // the other screen is on, that of editors and pagers
	state  ansi
	args   []byte // of a control sequence, at most maxArgs
	over   bool   // the next letter begins the line anew

	// Of the last piece.
	added   []byte // what it showed on the line that was open before, or since redrawn
	moved   bool   // another line was begun
	redrawn bool   // the line was begun anew
}

// maxArgs is how much of a control sequence's arguments is looked at.
const maxArgs = 16 // bytes

// ansi is where in a control sequence the stream is: ECMA-48, 5.
type ansi uint8

const (
	ground ansi = iota
	escape
	sequence   // CSI …
	text       // OSC, DCS, APC, PM, SOS …
	textEscape // and perhaps its end
)

// take takes output.
func (s *showing) take(p []byte) {
	s.added, s.moved, s.redrawn = s.added[:0], false, false
	for _, c := range p {
		s.byte(c)
	}
}

func (s *showing) byte(c byte) {
	switch {
	case c == 0x18 || c == 0x1a: // CAN, SUB end any sequence
		s.state = ground
	case s.state == text || s.state == textEscape:
		switch {
		case c == '\a', s.state == textEscape && c == '\\':
			s.state = ground
		case c == esc:
			s.state = textEscape
		default:
			s.state = text
		}
	case c == esc:
		s.state, s.args = escape, s.args[:0]
	case c == '\n', c == '\v', c == '\f':
		s.feed()
	case c == '\r':
		s.over = true
	case c == '\t':
		s.letter(' ')
	case c < ' ' || c == 0x7f:
	case s.state == escape && c >= 0x30:
		s.state = ground
		if c == '[' {
			s.state = sequence
		} else if bytes.IndexByte([]byte("]PX^_"), c) >= 0 {
			s.state = text
		}
	case s.state == escape:
	case s.state == sequence && c >= 0x40:
		s.state = ground
		s.control(c)
	case s.state == sequence:
		if len(s.args) < maxArgs {
			s.args = append(s.args, c)
		}
	default:
		s.letter(c)
	}
}

// letter shows one byte of one.
func (s *showing) letter(c byte) {
	if s.over {
		s.begin()
	}
	if len(s.line) == 2*maxPrompt {
		s.line = s.line[:copy(s.line, s.line[maxPrompt:])]
	}
	s.line = append(s.line, c)
	if !s.moved && len(s.added) < 2*maxAnswer {
		s.added = append(s.added, c)
	}
}

// begin begins the line anew.
func (s *showing) begin() {
	if len(question(s.line)) > 0 {
		s.before = append(s.before[:0], s.line...)
	}
	s.line, s.over = s.line[:0], false
	if !s.moved {
		s.added, s.redrawn = s.added[:0], true
	}
}

// feed goes to another line.
func (s *showing) feed() {
	if len(bytes.TrimSpace(s.line)) > 0 {
		s.last = append(s.last[:0], s.line...)
	}
	s.line, s.before, s.over, s.moved = s.line[:0], s.before[:0], false, true
}

// asking is what may be a prompt on the line that is open: stars that were put somewhere
// stand for letters of an answer to what was there before.
func (s *showing) asking() []byte {
	if q := question(s.line); len(q) > 0 {
		return q
	}
	return question(s.before)
}

// control carries a control sequence out.
func (s *showing) control(c byte) {
	switch args := string(s.args); {
	case bytes.IndexByte([]byte("ABEFHdf"), c) >= 0: // elsewhere
		s.over = true
	case c == 'C', c == 'G' && args != "" && args != "1": // to the right of where the line begins
		s.over = false
	case c == 'G':
		s.over = true
	case c == 'K' && args == "2":
		s.begin()
	case (c == 'h' || c == 'l') && (args == "?1049" || args == "?1047" || args == "?47"):
		s.full = c == 'h'
	}
}

// clear forgets the line.
func (s *showing) clear() { s.line, s.before, s.over = s.line[:0], s.before[:0], false }
