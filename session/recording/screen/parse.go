package screen

import (
	"slices"
	"unicode/utf8"
)

// state is where in a sequence the parser is.
type state uint8

const (
	ground  state = iota
	escape        // after ESC, with its intermediates
	control       // after CSI
	str           // in OSC, DCS, APC, PM or SOS
)

const (
	maxParams = 64 // of one CSI; more than 30 are more than xterm keeps

	// fewest and fewestBytes are how many parameters tmux doesn't take any more, and how
	// many bytes of them it takes. Source: its input.c.
	fewest, fewestBytes = 24, 63
)

// parser takes output apart.
//
// Source: https://vt100.net/emu/dec_ansi_parser, with strings that BEL ends if
// they are OSC, and C1 controls in UTF-8.
type parser struct {
	state  state
	params [maxParams]uint16
	colon  [maxParams]bool // the parameter continues the one before it
	set    [maxParams]bool // the parameter isn't left out
	n      int             // parameters begun, at least 1 in control
	prefix byte            // one of < = > ? before the parameters
	inter  [2]byte
	inters int
	bad    bool // no sequence that does something looks so
	osc    bool
	before byte // the byte before, in a string
	first  byte // of an OSC
	utf8   bool // CSI came as U+009B, which many terminals don't take for it
	bytes  int  // of the parameters
	length int  // bytes of the string, up to 8
	carry  [utf8.UTFMax]byte
	held   int // bytes in carry: the start of a character
}

// Write carries out what a program wrote. It never fails.
func (t *Terminal) Write(b []byte) {
	p := &t.parser
	for len(b) > 0 {
		switch p.state {
		case ground:
			b = t.ground(b)
		case str:
			b = t.skip(b)
		default:
			b = t.sequence(b)
		}
	}
}

// ground handles what isn't in a sequence and returns the rest.
func (t *Terminal) ground(b []byte) []byte {
	p := &t.parser
	if p.held > 0 {
		return t.heldRune(b)
	}
	n := 0
	for n < len(b) && b[n]-0x20 < 0x5f {
		n++
	}
	if n > 0 {
		t.ascii(b[:n])
		return b[n:]
	}
	switch c := b[0]; {
	case c == 0x1b:
		p.enter(escape)
	case c < utf8.RuneSelf:
		t.c0(c)
	case utf8.FullRune(b):
		r, size := Decode(b)
		t.rune(r, b[:size])
		return b[size:]
	default:
		p.held = copy(p.carry[:], b)
		return nil
	}
	return b[1:]
}

// Decode is utf8.DecodeRune, but that the start of a character counts once.
func Decode(b []byte) (rune, int) {
	r, size := utf8.DecodeRune(b)
	if r == utf8.RuneError && size == 1 {
		for size < len(b) && !utf8.FullRune(b[:size+1]) {
			size++
		}
	}
	return r, size
}

// heldRune goes on with a character whose start came before.
func (t *Terminal) heldRune(b []byte) []byte {
	p := &t.parser
	for len(b) > 0 && !utf8.FullRune(p.carry[:p.held]) {
		if b[0]&0xc0 != 0x80 {
			break
		}
		p.carry[p.held] = b[0]
		p.held++
		b = b[1:]
	}
	if len(b) == 0 && !utf8.FullRune(p.carry[:p.held]) {
		return nil
	}
	held := p.carry[:p.held]
	p.held = 0
	for len(held) > 0 {
		r, size := Decode(held)
		t.rune(r, held[:size])
		held = held[size:]
	}
	return b
}

// rune handles a character beyond ASCII, which came as b, or what is none in UTF-8.
func (t *Terminal) rune(r rune, b []byte) {
	if r >= 0x80 && r < 0xa0 {
		t.doubtful()
		t.c1(byte(r))
		t.astray = column | level
		t.parser.utf8 = r == 0x9b
		return
	}
	t.singleGL = 0
	if r == utf8.RuneError && string(b) != string(utf8.RuneError) {
		t.otherwise(b)
		return
	}
	t.put(r)
}

func (p *parser) enter(s state) {
	p.state, p.n, p.prefix, p.inters, p.bad = s, 0, 0, 0, false
	p.before, p.length, p.utf8, p.bytes = 0, 0, false, 0
	if s == control {
		p.n = 1
		p.params[0], p.colon[0], p.set[0] = 0, false, false
	}
}

// c1 carries out a C1 control.
func (t *Terminal) c1(c byte) {
	p := &t.parser
	p.state = ground
	switch c {
	case 0x84: // IND
		t.unpend()
		t.index(false)
	case 0x85: // NEL
		t.lineFeed()
		t.toColumn(0)
	case 0x88: // HTS
		t.tabs[t.x] = true
	case 0x8d: // RI
		t.reverseIndex()
	case 0x8e, 0x8f: // SS2, SS3
		t.singleGL = c - 0x8c
	case 0x9b:
		p.enter(control)
	case 0x90, 0x98, 0x9d, 0x9e, 0x9f: // DCS, SOS, OSC, PM, APC
		p.enter(str)
		p.osc = c == 0x9d
	}
}

