//go:build linux

package screen

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// What stands on a terminal is told, though this one erases it or writes over it at once,
// since the other takes a control otherwise. tmux is the other where it can be.
func TestDoubtfulControlsHideNothing(t *testing.T) {
	for name, in := range map[string]string{
		"DECSED":                "secret leaves\x1b[?2J",
		"DECSEL":                "secret leaves\r\x1b[?2K",
		"CSI as U+009B":         "secret leaves\u009b2J",
		"letters behind U+009B": "\u009bs\u009be\u009bc\u009br\u009be\u009bt leaves\x1b[2J",
		"NEL as U+0085":         "secret leaves\u0085\x1b[A\x1b[K",
		"parts of parameters":   "secret leaves\x1b[2:1J",
		"many parameters":       "secret leaves\x1b[2" + strings.Repeat(";1", 34) + "J",
		"many digits":           "secret leaves\x1b[" + strings.Repeat("0", 80) + "2J",
		"protected":             "\x1b[1\"qsecret leaves\x1b[0\"q\x1b[2J",
		"SPA":                   "\x1bVsecret leaves\x1bW\x1b[2J",
		"VT52":                  "\x1b[?2lsecret leaves\x1b[2J",
		"HPB":                   "secret leaves\x1b[22j\x1b[K",
		"HPR":                   "secret leaves\r\x1b[80a\x1b[1K",
		"VPB":                   "\nsecret leaves\x1b[k\x1b[B\r\x1b[K",
		"backspace, up":         strings.Repeat("x", 80) + "secret leaves\r" + strings.Repeat("\b", 13) + strings.Repeat("y", 13),
		"reverse wraparound":    "\x1b[?45h" + strings.Repeat("x", 80) + "secret leaves\x1b[14D" + strings.Repeat("y", 13),
		"margins":               "secret leaves\x1b[?69h\x1b[60;80s\x1b[1G\x1b[80P",
		"filled rectangles":     "\x1b[115$x\x1b[101$x\x1b[99$x\x1b[114$x\x1b[101$x\x1b[116$x leaves\x1b[2J",
		"ST as U+009C":          "secret leaves\x1b]0;t\u009c\r\x1b[K\a",
		"OSC R":                 "secret leaves\x1b]R\rxxxxxxxxxxxxxxxx\a",
		"LNM":                   "\x1b[20hsecret leaves\x1b[A\n\x1b[K",
		"DECCOLM":               "secret leaves\x1b[?3h\x1b[2K",
		"below":                 "\x1b[30;1Hsecret leaves\x1b[31;1Hsomething else",
		"below, a row":          "\x1b[30dsecret leaves\x1b[31d\rsomething else",
		"down":                  "\x1b[24;1H\x1b[Bsecret leaves\x1b[B\rsomething else",
		"next lines":            "\x1b[24;1H\x1b[Esecret leaves\x1b[Esomething else",
		"below, and back":       "\x1b[30;1H\x1b7\x1b[Hx\x1b8secret leaves\x1b[24;1Hsomething else",
		"to the right":          "\x1b[?7l\x1b[121Gsecret leaves",
		"further right":         "\x1b[?7l\x1b[80C\x1b[1Csecret leaves",
		"a place to the right":  "\x1b[?7l\x1b[1;121Hsecret leaves",
		"tabs":                  "\x1b[?7l" + strings.Repeat("\t", 15) + "secret leaves",
		"over its end":          "\x1b[?7l\x1b[70Gsecret leaves",
		"letter by letter":      "\x1b[?7l\x1b[79Gs\x1b[me\x1b[mc\x1b[mr\x1b[me\x1b[mt leaves",
		"graphics":              "\x1b(0secret leaves\x1b(B",
		"graphics, shifted":     "\x1b)0\x0esecret leaves\x0f",
		"cleared":               "secret leaves\x1b[H\x1b[2J",
		"cleared to its end":    "secret leaves\x1b[H\x1b[J",
		"reset":                 "secret leaves\x1bc",
		"a test picture":        "secret leaves\x1b#8",
		"another screen":        "\x1b[?1049hsecret leaves\x1b[?1049l",
		"scrolled down":         "secret leaves\x1b[24T",
		"XTRESTORE":             "\x1b[?47h\x1b[?47s\x1b[?47lsecret leaves\r\x1b[K\x1b[?47r",
		"synchronized":          "secret leaves\x1b[?2026h\x1b[2J",
	} {
		for _, pause := range []time.Duration{0, 60 * time.Millisecond} {
			var all strings.Builder
			tr := NewTranscript(80, 24, func(l Line) { fmt.Fprintf(&all, "%v: %s\n", l.Kind, l.Text) })
			cut := strings.Index(in, "leaves") + len("leaves")
			tr.Write(time.Second, []byte(in[:cut]))
			tr.Write(time.Second+pause, []byte(in[cut:]))
			tr.Write(time.Second+pause, []byte("\x1b[3;1Hprompt"))
			tr.Close(time.Minute)
			if !strings.Contains(all.String(), "secret leaves") {
				t.Errorf("%s, %v: not told:\n%s", name, pause, all.String())
			}
		}
	}
}

