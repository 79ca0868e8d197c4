package screen

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// moves are what programs do to a screen, beside writing words.
var moves = []string{
	"\r", "\n", "\r\n", "\b", "\t", "\x1b[A", "\x1b[H", "\x1b[3;5H", "\x1b[5;1H", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[1J", "\x1b[2J", "\x1b[3J",
	"\x1b[3X", "\x1b[2@", "\x1b[3P", "\x1b[L", "\x1b[M", "\x1b[2S", "\x1b[T", "\x1b[2;4r", "\x1b[r", "\x1bM", "\x1bD", "\x1b7", "\x1b8", "\x1b[4h", "\x1b[4l",
	"\x1b[?1049h", "\x1b[?1049l", "\x1b[?47h", "\x1b[?47l", "\x1b[?1047h", "\x1b[?1047l", "\x1bc", "\x1b#8", "\x1b[41m", "\x1b[m", "\x1b[?7l", "\x1b[?7h", "\x1b[2b",
}

// unjoins are those after which the transcript knows of text that is gone from above the
// screen, or of rows that came to be below one another.
var unjoins = []string{"\x1b[3J", "\x1bc", "\x1b[2;4r"}

// hardSeeds are walks that something was missing of once, beyond those of a short run: blanks
// before words in rows that came to be other ones when the width changed, a line whose
// beginning had scrolled off, was cleared from there, or was lost in the middle of it, and
// rows that were taken to stand elsewhere.
var hardSeeds = []uint64{
	24136, 26926, 29890, 42290, 46919, 48615, 57575, 60055, 62032, 62500, 73947, 82603, 96308, 99200, 99648, 107730,
	136552, 138405, 151494, 152489, 161236, 176138, 340072,
}

// Whatever a program does, and however its screen's size changes, each word that stood on the screen for long enough is in
// the transcript, and each look of a row whole, with when it came and how long it
// stood; lines are told in the order of their times; and what is told to have stood did.
func TestSoakTranscriptHidesNothing(t *testing.T) {
	seeds := slices.Clone(hardSeeds)
	for seed := range uint64(testkit.Long(2000, 200000)) {
		seeds = append(seeds, seed)
	}
	for _, seed := range seeds {
		rnd := rand.New(rand.NewPCG(seed, 1))
		moves, narrowest, truth := moves, 1, seed%2 == 1
		if truth { // the test knows what stood from what the terminal has
			moves = slices.DeleteFunc(slices.Clone(moves), func(m string) bool { return slices.Contains(unjoins, m) })
			narrowest = 6 // so that it has all that is above
		}
		var all strings.Builder
		var lines []Line
		tr := NewTranscript(12, 6, func(l Line) {
			fmt.Fprintf(&all, "%v-%v %v: %s\n", l.At, l.Gone, l.Kind, l.Text)
			l.Text, l.came = slices.Clone(l.Text), slices.Clone(l.came)
			lines = append(lines, l)
		})
		var read []string
		var stood []stood
		var shown []screenText
		var log strings.Builder
		at := time.Duration(0)
		for i := range 60 {
			var b strings.Builder
			for range 1 + rnd.IntN(5) {
				if rnd.IntN(2) == 0 {
					fmt.Fprintf(&b, "w%d%c ", seed%10*1000+uint64(i), 'a'+rnd.IntN(26))
				} else {
					b.WriteString(moves[rnd.IntN(len(moves))])
				}
			}
			if rnd.IntN(20) == 0 {
				cols, rows := tr.term.cols, 1+rnd.IntN(9)
				if rnd.IntN(2) == 0 {
					cols = narrowest + rnd.IntN(24)
				}
				fmt.Fprintf(&log, "%v: %dx%d\n", at, cols, rows)
				tr.Resize(at, cols, rows)
			}
			fmt.Fprintf(&log, "%v: %q\n", at, b.String())
			tr.Write(at, []byte(b.String()))
			pause := []time.Duration{0, 3, 30, 100, 150, 500}[rnd.IntN(6)] * time.Millisecond
			if pause >= settled {
				fmt.Fprintf(&log, "   shows %q\n", display(tr.term))
				read = append(read, strings.Fields(display(tr.term))...)
				stood = append(stood, standing(tr.term, at, at+pause)...)
			}
			if pause >= longest {
				shown = append(shown, showing(tr.term, at, at+pause))
			}
			at += pause
		}
		tr.Close(at)
		told := all.String()
		for _, word := range read {
			word = strings.Trim(word, "E") // a test picture isn't told
			if strings.Contains(word, "w") && !strings.Contains(told, word) {
				t.Fatalf("seed %d: %q stood there and isn't told.\n%s\ntold:\n%s", seed, word, log.String(), told)
			}
		}
		for _, s := range stood {
			if !slices.ContainsFunc(lines, s.told) {
				t.Fatalf("seed %d: %q stood from %v to %v and isn't told so.\n%s\ntold:\n%s", seed, s.text, s.from, s.to, log.String(), told)
			}
		}
		for _, l := range lines {
			if i := slices.IndexFunc(shown, func(s screenText) bool { return truth && !s.shows(l) }); i >= 0 {
				t.Fatalf("seed %d: %q is told from %v to %v, and didn't stand there from %v to %v.\n%s\ntold:\n%s", seed, l.Text, l.At, l.Gone, shown[i].from, shown[i].to, log.String(), told)
			}
		}
		for i, l := range lines {
			if i > 0 && l.At < lines[i-1].At {
				t.Fatalf("seed %d: %q of %v is told after %q of %v.\n%s\ntold:\n%s", seed, l.Text, l.At, lines[i-1].Text, lines[i-1].At, log.String(), told)
			}
		}
	}
}

// stood is a row as it stood between two times without a change.
type stood struct {
	text     string
	from, to time.Duration
}

// standing are the rows of a screen.
func standing(t *Terminal, from, to time.Duration) (all []stood) {
	for _, row := range strings.Split(display(t), "\n") {
		if row = withoutPicture(row); row != "" {
			all = append(all, stood{row, from, to})
		}
	}
	return all
}

// screenText is that of both screens, with what is above the main one, as it stood
// between two times without a change: its rows, one after the other, without blanks.
type screenText struct {
	text     [2]string
	from, to time.Duration
}

func showing(t *Terminal, from, to time.Duration) screenText {
	s := screenText{from: from, to: to}
	for i, rows := range [][]*row{append(t.scrollback(), t.main.rows...), t.alt.rows} {
		var b strings.Builder
		for _, r := range rows {
			for _, c := range r.cells {
				b.WriteString(strings.TrimSpace(t.Text(c)))
			}
		}
		s.text[i] = b.String()
	}
	return s
}

// shows reports whether what a line says stood there then: its words, in that order.
func (s screenText) shows(l Line) bool {
	if l.Kind == Concealed || l.At > s.from || l.Gone < s.to {
		return true
	}
	return slices.ContainsFunc(s.text[:], func(text string) bool {
		for _, word := range strings.FieldsFunc(string(l.Text), func(r rune) bool { return r == ' ' || r == '…' }) {
			_, rest, ok := strings.Cut(text, word)
			if !ok {
				return false
			}
			text = rest
		}
		return true
	})
}

// told reports whether a line of a transcript says that the row stood there, as it did
// then: it may have grown since.
func (s stood) told(l Line) bool {
	if l.Kind == Concealed || l.Gone < s.to {
		return false
	}
	l, ok := l.Before(s.from + 1)
	return ok && strings.Contains(withoutPicture(string(l.Text)), s.text)
}

// withoutPicture is a row without what is left of a test picture, which isn't told, on it.
func withoutPicture(row string) string {
	return strings.TrimRight(strings.ReplaceAll(row, "E", " "), " ")
}

// A few bytes make no megabytes of transcript.
func TestTranscriptIsNoBomb(t *testing.T) {
	for _, in := range []string{
		"\x1b#8\x1b[999S", "\x1b#8\n", "a\x1b[9999b", "a\x1b[9999b\n", "\x1b[999;999Hx\n", "\n", "\x1b[9999L", "\x1b[41m\x1b[J", "\x1b[H\x1b[J", "\x1b[?1049h\x1b#8\x1b[?1049l", "x\x1bc", "\x1b[999;1Hx\x1b[999S",
	} {
		out, data := 0, strings.Repeat(in, 100)
		tr := NewTranscript(300, 100, func(l Line) { out += len(l.Text) + 1 })
		for i := range 20 {
			tr.Write(time.Duration(i)*time.Second, []byte(data))
		}
		tr.Close(time.Minute)
		if most := 100*20*len(data) + 300*100; out > most {
			t.Errorf("%q: %d bytes make %d", in, 20*len(data), out)
		}
	}
}

func FuzzTranscript(f *testing.F) {
	for _, m := range moves {
		f.Add([]byte("one\r\ntwo"+m+"three日e\u0301"), byte(200), byte(10), byte(4))
	}
	f.Fuzz(func(t *testing.T, in []byte, pause, cols, rows byte) {
		lines := 0
		tr := NewTranscript(int(cols%40), int(rows%20), func(l Line) {
			lines++
			for _, r := range string(l.Text) {
				if r < 0x20 || r >= 0x7f && r < 0xa0 {
					t.Errorf("%q tells a control: %q", in, l.Text)
				}
			}
			if len(l.Text) > maxLine+4*MaxCols {
				t.Errorf("a line of %d bytes", len(l.Text))
			}
		})
		tr.Passing(func(_ time.Duration, line []byte) {
			if len(line) > maxLine+4*MaxCols || len(line) == 0 {
				t.Errorf("a line of %d bytes passes", len(line))
			}
		})
		at := time.Duration(0)
		for i, c := range in {
			tr.Write(at, []byte{c})
			at += time.Duration(pause) * time.Millisecond / 4
			if i%50 == 49 {
				tr.Resize(at, int(c%40), int(pause%20))
			}
			if bad := sound(tr.term); bad != "" {
				t.Fatalf("%q: %s", in, bad)
			}
		}
		tr.Close(at)
		cells := tr.term.cols*tr.term.rows + len(in)*MaxCols
		if lines > cells+maxBlank*len(in) {
			t.Errorf("%d lines of %d bytes", lines, len(in))
		}
	})
}
