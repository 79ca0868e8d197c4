package screen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// told is the transcript of a few writes at once, after which time passes.
func told(cols, rows int, in ...string) (lines []string) {
	tr := NewTranscript(cols, rows, func(l Line) { lines = append(lines, fmt.Sprintf("%v: %s", l.Kind, l.Text)) })
	for i, s := range in {
		tr.Write(time.Duration(i)*time.Second, []byte(s))
	}
	tr.Close(time.Minute)
	return lines
}

// What is no UTF-8 is told as it stands on a terminal of Latin-1, too; what was never text
// isn't.
func TestTranscriptOfOtherCharacterSets(t *testing.T) {
	for in, want := range map[string]string{
		"J\xf8rgen M\xfcller, 3 \xe5r": "as written: Jørgen Müller, 3 år",
		"cut \xe2\x82 short":           "as written: cut â‚ short",
	} {
		if got := told(80, 24, in); !slices.Contains(got, want) || len(got) != 2 {
			t.Errorf("%q: %q", in, got)
		}
	}
	for _, in := range []string{"\xff\xfe\x9d\xb7\xa1\xb1a\xb7\xa0", "\ufffd\ufffd is written", "blåbær"} {
		if got := told(80, 24, in); len(got) != 1 {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Frames and bars of DEC's set are no letters that anybody wrote; words of it are told as
// they are on a terminal without it.
func TestTranscriptOfGraphics(t *testing.T) {
	box := "\x1b(0lqqqqk\x1b(B\r\n\x1b(0x\x1b(Bbody\x1b(0x\x1b(B\r\n\x1b(0mqqqqj\x1b(B"
	if got := told(80, 24, box, "\x1b[H\x1b[2J"); strings.Contains(strings.Join(got, "\n"), "written") || !slices.Contains(got, "erased: │body│") {
		t.Errorf("%q", got)
	}
	if got := told(80, 24, "\x1b(0patient\x1b(B"); !slices.Contains(got, "as written: patient") {
		t.Errorf("%q", got)
	}
}

// A position that the screen has is in no doubt, nor is what stands there.
func TestPositionsWithinTheScreen(t *testing.T) {
	in := "\x1b[24;80H\x1b[1;1Hone\x1b[2;1Htwo\x1b[24;1Hlast\x1b[?7l\x1b[1;80H]\x1b[2;80H]\x1b[H"
	if got := told(80, 24, in, "\x1b[2J"); len(got) != 3 || strings.Contains(strings.Join(got, "\n"), "written") {
		t.Errorf("%q", got)
	}
	// A program that asks how large the screen is, by going as far as it can.
	if got := told(80, 24, "one\x1b7\x1b[999;999H\x1b[6n\x1b8 two", "\x1b[2J"); len(got) != 1 || got[0] != "erased: one two" {
		t.Errorf("%q", got)
	}
}
