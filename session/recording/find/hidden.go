package find

import (
	"bytes"
	"slices"
	"strings"
)

const (
	maxHidden = 64 << 10 // bytes of what was hidden, of one channel; the oldest go
	leastPart = 3        // bytes of hidden text that make a match that has more hidden, too
	maxParams = 64       // bytes of a control sequence that are looked at
)

// hidden collects what a program wrote so that terminals don't show it: concealed (SGR 8),
// or in the colour of its background. It knows what was written, and not where: whoever
// finds the same words may find those that were shown. The zero hidden has none; it isn't
// safe for concurrent use.
type hidden struct {
	state  byte // what came last: 0, ESC, '[' in a sequence
	params []byte
	sgr    look
	run    []byte
	runs   []string
	size   int
}

// look is what of SGR hides text: colours are numbers, 0 the terminal's own.
type look struct {
	concealed bool
	fg, bg    int
}

func (l look) hides() bool { return l.concealed || l.fg == l.bg && l.fg != 0 }

// write takes output.
func (h *hidden) write(b []byte) {
	for len(b) > 0 {
		if h.state == 0 {
			i := bytes.IndexByte(b, 0x1b)
			if i < 0 {
				i = len(b)
			}
			if h.sgr.hides() {
				h.shows(b[:i])
			}
			if b = b[i:]; len(b) > 0 {
				h.state, b = 0x1b, b[1:]
			}
			continue
		}
		c := b[0]
		b = b[1:]
		switch {
		case h.state == 0x1b && c == '[':
			h.state, h.params = '[', h.params[:0]
		case h.state == 0x1b:
			if h.state = 0; c == 'c' { // RIS
				h.set(look{})
			}
		case c == 0x1b:
			h.state = 0x1b
		case c == 0x18, c == 0x1a: // CAN, SUB
			h.state = 0
		case c >= 0x40:
			if h.state = 0; c == 'm' && len(h.params) <= maxParams {
				h.set(h.sgr.with(h.params))
			}
		case len(h.params) <= maxParams:
			h.params = append(h.params, c)
		}
	}
}

// shows takes text that is hidden.
func (h *hidden) shows(b []byte) {
	for _, c := range b {
		switch {
		case c == '\r' || c == '\n':
			h.end()
		case c >= ' ' && len(h.run) < maxHidden:
			h.run = append(h.run, c)
		}
	}
}

// set puts another look in force.
func (h *hidden) set(l look) {
	if h.sgr = l; !l.hides() {
		h.end()
	}
}

// end ends a piece of hidden text.
func (h *hidden) end() {
	if text := strings.TrimSpace(string(h.run)); text != "" && !slices.Contains(h.runs[max(0, len(h.runs)-16):], text) {
		h.runs = append(h.runs, text)
		for h.size += len(text); h.size > maxHidden; h.runs = h.runs[1:] {
			h.size -= len(h.runs[0])
		}
	}
	h.run = h.run[:0]
}

// has reports whether what matched was hidden, or a part of it.
func (h *hidden) has(match string) bool {
	if match = strings.TrimSpace(match); match == "" {
		return false
	}
	for _, run := range append(h.runs[:len(h.runs):len(h.runs)], string(h.run)) {
		if strings.Contains(run, match) || len(run) >= leastPart && strings.Contains(match, run) {
			return true
		}
	}
	return false
}

// with is the look after an SGR with these parameters. ECMA-48 §8.3.117; xterm's control
// sequences for colours of more than one number.
func (l look) with(params []byte) look {
	if len(params) > 0 && params[0] >= '<' { // a private one
		return l
	}
	var some [maxParams + 1]int
	all := numbers(some[:0], params)
	for i := 0; i < len(all); i++ {
		switch n := all[i]; {
		case n == 0:
			l = look{}
		case n == 8:
			l.concealed = true
		case n == 28:
			l.concealed = false
		case n >= 30 && n <= 37:
			l.fg = n - 30 + 1
		case n >= 40 && n <= 47:
			l.bg = n - 40 + 1
		case n >= 90 && n <= 97:
			l.fg = n - 90 + 9
		case n >= 100 && n <= 107:
			l.bg = n - 100 + 9
		case n == 39:
			l.fg = 0
		case n == 49:
			l.bg = 0
		case n == 38 || n == 48 || n == 58:
			color, used := extended(all[i+1:])
			if i += used; n == 38 {
				l.fg = color
			} else if n == 48 {
				l.bg = color
			}
		}
	}
	return l
}

// extended is the colour behind 38 and 48, and how many numbers say it.
func extended(rest []int) (color, used int) {
	switch {
	case len(rest) >= 2 && rest[0] == 5:
		return rest[1]&0xff + 1, 2
	case len(rest) >= 4 && rest[0] == 2:
		return 1<<24 | rest[1]&0xff<<16 | rest[2]&0xff<<8 | rest[3]&0xff, 4
	}
	return 0, len(rest)
}

// numbers appends a sequence's parameters to all; what is empty is 0. A colour in colons
// (38:2::r:g:b) has an empty number in front of its three.
func numbers(all []int, params []byte) []int {
	group, n := len(all), 0 // where the group's numbers begin; the number under way
	begun, two := 0, false  // where that stands; the group's second one is a plain 2
	for i := 0; i <= len(params); i++ {
		c := byte(';')
		if i < len(params) {
			c = params[i]
		}
		switch {
		case c >= '0' && c <= '9' && n < 1<<16:
			n = 10*n + int(c-'0')
		case c == ':' || c == ';':
			if len(all)-group == 1 {
				two = string(params[begun:i]) == "2"
			}
			all, n, begun = append(all, n), 0, i+1
			if c == ';' {
				if len(all)-group == 6 && two {
					all = slices.Delete(all, group+2, group+3)
				}
				group, two = len(all), false
			}
		}
	}
	return all
}
