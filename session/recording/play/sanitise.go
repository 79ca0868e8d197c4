package play

import (
	"bytes"
	"io"
	"strconv"
	"unicode"
	"unicode/utf8"

	"entry/session/recording/screen"
)

// sanitiser makes recorded output safe for a player. A recording is what a target
// or its user chose to print: on an auditor's terminal it could set titles, write
// the clipboard, ask for answers that arrive as typed input, or turn text around.
//
// What passes is what changes the picture, so that the output draws, on package
// screen's terminal, the same cells: printable text in UTF-8; CR, LF, TAB and BS;
// SGR; movement; erasing, deleting, inserting, repeating; scrolling and its
// region; tab stops; the modes of inserting, wrapping, new lines and origin; the
// alternate screen; DECSTR and DECALN. What players know in different ways is
// translated: character sets to Unicode, C1 to its form with ESC, RIS to what it
// does on the screen, numbers to sane ones.
//
// Everything else is dropped: OSC, DCS, APC, PM and SOS strings, queries, other
// modes, BEL, and what leaves no trace on a screen, like bidi controls. Long
// strings are told to skipped. The output is a fixed point: sanitising it again
// changes nothing.
//
// Make one with sanitise. It isn't safe for concurrent use.
type sanitiser struct {
	w       io.Writer
	skipped func(length int)            // of a string longer than maxString
	state   func(*sanitiser, byte) bool // reports whether it took the byte
	seq     []byte                      // parameters and intermediates of the sequence so far
	over    bool                        // the sequence is longer than any sane one
	length  int                         // bytes of the string so far
	osc     bool                        // the string is one that BEL ends
	first   byte                        // of the string
	before  byte                        // the byte before, in a string
	carry   []byte                      // the start of a rune
	out     []byte

	shifts
	saved [2]shifts // of the main and the alternate screen, by DECSC
	alt   int       // 1 while the alternate screen shows
	tabs  bool      // tab stops were moved
	cols  int       // of the screen, for tab stops
}

// shifts are the character sets and which of them is in use.
type shifts struct {
	sets       [4]screen.Charset
	gl, single byte
}

const (
	maxSequence = 512     // bytes between CSI and its final byte; SGR with 64 parameters takes 256
	maxNumber   = 9999    // of one parameter: repeat counts beyond screens stall terminals
	maxString   = 4 << 10 // bytes of an OSC or DCS that nobody needs to hear of
)

// sanitise returns a writer that passes to w only what is safe in a player. Close
// it to write what it still holds; it doesn't close w. cols is the screen's
// width, for tab stops.
func sanitise(w io.Writer, cols int, skipped func(length int)) *sanitiser {
	return &sanitiser{w: w, cols: cols, skipped: skipped}
}

