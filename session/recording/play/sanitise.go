package play

import (
	"bytes"
	"io"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// sanitiser makes recorded output safe to show. A recording is what a target
// or its user chose to print: on an auditor's terminal it could set titles,
// write the clipboard, ask for answers that arrive as typed input, or turn
// text around.
//
// What passes: printable text in UTF-8; CR, LF, TAB and BS; SGR (colours);
// cursor movement; erasing, deleting and inserting of characters and lines.
// Everything else is dropped: OSC, DCS, APC, PM and SOS strings, queries,
// modes, resets, character sets, BEL, C1 in both forms. IND and NEL become the
// LF they act as, RI a cursor-up. Bytes that aren't UTF-8 and bidi controls show
// as U+FFFD, so that a reader sees that something was there. The output is a
// fixed point: sanitising it again changes nothing.
//
// The zero sanitiser isn't usable; call sanitise. It isn't safe for concurrent use.
type sanitiser struct {
	w      io.Writer
	player bool
	state  func(*sanitiser, byte) bool // reports whether it took the byte
	seq    []byte                      // parameters and intermediates of the sequence so far
	over   bool                        // the sequence is longer than any sane one
	length int                         // bytes of the string so far
	osc    bool                        // the string is one that BEL ends
	carry  []byte                      // the start of a rune
	out    []byte
}

const (
	maxSequence = 64      // bytes between CSI and its final byte; SGR with several colours takes 40
	maxDigits   = 5       // of one parameter: repeat counts beyond screens stall terminals
	maxString   = 4 << 10 // bytes of an OSC or DCS until its text is shown after all: an open one must not hide the rest
)

// sanitise returns a writer that passes to w only what is safe on a terminal.
// Close it to write what it still holds; it doesn't close w.
func sanitise(w io.Writer) *sanitiser { return &sanitiser{w: w} }

// sanitiseForPlayer also passes what a program on a full screen needs and an
// emulator handles without effect outside itself: the alternate screen,
// scrolling, the cursor's visibility and line-drawing characters.
func sanitiseForPlayer(w io.Writer) *sanitiser { return &sanitiser{w: w, player: true} }

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
		r, n := utf8.DecodeRune(rest)
		s.rune(r)
		rest = rest[n:]
	}
	if _, err := s.w.Write(s.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes a sign for a cut rune at the end. A cut sequence is dropped.
func (s *sanitiser) Close() error {
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
		s.state = (*sanitiser).escape
		s.seq, s.over = s.seq[:0], false
	case b >= 0x20 && b < 0x7f:
		s.out = append(s.out, b)
	default:
		s.control(b)
	}
}

// control handles a C0 character, which acts even inside a sequence.
func (s *sanitiser) control(b byte) {
	switch b {
	case '\n', '\r', '\t', '\b':
		s.out = append(s.out, b)
	case '\v', '\f':
		s.out = append(s.out, '\n') // as terminals do
	case 0x0e, 0x0f: // SO, SI
		if s.player {
			s.out = append(s.out, b)
		}
	}
}

// rune handles one character beyond ASCII.
func (s *sanitiser) rune(r rune) {
	switch {
	case unicode.IsGraphic(r), unicode.Is(unicode.Co, r), // icons in prompts are private use
		r == 0x200c, r == 0x200d: // joiners, part of scripts and emoji
	case r >= 0x80 && r < 0xa0:
		return // C1
	case r == 0xad, r == 0xfeff:
		return // invisible, and without effect
	default:
		r = utf8.RuneError
	}
	s.out = utf8.AppendRune(s.out, r)
}

// interrupted handles the bytes that end any sequence or string.
func (s *sanitiser) interrupted(b byte) bool {
	switch b {
	case 0x18, 0x1a: // CAN, SUB
		s.state = nil
	case 0x1b:
		s.state = (*sanitiser).escape
		s.seq, s.over = s.seq[:0], false
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
		s.state = nil
		return b == 0x7f
	case len(s.seq) > 0: // intermediates came before
		s.state = nil
		if s.player && !s.over && len(s.seq) == 1 && (s.seq[0] == '(' || s.seq[0] == ')') && (b == '0' || b == 'A' || b == 'B') {
			s.out = append(s.out, 0x1b, s.seq[0], b)
		}
	case b == '[':
		s.state = (*sanitiser).csi
	case b == ']', b == 'P', b == 'X', b == '^', b == '_':
		s.state, s.length, s.osc = (*sanitiser).str, 0, b == ']'
	default:
		s.state = nil
		switch {
		case b == '7', b == '8', s.player && (b == 'D' || b == 'E' || b == 'M' || b == 'H'):
			s.out = append(s.out, 0x1b, b)
		case b == 'D':
			s.out = append(s.out, '\n')
		case b == 'E':
			s.out = append(s.out, '\r', '\n')
		case b == 'M':
			s.out = append(s.out, "\x1b[A"...)
		}
	}
	return true
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
		s.state = nil
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
	switch {
	case s.interrupted(b):
	case b == 0x07 && s.osc:
		s.state = nil
	case s.length == maxString:
		s.state = nil
		return false
	default:
		s.length++
	}
	return true
}

// dispatch passes a CSI sequence on if it is one of those that are safe.
func (s *sanitiser) dispatch(final byte) {
	switch {
	case final == 'm' && numbers(s.seq, true),
		bytes.IndexByte([]byte("ABCDEFGHIZKXP@LM`adef"), final) >= 0 && numbers(s.seq, false),
		// Erasing the scrollback would erase the auditor's.
		final == 'J' && numbers(s.seq, false) && !bytes.ContainsRune(s.seq, '3'),
		(final == 's' || final == 'u') && len(s.seq) == 0,
		s.player && (final == 'r' || final == 'S' || final == 'T') && numbers(s.seq, false):
		s.pass(s.seq, final)
	case s.player && (final == 'h' || final == 'l') && len(s.seq) > 1 && s.seq[0] == '?' && numbers(s.seq[1:], false):
		var keep [][]byte
		for _, m := range bytes.Split(s.seq[1:], []byte(";")) {
			switch n, _ := strconv.Atoi(string(m)); n {
			case 6, 7, 25, 47, 1047, 1048, 1049:
				keep = append(keep, m)
			}
		}
		if len(keep) > 0 {
			s.pass(append([]byte("?"), bytes.Join(keep, []byte(";"))...), final)
		}
	}
}

func (s *sanitiser) pass(seq []byte, final byte) {
	s.out = append(s.out, 0x1b, '[')
	s.out = append(s.out, seq...)
	s.out = append(s.out, final)
}

// numbers reports whether seq is numbers of sane length between semicolons, or
// colons where they are allowed.
func numbers(seq []byte, colon bool) bool {
	digits := 0
	for _, b := range seq {
		switch {
		case b >= '0' && b <= '9':
			if digits++; digits > maxDigits {
				return false
			}
		case b == ';', b == ':' && colon:
			digits = 0
		default:
			return false
		}
	}
	return true
}
