package screen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is cleared away, or drawn anew while the terminal shows what stood before, is told as it
// stood, in whatever order its letters came.
func TestWhatStoodIsTold(t *testing.T) {
	const secret = "secret leaves"
	for name, end := range map[string]string{
		"cleared":            "\x1b[H\x1b[2J",
		"cleared to its end": "\x1b[H\x1b[J",
		"reset":              "\x1bc",
		"a test picture":     "\x1b#8",
		"scrolled down":      "\x1b[24T",
		"another screen":     "\x1b[?1049l",
		"the screen that is": "\x1b[?1049h",
		"synchronized":       "\x1b[?2026h\x1b[2K",
		"DECSED":             "\x1b[?2J\x1b[2K",
		"CSI as U+009B":      "\u009b2J",
		"VT52":               "\x1b[?2l\x1b[2K",
		"in VT52":            "\x1b[2K\x1b[H\x1b[K",
		"protected":          "\x1b[0\"q\x1b[2K",
	} {
		for how, letters := range map[string]string{"backwards": backwards(5, secret), "placed": letterwise(3, 30, secret), "wrapped": "\x1b[H" + strings.Repeat("x", 73) + "\x1b[1;74Hsec" + "\x1b[1;77Hret leaves"} {
			for _, pause := range []time.Duration{0, 60 * time.Millisecond} {
				var all strings.Builder
				tr := NewTranscript(80, 24, func(l Line) { fmt.Fprintf(&all, "%v: %s\n", l.Kind, l.Text) })
				begin := ""
				switch name {
				case "another screen", "the screen that is":
					begin = "\x1b[?1049h"
				case "in VT52":
					begin = "\x1b[?2l"
				}
				tr.Write(time.Second, []byte(begin+letters))
				tr.Write(time.Second+pause, []byte(end))
				tr.Write(time.Second+pause, []byte("\x1b[3;1Hprompt"))
				tr.Close(time.Minute)
				if !strings.Contains(all.String(), secret) {
					t.Errorf("%s, %s, %v: not told:\n%s", name, how, pause, all.String())
				}
			}
		}
	}
}

// However much is cleared away at once, each line of it is told.
func TestAllThatIsClearedIsTold(t *testing.T) {
	got := map[string]bool{}
	tr := NewTranscript(80, 24, func(l Line) { got[string(l.Text)] = true })
	most := 0
	for p := range 1000 {
		var b strings.Builder
		b.WriteString("\x1b[H")
		for i := range 20 {
			fmt.Fprintf(&b, "page %d, line %d %s\r\n", p, i, strings.Repeat("z", 40))
		}
		tr.Write(time.Second, []byte(b.String()+"\x1b[H\x1b[2J"))
		most = max(most, tr.written.size)
	}
	tr.Close(time.Minute)
	if len(got) != 20000 || most > 2*maxDoubted {
		t.Errorf("%d lines, %d bytes", len(got), most)
	}
}

// What goes is heard of as it stood, once, whatever was written in which order.
func TestPassingRows(t *testing.T) {
	for name, in := range map[string]string{
		"erased":              backwards(5, "secret leaves") + "\x1b[2K",
		"the end of it":       backwards(5, "secret leaves") + "\x1b[8G\x1b[K",
		"a few":               backwards(5, "secret leaves") + "\x1b[8G\x1b[3X",
		"overwritten":         backwards(5, "secret leaves") + "\x1b[8Gx",
		"letter by letter":    backwards(5, "public writes") + backwards(5, "secret leaves") + backwards(5, "public writes"),
		"deleted":             backwards(5, "secret leaves") + "\x1b[1G\x1b[20P",
		"a line deleted":      backwards(5, "secret leaves") + "\x1b[M",
		"scrolled":            "\x1b[2;5r" + backwards(5, "secret leaves") + "\x1b[H\x1b[5;1H\n\n\n\n\n\x1b[r\x1b[2J",
		"cleared":             backwards(5, "secret leaves") + "\x1b[2J\x1b[3J",
		"erased from the top": "\x1b[3;1H" + backwards(5, "secret leaves") + "\x1b[4;1H\x1b[1J",
		"over two rows":       "\x1b[H" + strings.Repeat("x", 78) + "secret leaves\r\x1b[K",
		"behind data":         backwards(5, "secret leaves") + strings.Repeat("\x00", 1<<16) + "\x1b[2K",
		"in DEC's set":        "\x1b(0" + backwards(5, "secret leaves") + "\x1b[2K",
	} {
		heard := 0
		tr := NewTranscript(80, 24, func(Line) {})
		tr.Passing(func(_ time.Duration, line []byte) {
			if strings.Contains(string(line), "secret leaves") {
				heard++
			}
		})
		tr.Write(time.Second, []byte(in))
		tr.Close(time.Second + 10*time.Millisecond)
		if heard == 0 || heard > 2 {
			t.Errorf("%s: heard %d times", name, heard)
		}
	}
}

// What has stood for long, or is drawn as it was, doesn't pass; nor does what only comes.
func TestWhatDoesntPass(t *testing.T) {
	tr := NewTranscript(80, 24, func(Line) {})
	tr.Write(0, []byte("one two three"))
	tr.Write(time.Second, []byte("\r"))
	var heard []string
	tr.Passing(func(_ time.Duration, line []byte) { heard = append(heard, string(line)) })
	tr.Write(2*time.Second, []byte("\x1b[H\x1b[2Jfour\r\x1b[1mfive"))
	if want := []string{"four", "five"}; slices.Contains(heard, "one two three") || !slices.Contains(heard, "four") {
		t.Errorf("%q, want %q", heard, want)
	}
}
