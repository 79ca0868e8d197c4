package find

import (
	"fmt"
	"unicode/utf8"
)

// windows1252 are the characters of bytes from 0x80 to 0x9f there, where the character
// set is ISO 8859-1 else; the bytes that have none stay controls.
var windows1252 = []rune("€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ")

// western is a byte as character of ISO 8859-1 or Windows-1252.
func western(b byte, windows bool) rune {
	if windows && b >= 0x80 && b < 0xa0 {
		return windows1252[b-0x80]
	}
	return rune(b)
}

// spelling is a way to read a line that is no UTF-8.
type spelling struct {
	all     bool // in which every byte is a character, not only those that are no UTF-8
	windows bool
	escaped bool // in which what is no UTF-8 is \xe5, as readers are shown it
}

// spellings are the ways in which such a line is looked at, and their order. What else a
// site may use (KOI8, ISO 8859-2, …) is found by its bytes, of which ISO 8859-1 has a
// character for each.
var spellings = []spelling{{}, {windows: true}, {all: true}, {all: true, windows: true}, {escaped: true}}

// spell reads a line so. What it returns is UTF-8.
func (s spelling) spell(line []byte) (r reads) {
	for at := 0; at < len(line); {
		c, n := utf8.DecodeRune(line[at:])
		piece := line[at : at+n]
		switch bad := c == utf8.RuneError && n == 1; {
		case bad && s.escaped:
			piece = fmt.Appendf(nil, `\x%02x`, line[at])
		case bad, s.all && c >= utf8.RuneSelf:
			n = 1
			piece = utf8.AppendRune(nil, western(line[at], s.windows))
		}
		for range piece {
			r.from = append(r.from, at)
		}
		r.text = append(r.text, piece...)
		at += n
	}
	r.from = append(r.from, len(line))
	return r
}

// orBytes is a match that looks at a line that is no UTF-8 also as what it may be.
func orBytes(match func(line []byte) []int) func(line []byte) []int {
	return func(line []byte) []int {
		m := match(line)
		if m != nil || utf8.Valid(line) {
			return m
		}
		for _, s := range spellings {
			r := s.spell(line)
			if m := match(r.text); m != nil {
				return []int{r.from[m[0]], r.to(m[1])}
			}
		}
		return nil
	}
}

// asked is a pattern as UTF-8: bytes of another character set stand for themselves.
func asked(pattern string) string {
	if utf8.ValidString(pattern) {
		return pattern
	}
	return string(spelling{all: true}.spell([]byte(pattern)).text)
}
