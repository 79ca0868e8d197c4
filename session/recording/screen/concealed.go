package screen

import (
	"bytes"
	"hash/maphash"
	"strconv"
)

const (
	// maxTitle is how long the first line of a control string may be and be told once,
	// however often it comes: bytes. Longer ones are told each time.
	maxTitle = 1 << 10

	// maxTitles is how many of them are remembered: a shell sets its title, and tells
	// its folder, at every prompt.
	maxTitles = 1 << 10
)

// concealed hears of a piece of a control string, and whether it ends there. xterm
// shows nothing of any; PuTTY ends an OSC at the end of a line, and the Linux
// console knows no DCS, APC, PM and SOS. What their users can read, click (OSC 8) or have
// in their clipboard (52) is told, once each.
func (t *Transcript) concealed(b []byte, osc, end bool) {
	for _, c := range b {
		switch {
		case c == '\r', c == '\n':
			t.endString(osc, false)
			t.insideLines++
		case c >= 0x20 && c != 0x7f:
			t.insideAt = t.at
			if t.inside = append(t.inside, c); len(t.inside) >= maxLine {
				t.endString(osc, false)
			}
		}
	}
	if end {
		t.endString(osc, true)
		t.insideLines = 0
	}
}

// endString tells a line of a control string; ended says that the string ends there.
func (t *Transcript) endString(osc, ended bool) {
	line := t.inside
	t.inside = t.inside[:0]
	l := Line{At: t.insideAt, Gone: t.insideAt, Kind: Concealed}
	if t.insideLines == 0 && len(line) <= maxTitle {
		if osc && mute(line) {
			return
		}
		if osc && ended && (bytes.HasPrefix(line, []byte("0;")) || bytes.HasPrefix(line, []byte("2;"))) {
			sum := maphash.Bytes(titleSeed, line[2:])
			if l.Title = true; sum == t.title {
				return
			}
			t.title, l.At, l.Gone = sum, t.at, Stands // it shows once it is whole
		}
		if osc && len(line) > 1 && line[0] <= '2' && line[1] == ';' {
			line = line[2:]
		}
		switch told := t.toldString(line); {
		case told && l.Title:
			l.Kind = Returned
		case told:
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
	if l.Text = trimRight(t.text); len(l.Text) > 0 {
		m := moment{at: l.At, place: t.places + t.term.y}
		if t.term.page == t.term.alt {
			m.page, m.place = 1, t.term.y
		}
		t.hold.add(m, l, 0)
	}
}

// toldString reports whether a line of a control string was told.
func (t *Transcript) toldString(line []byte) bool {
	sum := maphash.Bytes(titleSeed, line)
	if _, told := t.titles[sum]; told {
		return true
	}
	if len(t.titles) >= maxTitles {
		clear(t.titles)
	}
	t.titles[sum] = struct{}{}
	return false
}

// mute reports whether an OSC says nothing to anybody: a colour, a mark of a shell with
// no more than a status, the end of a link. Source: Xterm Control Sequences, Operating
// System Commands.
func mute(line []byte) bool {
	number, rest, _ := bytes.Cut(line, []byte(";"))
	switch n, _ := strconv.Atoi(string(number)); {
	case n == 4 || n == 5 || n >= 10 && n <= 19 || n >= 104 && n <= 119:
		return len(bytes.Trim(rest, "0123456789abcdefABCDEF#:/;?rg")) == 0
	case n == 133:
		return len(rest) == 1 || len(rest) > 1 && rest[1] == ';' && len(bytes.Trim(rest[1:], ";0123456789")) == 0
	case n == 8:
		return string(rest) == ";"
	}
	return len(rest) == 0 && len(bytes.Trim(number, "0123456789")) == 0
}

var titleSeed = maphash.MakeSeed()
