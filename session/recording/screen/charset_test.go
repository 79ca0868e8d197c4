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
		"J\xf8rgen M\xfcller, 3 \xe5r":                    "as written: Jørgen Müller, 3 år",
		"cut \xe2\x82 short":                              "as written: cut â‚ short",
		"M\xfcller, anna\xb7\xb7\xb7\xb7\xa6\xa6\xa6\xa6": "as written: Müller, anna····¦¦¦¦",
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

// So are words of the letters that frames are made of, in whatever order they come, and
// whatever stands beside them.
func TestTranscriptOfWordsInGraphics(t *testing.T) {
	for name, in := range map[string]string{
		"frame letters": "\x1b(0hanna hallan kvam nut\x1b(B",
		"backwards":     "\x1b(0" + backwards(9, "hanna hallan kvam nut") + "\x1b(B",
		"by turns":      strings.NewReplacer("n", "\x1b(0n\x1b(B", "a", "\x1b(0a\x1b(B").Replace("hanna hallan kvam nut"),
		"among blocks":  "\x1b(0hanna hallan kvam nut\x1b(B ·████████████████████████████",
		"cleared":       "\x1b(0hanna hallan kvam nut\x1b(B\x1b[2J",
		"erased":        "\x1b(0" + backwards(9, "hanna hallan kvam nut") + "\x1b(B\x1b[2K",
		"scrolled off":  "\x1b(0hanna hallan kvam nut\x1b(B" + strings.Repeat("\r\n", 30),
	} {
		if got := told(80, 24, in); !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "as written: hanna hallan kvam nut") }) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, in := range map[string]string{
		"a table":     "\x1b(0lqwqwqk\x1b(B\r\n\x1b(0x\x1b(Ba\x1b(0x\x1b(Bb\x1b(0x\x1b(Bc\x1b(0x\x1b(B\r\n\x1b(0tqnqnqu\x1b(B\r\n\x1b(0mqvqvqj\x1b(B",
		"a bar":       "\x1b(0aaaaaaaa0000\x1b(B 50%",
		"a scrollbar": "name\x1b(0xa\x1b(B\r\nsize\x1b(0xa\x1b(B",
		"small":       "\x1b(0lk\x1b(B\r\n\x1b(0mj\x1b(B",
	} {
		if got := told(80, 24, in); strings.Contains(strings.Join(got, "\n"), "written") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A soft hyphen is shown by some terminals, and by others isn't.
func TestTranscriptOfSoftHyphens(t *testing.T) {
	for name, in := range map[string]string{"stands": "pat\u00adsoft", "cleared": "pat\u00adsoft\x1b[2J", "placed": "\x1b[5Gsoft\x1b[1Gpat\u00ad"} {
		got := told(80, 24, in)
		if !slices.Contains(got, "as written: patsoft") || !slices.ContainsFunc(got, func(l string) bool { return strings.HasSuffix(l, ": pat-soft") }) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := told(80, 24, "pat-soft"); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// What is in doubt for another reason is told whatever letters it has.
func TestWhatIsNoTextIsToldInDoubt(t *testing.T) {
	for name, in := range map[string]string{
		"beyond the screen": "\x1b[?7l\x1b[121Gpatient 0 ·" + strings.Repeat("█", 12) + "\r\n",
		"cleared":           "patient 0 ·" + strings.Repeat("█", 12) + "\x1b[2J",
		"a control":         "patient 0 ·" + strings.Repeat("█", 12) + "\u009b2J",
	} {
		if got := told(80, 24, in); !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "as written: patient 0 ·") }) {
			t.Errorf("%s: %q", name, got)
		}
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
