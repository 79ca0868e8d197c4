package screen

import (
	"unicode"

	"golang.org/x/text/width"
)

// Width returns how many columns a terminal gives a character: 2, 1, or 0 for
// what combines with the character before it or can't be seen.
//
// Source: Unicode's East Asian Width and general categories, as wcwidth(3) of
// the GNU C library makes columns of them.
func Width(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case r >= 0x1160 && r <= 0x11ff, r >= 0xd7b0 && r <= 0xd7ff:
		return 0 // the vowels and finals of a Hangul syllable, which its first letter shows
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Zl, unicode.Zp):
		return 0
	case emoji(r):
		return 2
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// emoji reports whether r stands in a block where characters are still added,
// all of them wide: tables that are older than the recording's user would take
// those for narrow.
func emoji(r rune) bool {
	return r >= 0x1f900 && r <= 0x1f9ff || r >= 0x1fa70 && r <= 0x1faff
}

// Shown returns the character that stands for r on the screen, and its width. A
// width below zero means that r leaves no trace.
func Shown(r rune) (rune, int) {
	switch {
	case r == 0xad:
		return '-', 1 // a soft hyphen, which terminals show
	case r == 0x200c, r == 0x200d, r >= 0xfe00 && r <= 0xfe0f:
		return r, 0 // joiners and variants, part of scripts and emoji
	case r >= 0xd800 && r < 0xe000, r&0xfffe == 0xfffe, r >= 0xfdd0 && r < 0xfdf0, r > unicode.MaxRune:
		return unicode.ReplacementChar, 1
	case r >= 0x300 && unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp), r >= 0xe0000 && r < 0xe1000:
		return r, -1
	}
	return r, Width(r)
}

// Ranges of characters that have another width on terminals with older or newer tables, or
// that draw them otherwise: emoji, and flags, which are one character or two; hexagrams and
// Tai Xuan Jing symbols, which Unicode 16 made wide; joiners and variants.
var unsteady = [...][2]rune{{0x200c, 0x200d}, {0x2630, 0x2637}, {0x268a, 0x268f}, {0x4dc0, 0x4dff}, {0xfe00, 0xfe0f}, {0x1d300, 0x1d376}, {0x1f000, 0x1faff}}

// steady reports whether all terminals give a character the width n. They don't where it
// leaves no trace here, as Arabic's number signs, which Debian's tmux shows; nor where it is
// part of another one: vowels of Hangul, and those of Indic scripts that have a place.
func steady(r rune, n int) bool {
	if r < 0x300 || n < 0 {
		return n >= 0
	}
	for _, u := range unsteady {
		if r >= u[0] && r <= u[1] {
			return false
		}
	}
	return !(r >= 0x1160 && r <= 0x11ff || r >= 0xd7b0 && r <= 0xd7ff || unicode.Is(unicode.Mc, r))
}

// widths remembers what Shown and steady said.
type widths [256]struct {
	from, to rune
	width    int8
	steady   bool
}

func (w *widths) shown(r rune) (to rune, n int, sure bool) {
	e := &w[r&0xff]
	if e.from != r {
		to, n := Shown(r)
		e.from, e.to, e.width, e.steady = r, to, int8(n), steady(r, n)
	}
	return e.to, int(e.width), e.steady
}
