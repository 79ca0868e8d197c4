package screen

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Color is a foreground or background: the terminal's own, one of 256, or a
// true colour. The zero Color is the terminal's own.
type Color uint32

const (
	indexed   Color = 1 << 24
	trueColor Color = 2 << 24
)

// Attr are the attributes of a cell beside its colours.
type Attr uint16

// The attributes of ECMA-48 and xterm that change how a character looks.
const (
	Bold Attr = 1 << iota
	Faint
	Italic
	Underline
	Blink
	Inverse
	Hidden
	Strike
	Overline
	DoubleUnderline
	wide // the left half of a wide character
	tail // the right half
)

const looks = Bold | Faint | Italic | Underline | Blink | Inverse | Hidden | Strike | Overline | DoubleUnderline

// Style is how a character looks. The zero Style is the terminal's own.
type Style struct {
	FG, BG Color
	Attr   Attr
}

// Hides reports whether a character that looks so isn't shown: it is concealed, or has the
// colour of its background, if that isn't the terminal's own.
func (s Style) Hides() bool { return s.Attr&Hidden != 0 || s.FG == s.BG && s.FG != 0 }

// Cell is one place of the screen. The zero Cell is blank.
type Cell struct {
	glyph  uint32 // a character, or cluster and a number; 0 where nothing was written
	fg, bg Color
	attr   Attr
}

// cluster marks the glyph that is a number in Terminal.clusters: a character
// with combining ones.
const cluster = 1 << 24

// Style returns how the cell looks.
func (c Cell) Style() Style { return Style{c.fg, c.bg, c.attr & looks} }

// Width returns how many columns the cell's character takes: 0 for the right
// half of a wide one.
func (c Cell) Width() int {
	switch {
	case c.attr&wide != 0:
		return 2
	case c.attr&tail != 0:
		return 0
	}
	return 1
}

// blank reports whether the cell shows no character.
func (c Cell) blank() bool { return c.glyph == 0 || c.glyph == ' ' }

// AppendSGR appends to b the sequence that makes a terminal write in this style,
// whatever it wrote in before. It is nothing but SGR.
func (s Style) AppendSGR(b []byte) []byte {
	b = append(b, "\x1b[0"...)
	for i, code := range [...]string{"1", "2", "3", "4", "5", "7", "8", "9", "53", "21"} {
		if s.Attr&(1<<i) != 0 {
			b = append(append(b, ';'), code...)
		}
	}
	b = appendColor(b, s.FG, 30, 90)
	b = appendColor(b, s.BG, 40, 100)
	return append(b, 'm')
}

func appendColor(b []byte, c Color, base, bright int) []byte {
	n := int(c & 0xffffff)
	switch {
	case c&trueColor != 0:
		for i, v := range [...]int{base + 8, 2, n >> 16, n >> 8 & 0xff, n & 0xff} {
			b = append(b, ';')
			if i == 0 {
				v = base + 8
			}
			b = strconv.AppendInt(b, int64(v), 10)
		}
	case c&indexed != 0 && n < 8:
		b = strconv.AppendInt(append(b, ';'), int64(base+n), 10)
	case c&indexed != 0 && n < 16:
		b = strconv.AppendInt(append(b, ';'), int64(bright+n-8), 10)
	case c&indexed != 0:
		b = strconv.AppendInt(append(b, ';'), int64(base+8), 10)
		b = strconv.AppendInt(append(b, ";5;"...), int64(n), 10)
	}
	return b
}

// clusters are the characters with combining ones that cells refer to.
type clusters struct {
	text    []string
	letters []uint32 // of each, which letter it is, as letter has it
	index   map[string]uint32
	forms   [256]struct {
		r      rune
		letter uint32
	} // what letter found last
}

const (
	maxCluster  = 32      // bytes; more marks on one character can't be told apart
	maxClusters = 1 << 16 // different ones on a screen and its scrollback
)

// of returns the text of a glyph.
func (c *clusters) of(glyph uint32) string {
	switch {
	case glyph == 0:
		return " "
	case glyph == softHyphen:
		return "-"
	case glyph < cluster:
		return string(rune(glyph))
	}
	return c.text[glyph-cluster]
}

// add returns the glyph that is a character with one more mark, or the glyph
// itself if that is too much.
func (c *clusters) add(glyph uint32, mark rune) uint32 {
	text := c.of(glyph) + string(mark)
	if at, ok := c.index[text]; ok {
		return at
	}
	if len(text) > maxCluster || len(c.text) >= maxClusters {
		return glyph
	}
	if c.index == nil {
		c.index = map[string]uint32{}
	}
	text = strings.Clone(text)
	at := uint32(cluster + len(c.text))
	letter := at
	if unicode.Is(unicode.M, mark) || unicode.Is(unicode.Join_Control, mark) {
		letter = c.letter(glyph)
	}
	c.text, c.letters = append(c.text, text), append(c.letters, letter)
	c.index[text] = at
	return at
}

// letter returns the glyph of the letter that a glyph is a form of: small, without marks,
// of usual width. It is the same for all forms, and for nothing else.
func (c *clusters) letter(glyph uint32) uint32 {
	switch {
	case glyph-'A' < 26:
		return glyph + 'a' - 'A'
	case glyph < utf8.RuneSelf || glyph == tailGlyph:
		return glyph
	case glyph >= cluster:
		return c.letters[glyph-cluster]
	}
	r := rune(glyph)
	e := &c.forms[r&0xff]
	if e.r != r {
		base, _ := utf8.DecodeRuneInString(norm.NFKD.String(string(r)))
		e.r, e.letter = r, uint32(unicode.ToLower(unicode.ToUpper(base)))
	}
	return e.letter
}