// Write implements io.Writer.
func (s *sanitiser) Write(p []byte) (int, error) {
	s.out = s.out[:0]
	rest := p
	if len(s.carry) > 0 {
		rest = append(s.carry, p...)
		s.carry = nil
	}
	for len(rest) > 0 {
		if s.state != nil {
			if s.state(s, rest[0]) {
				rest = rest[1:]
			}
			continue
		}
		if rest[0] < utf8.RuneSelf {
			s.ground(rest[0])
			rest = rest[1:]
			continue
		}
		if !utf8.FullRune(rest) {
			s.carry = bytes.Clone(rest)
			break
		}
		r, n := screen.Decode(rest)
		s.rune(r)
		rest = rest[n:]
	}
	if _, err := s.w.Write(s.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes a sign for a cut rune at the end, and tells of a string without
// one. A cut sequence is dropped.
func (s *sanitiser) Close() error {
	s.endString()
	if len(s.carry) == 0 {
		return nil
	}
	s.carry = nil
	_, err := io.WriteString(s.w, "\uFFFD")
	return err
}

// ground handles one byte of ASCII outside sequences.
func (s *sanitiser) ground(b byte) {
	switch {
	case b == 0x1b:
		s.enter((*sanitiser).escape)
	case b >= 0x20 && b < 0x7f:
		gl := s.gl
		if s.single != 0 {
			gl, s.single = s.single, 0
		}
		s.out = utf8.AppendRune(s.out, s.sets[gl].Rune(b))
	default:
		s.control(b)
	}
}

func (s *sanitiser) enter(state func(*sanitiser, byte) bool) {
	s.state, s.seq, s.over = state, s.seq[:0], false
}

// control handles a C0 character, which acts even inside a sequence.
func (s *sanitiser) control(b byte) {
	switch b {
	case '\n', '\r', '\t', '\b':
		s.out = append(s.out, b)
	case '\v', '\f':
		s.out = append(s.out, '\n') // as terminals do
	case 0x0e, 0x0f:
		s.gl = 0x0f - b
	}
}

// rune handles one character beyond ASCII.
func (s *sanitiser) rune(r rune) {
	if r >= 0x80 && r < 0xa0 { // C1
		s.enter((*sanitiser).escape)
		s.escape(byte(r - 0x40))
		return
	}
	s.single = 0
	r, width := screen.Shown(r)
	switch {
	case width < 0:
		return
	case width == 2 && !unicode.IsGraphic(r):
		r = '〓' // newer than the tables of players, which would take it for narrow
	}
	s.out = utf8.AppendRune(s.out, r)
}

// interrupted handles the bytes that end any sequence or string.
func (s *sanitiser) interrupted(b byte) bool {
	switch b {
	case 0x18, 0x1a: // CAN, SUB
		s.state = nil
	case 0x1b:
		s.enter((*sanitiser).escape)
	default:
		return false
	}
	return true
}

// escape handles what follows ESC.
func (s *sanitiser) escape(b byte) bool {
	switch {
	case s.interrupted(b):
	case b < 0x20:
		s.control(b)
	case b < 0x30:
		s.collect(b)
	case b >= 0x7f:
		if b > 0x7f {
			s.state = nil
		}
		return b == 0x7f
	case len(s.seq) > 0: // intermediates came before
		s.state = nil
		if len(s.seq) == 1 {
			s.designate(s.seq[0], b)
		}
	case b == '[':
		s.enter((*sanitiser).csi)
	case b == ']', b == 'P', b == 'X', b == '^', b == '_':
		s.state, s.length, s.osc, s.before = (*sanitiser).str, 0, b == ']', 0
	default:
		s.state = nil
		s.plainEscape(b)
	}
	return true
}

// plainEscape handles ESC and one byte.
func (s *sanitiser) plainEscape(b byte) {
	switch b {
	case '7':
		s.saved[s.alt] = s.shifts
	case '8':
		s.shifts = s.saved[s.alt]
	case 'n', 'o': // LS2, LS3
		s.gl = b - 'n' + 2
		return
	case 'N', 'O': // SS2, SS3
		s.single = b - 'N' + 2
		return
	case 'c':
		s.reset()
		return
	case 'H':
		s.tabs = true
	case 'D', 'E', 'M':
	default:
		return
	}
	s.out = append(s.out, 0x1b, b)
}

// designate handles a character set, or DECALN.
func (s *sanitiser) designate(inter, final byte) {
	switch inter {
	case '#':
		if final == '8' {
			s.out = append(s.out, "\x1b#8"...)
		}
	case '(', ')', '*', '+':
		s.sets[inter-'('] = screen.CharsetOf(final)
	case '-', '.', '/':
		s.sets[inter-'-'+1] = screen.Charset(0)
	}
}

// reset is RIS: what it does on the screen, and nothing of a terminal's settings.
func (s *sanitiser) reset() {
	s.out = append(s.out, "\x1b[?47h\x1b[0m\x1b[2J\x1b[?47l\x1b[!p\x1b[?7h\x1b[20l\x1b[2J\x1b[H\x1b7\x1b[?25h"...)
	if s.tabs {
		s.out = append(s.out, "\x1b[3g"...)
		for x := 9; x <= s.cols; x += 8 {
			s.out = append(strconv.AppendInt(append(s.out, "\x1b["...), int64(x), 10), "G\x1bH"...)
		}
		s.out = append(s.out, '\r')
	}
	s.shifts, s.saved, s.alt, s.tabs = shifts{}, [2]shifts{}, 0, false
}

func (s *sanitiser) collect(b byte) {
	if len(s.seq) == maxSequence {
		s.over = true
		return
	}
	s.seq = append(s.seq, b)
}

// csi handles what follows ESC [.
func (s *sanitiser) csi(b byte) bool {
	switch {
	case s.interrupted(b):
	case b < 0x20:
		s.control(b)
	case b < 0x40:
		s.collect(b)
	case b >= 0x7f:
		if b > 0x7f {
			s.state = nil
		}
		return b == 0x7f
	default:
		s.state = nil
		if !s.over {
			s.dispatch(b)
		}
	}
	return true
}

// str skips a string.
func (s *sanitiser) str(b byte) bool {
	before := s.before
	s.before = b
	switch {
	case b == 0x1b, b == 0x18, b == 0x1a:
		s.endString()
		s.interrupted(b)
		return true
	case b == 0x07 && s.osc, b == 0x9c && before == 0xc2: // ST in UTF-8
		s.endString()
		s.state = nil
		return true
	}
	if s.length++; s.length == 1 {
		s.first = b
	}
	// What the Linux console takes without an end, as package screen has it.
	if s.osc && (s.length == 1 && b == 'R' || s.length == 8 && s.first == 'P') {
		s.state = nil
	}
	return true
}

// endString tells of a string that was long.
func (s *sanitiser) endString() {
	if s.length > maxString && s.skipped != nil {
		s.skipped(s.length)
	}
	s.length = 0
}
