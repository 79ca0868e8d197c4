package control

import (
	"bytes"
	"math"
)

// answer is whether something is so.
type answer uint8

const (
	no answer = iota
	yes
	maybe // more of it is needed
)

var (
	outputWord   = []byte("%output ")
	extendedWord = []byte("%extended-output ")
)

// outputOf reports whether a line that begins so is a pane's output, which begins behind
// it: "%output %3 ", or "%extended-output %3 120 : " with whatever else before the colon.
func outputOf(b []byte) (pane uint32, is answer) {
	word, extended := outputWord, false
	if len(b) > 1 && b[1] == 'e' {
		word, extended = extendedWord, true
	}
	if n := min(len(b), len(word)); !bytes.Equal(b[:n], word[:n]) {
		return 0, no
	} else if n < len(word) {
		return 0, maybe
	}
	b = b[len(word):]
	end := bytes.IndexByte(b, ' ')
	if end < 0 {
		if len(b) > 0 && (b[0] != '%' || len(b) > 1 && !digits(b[1:])) {
			return 0, no
		}
		return 0, maybe
	}
	pane, ok := id(b[:end], '%')
	switch {
	case !ok:
		return 0, no
	case !extended || bytes.HasSuffix(b, []byte(" : ")):
		return pane, yes
	}
	return 0, maybe
}

// guard is what begins and ends an answer: seconds since 1970, a number, and flags of
// which 1 says that it is for who reads.
type guard struct{ time, number, flags uint32 }

// before reports whether tmux writes another one later.
func (g guard) before(other guard) bool { return g.number < other.number && g.time <= other.time }

// guardOf reads a line that begins or ends an answer.
func guardOf(line []byte) (g guard, kind string, ok bool) {
	var fields [5][]byte
	n := 0
	for f := range bytes.SplitSeq(line, []byte(" ")) {
		if n == len(fields) {
			return g, "", false
		}
		fields[n] = f
		n++
	}
	switch kind = string(fields[0]); kind {
	case "%begin", "%end", "%error":
	default:
		return g, "", false
	}
	if n != 4 {
		return g, "", false
	}
	numbers := [...]*uint32{&g.time, &g.number, &g.flags}
	for i, v := range numbers {
		if *v, ok = number(fields[i+1]); !ok {
			return g, "", false
		}
	}
	return g, kind, true
}

// id reads what tmux calls a pane (%3), a window (@3) or a session ($3).
func id(b []byte, sign byte) (uint32, bool) {
	if len(b) == 0 || b[0] != sign {
		return 0, false
	}
	return number(b[1:])
}

func number(b []byte) (uint32, bool) {
	n := uint64(0)
	if len(b) == 0 || len(b) > 10 || !digits(b) {
		return 0, false
	}
	for _, c := range b {
		n = 10*n + uint64(c-'0')
	}
	return uint32(n & math.MaxUint32), n <= math.MaxUint32
}

func digits(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

// Bare reports whether a line of a control string, as it is told, is control mode's and
// says nothing but numbers: what begins and ends an answer, and layouts.
func Bare(line []byte) bool {
	line = bytes.TrimPrefix(line, intro[2:])
	if _, _, ok := guardOf(line); ok {
		return true
	}
	word, rest, _ := bytes.Cut(line, []byte(" "))
	if window, rest, ok := bytes.Cut(rest, []byte(" ")); ok && string(word) == "%layout-change" {
		_, is := id(window, '@')
		return is && len(bytes.Trim(rest, "0123456789abcdefx,{}[]*-~Z ")) == 0
	}
	return false
}
