package find

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Pattern is how Compile reads a pattern.
type Pattern struct {
	Fixed    bool // it is a text, not a regular expression
	FoldCase bool
}

// Compile returns a Query's Match for a pattern: a regular expression as Go's package
// regexp has it, which takes time in proportion to what it looks at, whatever it says.
func (p Pattern) Compile(pattern string) (func(line []byte) []int, error) {
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
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
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