// c0 carries out a C0 control, which acts even inside a sequence.
func (t *Terminal) c0(c byte) {
	switch c {
	case '\b':
		if t.x == 0 && t.y > 0 {
			t.strays(column | level) // in tmux it goes up where the row above was wrapped
		}
		t.byColumns(-1)
	case '\t':
		t.tab(1)
	case '\n', '\v', '\f':
		t.lineFeed()
	case '\r':
		t.toColumn(0)
	case 0x0e:
		t.gl = 1
	case 0x0f:
		t.gl = 0
	}
}

// interrupted handles the bytes that end any sequence.
func (t *Terminal) interrupted(c byte) bool {
	switch c {
	case 0x18, 0x1a: // CAN, SUB
		t.parser.state = ground
	case 0x1b:
		t.parser.enter(escape)
	default:
		return false
	}
	return true
}

// skip goes over a string and returns what follows it.
func (t *Terminal) skip(b []byte) []byte {
	rest := t.skipped(b)
	if t.log != nil {
		t.log.concealed(b[:len(b)-len(rest)], t.parser.osc, t.parser.state != str)
	}
	if t.typed != nil && t.parser.osc {
		t.typed.osc(b[:len(b)-len(rest)], t.parser.state != str)
	}
	return rest
}

func (t *Terminal) skipped(b []byte) []byte {
	p := &t.parser
	for i, c := range b {
		before := p.before
		p.before = c
		switch {
		case c < 0x20:
			if t.interrupted(c) { // ESC \ ends in escape, where ST does nothing
				return b[i+1:]
			}
			if c == 0x07 && p.osc {
				p.state = ground
				return b[i+1:]
			}
		case c == 0x9c && before == 0xc2: // ST in UTF-8
			t.doubtful()
			p.state = ground
			return b[i+1:]
		}
		if p.osc && p.length < 8 && t.linuxPalette(c) {
			t.doubtful()
			p.state = ground
			return b[i+1:]
		}
	}
	return nil
}

// linuxPalette reports whether c ends one of the two OSC that the Linux console
// takes without an end, and that xterm therefore ends, too: R, and P with seven
// digits. Source: console_codes(4); brokenLinuxOSC in xterm(1).
func (t *Terminal) linuxPalette(c byte) bool {
	p := &t.parser
	p.length++
	if p.length == 1 {
		p.first = c
	}
	switch p.first {
	case 'R':
		return p.length == 1
	case 'P':
		return p.length == 8
	}
	return false
}

// sequence handles bytes inside ESC or CSI up to its end and returns the rest.
func (t *Terminal) sequence(b []byte) []byte {
	seen := t.parser.utf8
	rest := t.sequenced(b)
	if seen {
		t.shownElsewhere(b[:len(b)-len(rest)])
		t.astray = column | level
	}
	return rest
}

func (t *Terminal) sequenced(b []byte) []byte {
	p := &t.parser
	for i, c := range b {
		switch {
		case c >= utf8.RuneSelf: // nothing of a sequence: it is dropped
			p.state = ground
			t.doubtful()
			return b[i:]
		case c < 0x20:
			if !t.interrupted(c) {
				t.c0(c)
			} else if p.state == ground {
				return b[i+1:]
			}
		case c == 0x7f:
		case c < 0x30:
			if p.inters == len(p.inter) {
				p.bad = true
				continue
			}
			p.inter[p.inters] = c
			p.inters++
		case p.state == control && c < 0x40:
			p.param(c)
		case p.state == control:
			p.state = ground
			if p.bad || c != 'm' && p.long() {
				t.doubtful()
			} else {
				t.csi(c)
			}
			return b[i+1:]
		default:
			p.state = ground
			if !p.bad {
				t.esc(c)
			}
			return b[i+1:]
		}
	}
	return nil
}

// param handles a byte between CSI and its end.
func (p *parser) param(c byte) {
	i := p.n - 1
	p.bytes++
	switch {
	case p.inters > 0:
		p.bad = true
	case c >= '<':
		if p.n > 1 || p.set[0] || p.prefix != 0 {
			p.bad = true
		}
		p.prefix = c
	case c >= ':':
		if p.n > maxParams {
			return
		}
		if p.n++; p.n <= maxParams {
			p.params[i+1], p.set[i+1], p.colon[i+1] = 0, false, c == ':'
		}
	case i < maxParams:
		p.params[i] = uint16(min(uint32(p.params[i])*10+uint32(c-'0'), 1<<16-1))
		p.set[i] = true
	}
}

// long reports whether there are more parameters than all terminals take, or parts of
// parameters, which none but SGR has: tmux and others leave the sequence alone then.
func (p *parser) long() bool {
	return p.n >= fewest || p.bytes > fewestBytes || slices.Contains(p.colon[:p.given()], true)
}

// count returns parameter i, or other if it is left out or 0.
func (p *parser) count(i, other int) int {
	if i < p.given() && p.params[i] != 0 {
		return int(p.params[i])
	}
	return other
}

// value returns parameter i, 0 if it is left out.
func (p *parser) value(i int) int { return p.count(i, 0) }

func (p *parser) given() int { return min(p.n, maxParams) }
