package control

import "bytes"

const (
	maxHead = 256      // bytes of a line until it is known what it is; what stands before output has fewer
	maxLine = 64 << 10 // bytes of any other line that is looked at; a layout of a hundred panes has 3 KiB
)

// intro begins the control string in which -CC speaks.
var intro = []byte("\x1bP1000p")

// sink hears of what a parser finds. What it gets is valid until it returns.
type sink interface {
	around(b []byte)              // bytes as they came, which are no pane's output
	output(pane uint32, b []byte) // what a pane's program wrote, whole or a piece of it
	notified(line []byte)         // a line that begins with %, without its end
	answered(line []byte)         // a line of an answer
	other()                       // of control mode's lines one that is neither
	left()                        // control mode ends
}

// place is where in a line the parser is.
type place uint8

const (
	atHead place = iota // it isn't known what the line is
	atData              // in a pane's output
	atRest              // in any other line
)

// parser takes what a program wrote apart. The zero parser, but for its sink, is at the
// start.
type parser struct {
	sink  sink
	str   bool // in -CC's control string
	lines bool // in -C's lines, with nothing around them

	place   place
	line    []byte // what there is of it
	long    bool   // it has more
	matched int    // bytes of intro
	esc     bool   // ESC came last
	osc     bool   // an OSC is open, as in what capture-pane answers

	block guard // that is open; number 0 is none
	in    bool

	pane  uint32
	octal int // digits of an escape that came; -1 is none
	value byte
	data  []byte // decoded
}

func (p *parser) on() bool { return p.str || p.lines }

func (p *parser) write(b []byte) {
	for len(b) > 0 {
		switch {
		case p.on() && p.place == atHead:
			b = p.head(b)
		case p.on() && p.place == atData:
			b = p.output(b)
		default:
			b = p.rest(b)
		}
	}
}

// newLine is at the start of a line.
func (p *parser) newLine() { p.place, p.line, p.long = atHead, p.line[:0], false }

// enter begins control mode.
func (p *parser) enter(str bool) {
	if p.on() {
		p.sink.left() // it was cut off
	}
	p.str, p.lines, p.in, p.osc, p.esc, p.matched = str, !str, false, false, false, 0
	p.newLine()
}

// leave ends it.
func (p *parser) leave() {
	p.str, p.lines, p.in = false, false, false
	p.place = atRest
	p.sink.left()
}

// head goes on with a line of which it isn't known what it is.
func (p *parser) head(b []byte) []byte {
	for i, c := range b {
		if c == '\n' || c == 0x1b || len(p.line) == maxHead {
			b = b[i:]
			p.other()
			return b
		}
		p.line = append(p.line, c)
		switch pane, is := outputOf(p.line); {
		case is == yes && !p.in:
			if !p.str {
				p.sink.around(p.line)
			}
			p.place, p.pane, p.octal = atData, pane, -1
			return b[i+1:]
		case is != maybe || p.in:
			p.other()
			return b[i+1:]
		}
	}
	return nil
}

// other knows that a line is no output.
func (p *parser) other() {
	p.sink.around(p.line)
	p.place = atRest
}

// rest passes on what is around panes: of control mode up to the end of a line.
func (p *parser) rest(b []byte) []byte {
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != 0x1b && c != '\n' && p.matched == 0 && !p.esc && !p.osc {
			n := bytes.IndexAny(b[i:], "\x1b\n")
			if n < 0 {
				n = len(b) - i
			}
			p.keep(b[i : i+n])
			i += n - 1
			continue
		}
		if p.matched++; c != intro[p.matched-1] {
			p.matched = 0
			if c == 0x1b {
				p.matched = 1
			}
		}
		switch {
		case p.matched == len(intro):
			p.sink.around(b[:i+1])
			p.enter(true)
			return b[i+1:]
		case c == '\n':
			p.esc, p.osc = false, false
			was := p.on()
			p.endLine()
			if !was && !p.on() {
				continue // what comes at once goes on at once
			}
			p.sink.around(b[:i+1])
			return b[i+1:]
		case c == 0x1b:
			p.esc = true
			p.keep(b[i : i+1])
			continue
		case c == '\\' && p.esc && p.osc, c == 7:
			p.osc = false
		case c == '\\' && p.esc && p.str:
			p.esc = false
			p.sink.around(b[:i+1])
			p.leave()
			return b[i+1:]
		case p.esc && c == ']':
			p.osc = true
		}
		p.esc = false
		p.keep(b[i : i+1])
	}
	p.sink.around(b)
	return nil
}

// keep keeps what a line has, where it may be wanted.
func (p *parser) keep(b []byte) {
	n := maxHead
	if p.on() {
		n = maxLine
	}
	if n = min(len(b), n-len(p.line)); n < len(b) {
		p.long = true
	}
	p.line = append(p.line, b[:n]...)
}

// endLine has a whole line, which isn't output.
func (p *parser) endLine() {
	line := bytes.TrimSuffix(p.line, []byte("\r"))
	g, kind, ok := guardOf(line)
	ok = ok && !p.long
	switch {
	case !p.on():
		if ok && kind == "%begin" {
			p.enter(false)
			p.block, p.in = g, true
		} else {
			p.line, p.long = p.line[:0], false
		}
		return
	case ok && kind == "%begin" && (!p.in || p.block.before(g)):
		p.block, p.in = g, true
	case p.in && ok && kind != "%begin" && g == p.block:
		p.in = false
	case p.in:
		p.sink.answered(line)
	case bytes.HasPrefix(line, []byte("%")) && !p.long:
		p.sink.notified(line)
		if exits(line) && !p.str {
			p.leave() // of -CC the control string ends
			p.line, p.long = p.line[:0], false
			return
		}
	default:
		p.sink.other()
	}
	p.newLine()
}

// exits reports whether tmux ends control mode with this line.
func exits(line []byte) bool {
	return string(line) == "%exit" || bytes.HasPrefix(line, []byte("%exit "))
}

// output goes on with a pane's output.
func (p *parser) output(b []byte) []byte {
	p.data = p.data[:0]
	i := 0
	for ; i < len(b); i++ {
		c := b[i]
		if p.octal >= 0 {
			if p.octal < 3 && c-'0' < 8 {
				if p.value = p.value<<3 | (c - '0'); p.octal == 2 {
					p.data = append(p.data, p.value)
					p.octal = -2
				}
				p.octal++
				continue
			}
			p.undoOctal()
		}
		switch {
		case c == '\\':
			p.octal, p.value = 0, 0
			continue
		case c == '\n', c == 0x1b: // which tmux writes as an escape
			p.place = atRest
		case c == '\r': // of the line's end
			continue
		default:
			p.data = append(p.data, c)
			continue
		}
		break
	}
	if len(p.data) > 0 {
		p.sink.output(p.pane, p.data)
	}
	end := p.place == atRest
	if !end {
		p.passed(b)
		return nil
	}
	if b[i] == '\n' {
		p.newLine()
		i++
	} else {
		p.line, p.long = p.line[:0], true
	}
	p.passed(b[:i])
	return b[i:]
}

// passed has output as it came, which without a control string is on the terminal.
func (p *parser) passed(b []byte) {
	if !p.str {
		p.sink.around(b)
	}
}

// undoOctal takes what began as an escape and isn't one as it came.
func (p *parser) undoOctal() {
	p.data = append(p.data, '\\')
	for n := p.octal - 1; n >= 0; n-- {
		p.data = append(p.data, '0'+p.value>>(3*n)&7)
	}
	p.octal = -1
}
