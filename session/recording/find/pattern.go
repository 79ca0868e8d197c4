package find

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Pattern is how Compile reads a pattern.
type Pattern struct {
	Fixed    bool // it is a text, not a regular expression
	FoldCase bool
}

// Compile returns a Query's Match for a pattern: a regular expression as Go's package
// regexp has it, which takes time in proportion to what it looks at, whatever it says.
// A line that doesn't match as it is is looked at as it reads, too: composed, with the
// letters that others are forms of (NFKC: those of full width, ligatures), without what has
// no width, and without marks on letters; one that is no UTF-8 also by its bytes, as what
// they are in Latin-1 and Windows-1252, and as they are shown. The match is where that
// stands in the line.
func (p Pattern) Compile(pattern string) (func(line []byte) []int, error) {
	pattern = norm.NFC.String(asked(pattern))
	match, err := p.compile(pattern)
	if err != nil {
		return nil, err
	}
	forms := letters(pattern)
	as, same := match, forms == pattern
	if !same {
		if as, err = p.compile(forms); err != nil {
			return nil, err
		}
	}
	return orBytes(func(line []byte) []int {
		if m := match(line); m != nil {
			return m
		}
		if plainly(line) {
			if same {
				return nil
			}
			return as(line)
		}
		for _, bare := range []bool{false, true} {
			r := read(line, bare)
			if m := as(r.text); m != nil {
				return []int{r.from[m[0]], r.to(m[1])}
			}
		}
		return nil
	}), nil
}

// letters returns a pattern with the letters and digits that others are forms of; what
// else it has may have a meaning.
func letters(pattern string) string {
	var b strings.Builder
	for _, r := range pattern {
		form := norm.NFKC.String(string(r))
		if strings.ContainsFunc(form, func(c rune) bool { return !unicode.In(c, unicode.L, unicode.N, unicode.M) }) {
			form = string(r)
		}
		b.WriteString(form)
	}
	return b.String()
}

// plainly reports whether a line reads as it is.
func plainly(line []byte) bool { return ascii(line) && bytes.IndexByte(line, 0) < 0 }

// reads is a line as it reads.
type reads struct {
	text []byte
	from []int // where each byte of text, and its end, begins in the line
}

// to is where what ends at a place of the text ends in the line.
func (r reads) to(end int) int {
	for end < len(r.text) && end > 0 && r.from[end] == r.from[end-1] {
		end++ // a character of the line ends as a whole
	}
	return r.from[end]
}

// read makes of a line what its reader sees: composed, in the usual forms, without NUL and what has no
// width, and if bare says so without marks on letters.
func read(line []byte, bare bool) (r reads) {
	for at := 0; at < len(line); {
		n := norm.NFKC.NextBoundary(line[at:], true)
		if n <= 0 {
			n = 1
		}
		piece := line[at : at+n]
		if bare {
			piece = norm.NFKD.Bytes(piece)
		}
		var kept []byte
		for rest := piece; len(rest) > 0; {
			c, size := utf8.DecodeRune(rest)
			if c != 0 && !unicode.In(c, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && !(bare && unicode.Is(unicode.M, c)) {
				kept = append(kept, rest[:size]...)
			}
			rest = rest[size:]
		}
		for _, b := range norm.NFKC.Bytes(kept) {
			r.text, r.from = append(r.text, b), append(r.from, at)
		}
		at += n
	}
	r.from = append(r.from, len(line))
	return r
}

func (p Pattern) compile(pattern string) (func(line []byte) []int, error) {
	expr := pattern
	if p.Fixed {
		expr = regexp.QuoteMeta(pattern)
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	text, whole := re.LiteralPrefix()
	if p.FoldCase {
		if re, err = regexp.Compile("(?i)" + expr); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	switch {
	case !whole || text == "":
		return func(line []byte) []int { return re.FindIndex(line) }, nil
	case !p.FoldCase:
		literal := []byte(text)
		return func(line []byte) []int {
			if i := bytes.Index(line, literal); i >= 0 {
				return []int{i, i + len(literal)}
			}
			return nil
		}, nil
	case !ascii([]byte(text)):
		return func(line []byte) []int { return re.FindIndex(line) }, nil
	}
	literal := []byte(strings.ToLower(text))
	return func(line []byte) []int {
		if !ascii(line) { // some letters beyond ASCII fold to ASCII
			return re.FindIndex(line)
		}
		if i := indexFold(line, literal); i >= 0 {
			return []int{i, i + len(literal)}
		}
		return nil
	}, nil
}

func ascii(b []byte) bool {
	high := uint64(0)
	for ; len(b) >= 8; b = b[8:] {
		high |= binary.LittleEndian.Uint64(b)
	}
	for _, c := range b {
		high |= uint64(c)
	}
	return high&0x8080808080808080 == 0
}

// indexFold is bytes.Index of ASCII, whatever the case of line's letters; those of
// literal are small.
func indexFold(line, literal []byte) int {
	for i := 0; i+len(literal) <= len(line); i++ {
		n := 0
		for n < len(literal) && lower(line[i+n]) == literal[n] {
			n++
		}
		if n == len(literal) {
			return i
		}
	}
	return -1
}

func lower(c byte) byte {
	if c-'A' < 26 {
		return c + 'a' - 'A'
	}
	return c
}
