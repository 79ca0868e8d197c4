package screen

import (
	"bytes"
	"hash/maphash"
	"slices"
)

const (
	// maxTitle is how long the first line of an OSC may be and count as a colour, a
	// link, a folder or the like: bytes. Longer ones are told.
	maxTitle = 1 << 10

	// maxTitles is how many titles are remembered, to tell each once: a shell sets it
	// at every prompt.
	maxTitles = 1 << 10
)

// readOSC are the OSC that people read outside the screen, or have in their
// clipboard: titles, notifications of iTerm2 and rxvt, and the selection. Source:
// Xterm Control Sequences, Operating System Commands.
var readOSC = [][]byte{[]byte("0;"), []byte("1;"), []byte("2;"), []byte("9;"), []byte("52;"), []byte("777;")}

// concealed hears of a piece of a control string, and whether it ends there. xterm
// shows nothing of any; PuTTY ends an OSC at the end of a line, and the Linux
// console knows no DCS, APC, PM and SOS. What their users can read is told, and each
// title once.
func (t *Transcript) concealed(b []byte, osc, end bool) {
	for _, c := range b {
		switch {
		case c == '\r', c == '\n':
			t.endString(osc)
			t.insideLines++
		case c >= 0x20 && c != 0x7f:
			if t.inside = append(t.inside, c); len(t.inside) >= maxLine {
				t.endString(osc)
			}
		}
	}
	if end {
		t.endString(osc)
		t.insideLines = 0
	}
}

// endString tells a line of a control string.
func (t *Transcript) endString(osc bool) {
	line := t.inside
	t.inside = t.inside[:0]
	if osc && t.insideLines == 0 && len(line) <= maxTitle {
		if line = t.title(line); line == nil {
			return
		}
	}
	t.text = t.text[:0]
	for len(line) > 0 {
		r, n := Decode(line)
		line = line[n:]
		if r, width := Shown(r); width >= 0 && (r < 0x7f || r >= 0xa0) {
			t.text = append(t.text, string(r)...)
		}
	}
	if text := trimRight(t.text); len(text) > 0 {
		m := moment{at: t.at, place: t.places + t.term.y}
		if t.term.page == t.term.alt {
			m.page, m.place = 1, t.term.y
		}
		t.hold.add(m, Line{At: t.at, Gone: t.at, Kind: Concealed, Text: text}, 0)
	}
}

// title is what people read of a short OSC; nil if they read nothing, or the same
// before.
func (t *Transcript) title(line []byte) []byte {
	i := slices.IndexFunc(readOSC, func(number []byte) bool { return bytes.HasPrefix(line, number) })
	if i < 0 {
		return nil
	}
	if i < 3 {
		line = line[2:]
	}
	sum := maphash.Bytes(titleSeed, line)
	if _, told := t.titles[sum]; told {
		return nil
	}
	if len(t.titles) >= maxTitles {
		clear(t.titles)
	}
	t.titles[sum] = struct{}{}
	return line
}

var titleSeed = maphash.MakeSeed()
