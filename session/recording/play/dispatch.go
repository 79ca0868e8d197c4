package play

import (
	"bytes"
	"strconv"
)

// dispatch passes a CSI sequence on if it is one of those that are safe and
// change the picture.
func (s *sanitiser) dispatch(final byte) {
	prefix, params, inter, ok := parts(s.seq)
	switch {
	case !ok:
	case inter == '!' && final == 'p' && prefix == 0 && len(params) == 0:
		s.shifts, s.saved = shifts{}, [2]shifts{}
		s.pass("!", final)
	case inter != 0:
	case prefix == '?' && (final == 'h' || final == 'l'):
		for _, n := range numbers(params) {
			s.private(n, final)
		}
	case prefix == '?' && (final == 'J' || final == 'K'):
		s.erase(params, final) // nothing is protected from erasing here
	case prefix != 0:
	case final == 'm':
		s.pass(string(params), final)
	case final == 'h' || final == 'l':
		for _, n := range numbers(params) {
			if n == 4 || n == 20 {
				s.pass(strconv.Itoa(n), final)
			}
		}
	case bytes.IndexByte(params, ':') >= 0:
	case final == 'J' || final == 'K':
		s.erase(params, final)
	case final == 's' || final == 'u':
		if final == 's' {
			s.saved[s.alt] = s.shifts
		} else {
			s.shifts = s.saved[s.alt]
		}
		s.pass("", final)
	case final == 'j':
		s.pass(clamped(params), 'D')
	case final == 'k':
		s.pass(clamped(params), 'A')
	case final == 'T' || final == '^':
		if bytes.IndexByte(params, ';') < 0 { // with more it tracks the mouse
			s.pass(clamped(params), 'T')
		}
	case bytes.IndexByte([]byte("ABCDEFGHIZXP@LMS`abdefgr"), final) >= 0:
		s.tabs = s.tabs || final == 'g'
		s.pass(clamped(params), final)
	}
}

// erase passes ED and EL on, but for the scrollback, which would be the
// auditor's.
func (s *sanitiser) erase(params []byte, final byte) {
	switch n := numbers(params)[0]; {
	case len(params) == 0:
		s.pass("", final)
	case n < 3:
		s.pass(strconv.Itoa(n), final)
	}
}

// private passes one DEC mode on, with what it does to the character sets.
func (s *sanitiser) private(n int, final byte) {
	on := final == 'h'
	switch n {
	case 6, 7, 25:
	case 47, 1047, 1048, 1049:
		if n >= 1048 && on {
			s.saved[0] = s.shifts
		}
		if n != 1048 {
			s.alt = 0
			if on {
				s.alt = 1
			}
		}
		if n >= 1048 && !on {
			s.shifts = s.saved[0]
		}
	default:
		return
	}
	s.pass("?"+strconv.Itoa(n), final)
}

func (s *sanitiser) pass(seq string, final byte) {
	s.out = append(s.out, 0x1b, '[')
	s.out = append(s.out, seq...)
	s.out = append(s.out, final)
}

// parts takes what is between CSI and its final byte apart.
func parts(seq []byte) (prefix byte, params []byte, inter byte, ok bool) {
	if len(seq) > 0 && seq[0] >= '<' {
		prefix, seq = seq[0], seq[1:]
	}
	if n := len(seq); n > 0 && seq[n-1] < '0' {
		inter, seq = seq[n-1], seq[:n-1]
	}
	for _, b := range seq {
		if b < '0' || b > ';' {
			return 0, nil, 0, false
		}
	}
	return prefix, seq, inter, true
}

// numbers are the parameters as numbers, at least one; none is 0.
func numbers(params []byte) []int {
	var list []int
	for _, p := range bytes.Split(params, []byte(";")) {
		n, err := strconv.ParseUint(string(p), 10, 16)
		if err != nil && len(p) > 0 {
			n = 1<<16 - 1
		}
		list = append(list, int(n))
	}
	return list
}

// clamped is the parameters with sane numbers.
func clamped(params []byte) string {
	if len(params) == 0 {
		return ""
	}
	var b []byte
	for i, n := range numbers(params) {
		if i > 0 {
			b = append(b, ';')
		}
		b = strconv.AppendInt(b, int64(min(n, maxNumber)), 10)
	}
	return string(b)
}
