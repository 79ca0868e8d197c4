package screen

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// script writes pieces, each at its time in ms, and returns the transcript.
type piece struct {
	at   int
	text string
}

func transcribe(cols, rows int, pieces []piece) []string {
	var got []string
	t := NewTranscript(cols, rows, func(l Line) {
		mark := map[Kind]string{Kept: " ", Erased: "-", Redrawn: "~", Concealed: "?"}[l.Kind]
		got = append(got, fmt.Sprintf("%d%s%s", l.At.Milliseconds(), mark, l.Text))
	})
	end := 0
	for _, p := range pieces {
		end = p.at
		t.Write(time.Duration(p.at)*time.Millisecond, []byte(p.text))
	}
	t.Close(time.Duration(end) * time.Millisecond)
	return got
}

func TestTranscript(t *testing.T) {
	for _, tc := range []struct {
		name   string
		pieces []piece
		want   []string
	}{
		{"lines", []piece{{0, "a\r\n"}, {5, "\r\nb\r\n"}, {9, "$ "}}, []string{"0 a", "5 ", "5 b", "9 $"}},
		{"scrolled", []piece{{0, "1\r\n2\r\n3\r\n4\r\n5\r\n6"}}, []string{"0 1", "0 2", "0 3", "0 4", "0 5", "0 6"}},
		{"a wrapped line is one", []piece{{0, "0123456789abc\r\nx"}}, []string{"0 0123456789abc", "0 x"}},
		{"a wrapped line scrolled", []piece{{0, "0123456789abc\r\n1\r\n2\r\n3\r\n4"}}, []string{"0 0123456789abc", "0 1", "0 2", "0 3", "0 4"}},
		{"wide and combining", []piece{{0, "日本e\u0301"}}, []string{"0 日本e\u0301"}},
		{"erased", []piece{{0, "$ x\r\n"}, {10, "SECRET"}, {1010, "\r\x1b[2K"}, {1020, "$ "}}, []string{"0 $ x", "10-SECRET", "1020 $"}},
		{"overwritten", []piece{{0, "SECRET"}, {1000, "\rpublic"}}, []string{"0-SECRET", "1000 public"}},
		{"overwritten and scrolled off at once", []piece{{0, "SECRET"}, {1000, "\rpublic\r\n\r\n\r\n\r\n\r\n"}}, []string{"0-SECRET", "1000 public"}},
		{"erased by deletion", []piece{{0, "SECRET\r\nx"}, {1000, "\x1b[1;1H\x1b[M"}}, []string{"0-SECRET", "0 x"}},
		{"erased by a scroll down", []piece{{0, "a\r\nb\r\nc\r\nSECRET"}, {1000, "\x1b[T"}}, []string{"0 a", "0 b", "0 c", "0-SECRET"}},
		{"cleared", []piece{{0, "one\r\ntwo\r\n"}, {1000, "\x1b[H\x1b[2Jthree"}}, []string{"0-one", "0-two", "1000 three"}},
		{"reset", []piece{{0, "one\r\ntwo\r\n"}, {1000, "\x1bcthree"}}, []string{"0-one", "0-two", "1000 three"}},
		{"drawn again as it was", []piece{{0, "one\r\ntwo"}, {1000, "\x1b[H\x1b[2Jone\r\ntwo"}}, []string{"0 one", "0 two"}},
		{"a wrapped line erased", []piece{{0, "0123456SECRET"}, {1000, "\r\x1b[A\x1b[J"}}, []string{"0-0123456SECRET"}},
		{"the second half of it", []piece{{0, "0123456SECRET"}, {1000, "\r\x1b[J"}}, []string{"0-0123456SECRET", "0 0123456SEC"}},
		{"not long enough to be read", []piece{{0, "flash"}, {90, "\rother"}}, []string{"90 other"}},
		{"shorter than a frame", []piece{{0, "flash"}, {10, "\r\x1b[K"}, {20, "other"}}, []string{"20 other"}},
		{"typed", []piece{{0, "$ "}, {200, "l"}, {400, "x"}, {600, "\b \b"}, {800, "s"}, {900, "\r\n"}}, []string{"400-$ lx", "800 $ ls"}},
		{"flashes add up", []piece{{0, "SECRET"}, {60, "\r\x1b[K"}, {90, "SECRET"}, {150, "\r\x1b[K"}, {200, "x"}}, []string{"90-SECRET", "200 x"}},
		{"alternate screen", []piece{{0, "$ vi\r\n"}, {50, "\x1b[?1049h\x1b[Hfile"}, {1000, "\x1b[2;1Hmore"}, {2000, "\x1b[?1049l$ "}}, []string{"0 $ vi", "50-file", "1000-more", "2000 $"}},
		{"still in the alternate screen", []piece{{0, "$ vi\r\n\x1b[?1049h\x1b[Hfile"}}, []string{"0 $ vi", "0 file"}},
		{"a program that scrolls by drawing", []piece{{0, "\x1b[?1049h\x1b[Ha\r\nb\r\nc"}, {1000, "\x1b[Hb\r\nc\r\nd"}, {2000, "\x1b[Hc\r\nd\r\ne"}, {3000, "\x1b[?1049l"}}, []string{"0-a", "0-b", "0-c", "1000-d", "2000-e"}},
		{"pages there and back", []piece{{0, "\x1b[?1049h\x1b[Ha"}, {1000, "\x1b[Hb"}, {2000, "\x1b[Ha"}, {3000, "\x1b[?1049l"}}, []string{"0-a", "1000-b"}},
		{"mode 47", []piece{{0, "\x1b[?47h\x1b[HSECRET"}, {1000, "\x1b[?47l$"}}, []string{"0-SECRET", "1000       $"}},
		{"a change of size", []piece{{0, "\x1b[8;1;1t0123456789ab"}, {1000, "\r\n"}}, []string{"0 0123456789ab"}},
		{"what isn't seen", []piece{{0, "a\x1b]8;;link\ab\x1b[8mhidden"}}, []string{"0 abhidden"}},
		{"a line that was corrected, and then wiped", []piece{{0, "$ cat secrest"}, {400, "\b\b\bets.csv"}, {2400, "\r\nout"}, {6000, "\x1b[H\x1b[2J"}, {6500, "one\r\ntwo"}, {9500, "\x1b[H\x1b[2J$ "}},
			[]string{"0-$ cat secrest", "400-$ cat secrets.csv", "2400-out", "6500-one", "6500-two", "9500 $"}},
		{"titles, each once, and what goes to the clipboard", []piece{{0, "a\x1b]0;title\a\x1b]2;other\x1b\\b\x1b]0;title\a\x1b]52;c;U0VDUkVU\a"}}, []string{"0?title", "0?other", "0?52;c;U0VDUkVU", "0 ab"}},
		{"a title that PuTTY ends at the line", []piece{{0, "a\x1b]0;title\r\nSEC"}, {500, "RET\a\r\nmore"}}, []string{"0?title", "500?SECRET", "0 a", "500 more"}},
		{"one that never ends", []piece{{0, "a\x1b]0;title\nSECRET"}}, []string{"0?title", "0 a", "0?SECRET"}},
		{"strings that the Linux console shows", []piece{{0, "a\x1bPSECRET\x1b\\b\x1b_日\u202e本\u009cc"}}, []string{"0?SECRET", "0?日本", "0 abc"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := transcribe(10, 4, tc.pieces)
			for i, l := range tc.want {
				tc.want[i] = strings.TrimRight(l, "\x00")
			}
			if strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// A line that a program draws elsewhere, in the place of one that was told, isn't told
// with that.
func TestTranscriptOfAMovedLine(t *testing.T) {
	got := transcribe(12, 3, []piece{{0, "J\x1b[L"}, {700, " \x1b[Jw205"}, {1200, "D"}, {1203, "w2057d \x1b[1Jw205"}, {2000, ""}})
	if all := strings.Join(got, "\n"); !strings.Contains(all, "w205") {
		t.Errorf("%q", all)
	}
}

// A line that is drawn again and again gives its words once, and hides none.
func TestTranscriptOfProgress(t *testing.T) {
	for _, pace := range []int{1, 10, 25, 50, 110, 500} {
		for _, erase := range []string{"\r", "\r\x1b[K", "\r\x1b[2K"} {
			pieces := []piece{{0, "$ get\r\n"}}
			at := 1000
			for i := range 1000 {
				at += pace
				note := ""
				if i >= 400 && i < 400+1+500/pace {
					note = " SECRET"
				}
				pieces = append(pieces, piece{at, fmt.Sprintf("%s%3d%% [%-10s] file%s", erase, i/10, strings.Repeat("#", i/100), note)})
			}
			got := transcribe(80, 24, append(pieces, piece{at + 1000, "\r\ndone"}))
			all := strings.Join(got, "\n")
			kept := 0
			for _, l := range got {
				if !strings.Contains(l, "~") {
					kept++
				}
			}
			if !strings.Contains(all, "SECRET") || kept > 8 || len(got) > 120 {
				t.Errorf("each %d ms, %q: %d lines, %d of them whole:\n%s", pace, erase, len(got), kept, all[:min(len(all), 2000)])
			}
		}
	}
}

// Of a line that is told in pieces, what stood between them isn't left out in silence.
func TestTranscriptMarksWhatIsLeftOut(t *testing.T) {
	got := transcribe(40, 5, []piece{{0, "abcdefgh xxx > yyy"}, {1000, "\rabcdefgh one > two"}, {2000, "\rabcdefgh ONE > TWO"}})
	if want := []string{"0-abcdefgh xxx > yyy", "1000~one … two", "2000 abcdefgh ONE > TWO"}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
}
