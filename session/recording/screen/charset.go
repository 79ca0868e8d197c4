package screen

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// frames are the letters of DEC Special Graphics of which programs make frames and bars.
var frames = []byte("jklmnqtuvwxa`~0+,-.h")

// putAs writes the character that a byte of ASCII stands for in the set that is on. Not all
// terminals have such sets beside UTF-8: some show the letter.
func (t *Terminal) putAs(r rune, b byte) {
	t.putWritten(r, []byte{b})
	if r != rune(b) {
		t.page.rows[t.y].drawn = true
	}
}

// otherwise writes what is no character in UTF-8, and is one on a terminal that is set to
// Windows-1252 or Latin-1.
func (t *Terminal) otherwise(b []byte) {
	if t.log == nil {
		t.put(utf8.RuneError)
		return
	}
	t.log.written.other = true
	var as []byte
	for _, c := range b {
		r := charmap.Windows1252.DecodeByte(c)
		if unicode.IsControl(r) {
			r = utf8.RuneError
		}
		as = utf8.AppendRune(as, r)
	}
	t.putWritten(utf8.RuneError, as)
}

// softHyphen is a place to break a word, which some terminals show as a hyphen, as this one
// does, and others don't show at all.
const softHyphen = 0xad

// asLetter returns the letter of a character of DEC Special Graphics, 0 if it is none.
func asLetter(r rune) byte {
	if r < 0xa3 {
		return 0
	}
	return letterOf[r]
}

var letterOf = func() map[rune]byte {
	m := map[rune]byte{}
	for i, r := range lines {
		m[r] = byte(0x60 + i)
	}
	return m
}()

// inLetters is a text with letters in place of frames and bars, so that those that were
// written compare with what they became.
func inLetters(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return text
	}
	return bytes.Map(func(r rune) rune {
		if l := asLetter(r); slices.Contains(frames, l) {
			return rune(l)
		}
		return r
	}, text)
}

// inLetters is a row, from one cell to another, as it is on a terminal without DEC's set, and without soft hyphens; nil
// if that says nothing else than the row does: of frames and bars few are letters of a word.
func (t *Transcript) inLetters(r *row, from, to int) (text []byte) {
	const oddest = 2 // frames have as many corners side by side at most
	odd, differs, before, drawn := 0, false, rune(0), false
	for x := max(from, 0); x < min(to, len(r.cells)); x++ {
		g := glyphAt(r, x)
		if g == softHyphen {
			differs = true
			continue
		}
		l := rune(asLetter(rune(g)))
		own, next := l, rune(glyphAt(r, x+1))
		if l == 0 {
			own = rune(g)
		}
		bar := strings.ContainsRune("qx", l)
		switch words := unicode.IsLetter(before) && unicode.IsLetter(own) && own != before; {
		case !words:
		case l != 0 && !slices.Contains(frames, byte(l)), drawn && !slices.Contains(frames, byte(before)):
			odd += oddest
		case l != 0 && !bar && (drawn && !strings.ContainsRune("qx", before) || !drawn && unicode.IsLetter(next)):
			odd++
		}
		if before, drawn = rune(g), l != 0; drawn {
			before = l
			text = append(text, byte(l))
		} else if g != tailGlyph {
			text = t.appendGlyph(text, g, 0)
		}
	}
	if differs || odd >= oddest {
		return text
	}
	return nil
}

// drawn has a row told as it is on other terminals, if it is something else there.
func (t *Transcript) drawn(r *row) {
	if r.drawn {
		t.doubtsLine(line{as: t.inLetters(r, 0, len(r.cells)), at: r.at}, false, false)
	}
}

// legible reports whether a line may be something in another character set than UTF-8, or
// has nothing of one: data that was never text has few letters in a row. What stands beside
// words doesn't make them illegible.
func legible(line []byte) bool {
	const stretch, enough = 12, 6 // characters in a row, letters of ASCII among them
	other, ordinary, all := false, 0, 0
	row, plain, mixed := 0, 0, false
	for _, r := range string(line) {
		all++
		high := r >= 0x80 && r < 0x100 || r == utf8.RuneError
		other = other || high
		if r >= 0x7f && !unicode.IsLetter(r) {
			row, plain, mixed = 0, 0, false
			continue
		}
		ordinary++
		row++
		mixed = mixed || high
		if lower := r | 0x20; lower >= 'a' && lower <= 'z' {
			plain++
		}
		if mixed && row >= stretch && plain >= enough {
			return true
		}
	}
	return !other || ordinary*5 >= all*4
}
