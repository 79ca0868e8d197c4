package screen

// maxTitle is how long the first line of an OSC may be and count as a title or
// the like: bytes. Longer ones are told.
const maxTitle = 1 << 10

// concealed hears of a piece of a control string, and whether it ends there. xterm
// shows nothing of any; PuTTY ends an OSC at the end of a line, and the Linux
// console knows no DCS, APC, PM and SOS. What their users can read is told, but
// for what a title may be.
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
		return
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
		t.emit(Line{At: t.at, Gone: t.at, Kind: Concealed, Text: text})
	}
}