// What was written is told with when that was, and until when it stood for certain.
func TestDoubtfulControlsHaveTheirTimes(t *testing.T) {
	for name, tc := range map[string]struct {
		pieces   []piece
		at, gone int
	}{
		"it stood":       {[]piece{{1000, "first\r\n\x1b[9;9H"}, {1030, "secret leaves"}, {1060, "\x1b[?2J"}, {1090, "\r\x1b[K"}, {1130, "\x1b[H"}, {3000, "x"}}, 1030, 1090},
		"it came slowly": {[]piece{{1000, "secret"}, {1030, " leaves"}, {1050, "\x1b[?2J\r\x1b[K"}, {3000, "x"}}, 1030, 1030},
	} {
		var got []string
		tr := NewTranscript(80, 24, func(l Line) {
			if l.Kind == Written {
				got = append(got, fmt.Sprintf("%d-%d %s", l.At.Milliseconds(), l.Gone.Milliseconds(), l.Text))
			}
		})
		for _, p := range tc.pieces {
			tr.Write(time.Duration(p.at)*time.Millisecond, []byte(p.text))
		}
		tr.Close(4 * time.Second)
		if want := fmt.Sprintf("%d-%d secret leaves", tc.at, tc.gone); !slices.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// Whatever stands in tmux at last is told, whatever of all controls came at once with it.
func TestSoakWhatStandsInTmuxIsTold(t *testing.T) {
	const cols, rows = 40, 8
	written := regexp.MustCompile(`w\d+[a-z]`)
	for seed := range uint64(testkit.Long(25, 1500)) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var in strings.Builder
		for i := range 25 {
			if rnd.IntN(3) > 0 {
				fmt.Fprintf(&in, "w%d%c ", i, 'a'+rnd.IntN(26))
			} else {
				in.WriteString(anyControl(rnd))
			}
		}
		oracle := newTmux(t, cols, rows)
		_, err := oracle.tty.WriteString(in.String() + "\x1b\\")
		testkit.Check(t, err)
		oracle.cursor(cols)
		var all strings.Builder
		tr := NewTranscript(cols, rows, func(l Line) { fmt.Fprintf(&all, "%v: %s\n", l.Kind, l.Text) })
		tr.Write(0, []byte(in.String()))
		tr.Close(time.Second)
		for _, row := range oracle.cells(cols, rows) {
			for _, word := range written.FindAllString(textOf(row), -1) {
				if strings.Contains(in.String(), word) && !strings.Contains(all.String(), word) {
					t.Errorf("seed %d: %q stands in tmux and isn't told\n%q\n%s", seed, word, in.String(), all.String())
				}
			}
		}
		oracle.close()
	}
}

// anyControl is any control, most of them short.
func anyControl(rnd *rand.Rand) string {
	switch rnd.IntN(8) {
	case 0:
		return string(rune(0x80 + rnd.IntN(0x20)))
	case 1:
		return string(rune(8 + rnd.IntN(6)))
	case 2:
		return "\x1b" + string(rune(0x30+rnd.IntN(0x4f)))
	}
	csi := []string{"\x1b[", "\x1b[", "\x1b[", "\u009b"}[rnd.IntN(4)]
	csi += []string{"", "", "", "?", ">", "="}[rnd.IntN(6)]
	for range rnd.IntN(4) {
		csi += []string{"", "1", "2", "3", "5", "20", "45", "80"}[rnd.IntN(8)] + []string{"", ";", ";", ":"}[rnd.IntN(4)]
	}
	csi += []string{"", "", "", "", "$", "\"", " ", "'"}[rnd.IntN(8)]
	final := rune(0x40 + rnd.IntN(0x3f))
	if final == 'n' {
		final = 'm' // a terminal would answer, and that is how the oracle is known to have read all
	}
	return csi + string(final)
}
