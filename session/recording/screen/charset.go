package screen

import (
	"bytes"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// frames are the letters of DEC Special Graphics of which programs make frames and bars.
var frames = []byte("jklmnqtuvwxa`~0+,-.h")

// putAs writes the character that a byte of ASCII stands for in the set that is on. Not all
// terminals have such sets beside UTF-8: some show the letter.
func (t *Terminal) putAs(r rune, b byte) {
	if t.log != nil && r != rune(b) && !slices.Contains(frames, b) {
		t.log.written.doubt = true
	}
	t.putWritten(r, []byte{b})
}

// otherwise writes what is no character in UTF-8, and is one on a terminal that is set to
// Windows-1252 or Latin-1.
func (t *Terminal) otherwise(b []byte) {
	if t.log == nil {
		t.put(utf8.RuneError)
		return
	}
	t.log.written.doubt = true
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

// inLetters is a text with letters in place of frames and bars, so that those that were
// written compare with what they became.
func inLetters(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return text
	}
	return bytes.Map(func(r rune) rune {
		if i := slices.Index(lines, r); i >= 0 && slices.Contains(frames, byte(0x60+i)) {
			return rune(0x60 + i)
		}
		return r
	}, text)
}

// legible reports whether a line may be something in another character set than UTF-8, or
// has nothing of one: data that was never text has few letters in a row.
func legible(line []byte) bool {
	other, ordinary, all := false, 0, 0
	for _, r := range string(line) {
		all++
		switch {
		case r >= 0x80 && r < 0x100 || r == utf8.RuneError:
			other = true
		}
		if r < 0x7f || unicode.IsLetter(r) {
			ordinary++
		}
	}
	return !other || ordinary*10 >= all*9
}
