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
		mark := map[Kind]string{Kept: " ", Erased: "-", Redrawn: "~", Concealed: "?", Returned: "^"}[l.Kind]
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
		{"the second half of it", []piece{{0, "0123456SECRET"}, {1000, "\r\x1b[J"}}, []string{"0-0123456SECRET", "1000 0123456SEC"}},
		{"not long enough to be read", []piece{{0, "flash"}, {90, "\rother"}}, []string{"90 other"}},
		{"shorter than a frame", []piece{{0, "flash"}, {10, "\r\x1b[K"}, {20, "other"}}, []string{"20 other"}},
		{"typed", []piece{{0, "$ "}, {200, "l"}, {400, "x"}, {600, "\b \b"}, {800, "s"}, {900, "\r\n"}}, []string{"400-$ lx", "800 $ ls"}},
		{"flashes add up", []piece{{0, "SECRET"}, {60, "\r\x1b[K"}, {90, "SECRET"}, {150, "\r\x1b[K"}, {200, "x"}}, []string{"90-SECRET", "200 x"}},
		{"alternate screen", []piece{{0, "$ vi\r\n"}, {50, "\x1b[?1049h\x1b[Hfile"}, {1000, "\x1b[2;1Hmore"}, {2000, "\x1b[?1049l$ "}}, []string{"0 $ vi", "50-file", "1000-more", "2000 $"}},
		{"still in the alternate screen", []piece{{0, "$ vi\r\n\x1b[?1049h\x1b[Hfile"}}, []string{"0 $ vi", "0 file"}},
		{"a program that scrolls by drawing", []piece{{0, "\x1b[?1049h\x1b[Ha\r\nb\r\nc"}, {1000, "\x1b[Hb\r\nc\r\nd"}, {2000, "\x1b[Hc\r\nd\r\ne"}, {3000, "\x1b[?1049l"}}, []string{"0-a", "0-b", "0-c", "1000-d", "2000-e"}},
		{"pages there and back", []piece{{0, "\x1b[?1049h\x1b[Ha"}, {1000, "\x1b[Hb"}, {2000, "\x1b[Ha"}, {3000, "\x1b[?1049l"}}, []string{"0-a", "1000-b", "2000-a"}},
		{"mode 47", []piece{{0, "\x1b[?47h\x1b[HSECRET"}, {1000, "\x1b[?47l$"}}, []string{"0-SECRET", "1000       $"}},
		{"a change of size", []piece{{0, "\x1b[8;1;1t0123456789ab"}, {1000, "\r\n"}}, []string{"0 0123456789ab"}},
		{"what isn't seen", []piece{{0, "a\x1b]8;;link\ab\x1b[8mhidden"}}, []string{"0?8;;link", "0 abhidden"}},
		{"links, folders and others, each once", []piece{{0, "\x1b]8;;http://a\ax\x1b]8;;\a\x1b]7;file:///b\a\x1b]8;;http://a\a\x1b]1337;Key=c\a\x1b]7;file:///b\a\x1bPd\x1b\\\x1bPd\x1b\\"}}, []string{"0?8;;http://a", "0?7;file:///b", "0?1337;Key=c", "0?d", "0 x"}},
		{"colours and marks", []piece{{0, "\x1b]4;1;rgb:ff/00/aa\a\x1b]11;?\a\x1b]104\a\x1b]133;A\a\x1b]133;D;0\ax"}}, []string{"0 x"}},
		{"what pretends to be a colour or a mark", []piece{{0, "\x1b]4;1;secret\a\x1b]133;C;cmdline=secret\ax"}}, []string{"0?4;1;secret", "0?133;C;cmdline=secret", "0 x"}},
		{"a title that comes slowly, and one that never ends", []piece{{0, "a\x1b]0;ti"}, {500, "tle\ab"}, {900, "\x1b]0;no"}, {1500, " end"}, {4000, ""}}, []string{"500?title", "500 ab", "1500?no end"}},
		{"a line that was corrected, and then wiped", []piece{{0, "$ cat secrest"}, {400, "\b\b\bets.csv"}, {2400, "\r\nout"}, {6000, "\x1b[H\x1b[2J"}, {6500, "one\r\ntwo"}, {9500, "\x1b[H\x1b[2J$ "}},
			[]string{"0-$ cat secrest", "400-$ cat secrets.csv", "2400-out", "6500-one", "6500-two", "9500 $"}},
		{"commands after clear, all in the row at the top", []piece{{0, "$ clear"}, {500, "\r\n\x1b[H\x1b[2J$ "}, {800, "ls a"}, {1000, "\r\nx"}, {3000, "\r\n$ clear"}, {3500, "\r\n\x1b[H\x1b[2J$ "}, {3800, "rm b"}, {4000, "\r\n$ "}, {6000, "clear"}, {6500, "\r\n\x1b[H\x1b[2J$ "}},
			[]string{"0-$ clear", "800-$ ls a", "1000-x", "3000-$ clear", "3800-$ rm b", "6000-$ clear", "6500 $"}},
		{"commands that were recalled", []piece{{0, "$ a x\r\nx\r\n"}, {1000, "$ b y\r\ny\r\n$ "}, {2000, "c"}, {2600, "\r\x1b[K$ b y"}, {3200, "\r\x1b[K$ a x"}, {3800, "\r\n"}, {4000, "x\r\n$ "}, {9000, "\x1b[H\x1b[2J$ "}},
			[]string{"0 $ a x", "0 x", "1000 $ b y", "1000-y", "2000-$ c", "2600-$ b y", "3200-$ a x", "4000-x", "4000 $"}},
		{"what is taken back", []piece{{0, "$ rm x"}, {500, " -n"}, {1500, "\r\x1b[6C\x1b[K"}, {3000, "\r\n"}}, []string{"500-$ rm x -n", "1500 $ rm x"}},
		{"what was written behind it stood too short", []piece{{0, "$ rm x"}, {500, " y"}, {540, "\r\x1b[5CY"}, {580, "\r\x1b[K$ ls"}}, []string{"0-$ rm x", "580 $ ls"}},
		{"wiped together, while a line among them was edited", []piece{{0, "$ one\r\ntwo\r\n$ abd"}, {600, "\bc"}, {1000, "\r\nend"}, {5000, "\x1b[H\x1b[2J$ "}}, []string{"0-$ one", "0-two", "0-$ abd", "600-$ abc", "1000-end", "5000 $"}},
		{"wiped after a program's own screen", []piece{{0, "$ one\r\n$ vi\r\n"}, {500, "\x1b[?1049h\x1b[Hfile"}, {1500, "\x1b[?1049l$ "}, {5000, "\x1b[H\x1b[2J$ "}}, []string{"0-$ one", "0-$ vi", "500-file", "1500 $"}},
		{"titles, each once, and what goes to the clipboard", []piece{{0, "a\x1b]0;title\a\x1b]2;other\x1b\\b\x1b]0;title\a\x1b]52;c;U0VDUkVU\a"}}, []string{"0?title", "0?other", "0^title", "0?52;c;U0VDUkVU", "0 ab"}},
		{"a title that PuTTY ends at the line", []piece{{0, "a\x1b]0;title\r\nSEC"}, {500, "RET\a\r\nmore"}}, []string{"0?title", "0 a", "500?SECRET", "500 more"}},
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

// Each look of a line that changes in part is told whole.
func TestTranscriptOfALineThatChangesInPart(t *testing.T) {
	got := transcribe(40, 5, []piece{{0, "abcdefgh xxx > yyy"}, {1000, "\rabcdefgh one > two"}, {2000, "\rabcdefgh ONE > TWO"}})
	if want := []string{"0-abcdefgh xxx > yyy", "1000-abcdefgh one > two", "2000 abcdefgh ONE > TWO"}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
}

// Who changes little of much, for long, gets it told in pieces; what stood between them
// isn't left out in silence. A pause, and all is told whole again.
func TestTranscriptMarksWhatIsLeftOut(t *testing.T) {
	pieces := []piece{{0, strings.Repeat("abcdefgh ", 4000)}}
	at, out := 1000, 0
	for i := range 100 {
		pieces = append(pieces, piece{at, fmt.Sprintf("\x1b[36;2H xx%02d\x1b[36;20H yy%02d ", i, i)})
		at += 110
	}
	for range 2 {
		at += 20000
		pieces = append(pieces, piece{at, "\x1b[36;2H late"}, piece{at + 1000, "\x1b[36;2H LATE"})
	}
	got := transcribe(1000, 40, pieces)
	for _, l := range got {
		out += len(l)
	}
	all := strings.Join(got, "\n")
	if out > 3<<20 || !strings.Contains(all, "~xx60fgh … yy60\n") || strings.Count(all, " latefgh abcdefgh  yy99 ") != 2 {
		t.Errorf("%d bytes: %q", out, all[max(0, len(all)-2000):])
	}
}

// What waits to be told in order is bounded: beyond that it is told while it stands,
// and again when it is erased.
func TestTranscriptHoldsBackOnlySoMuch(t *testing.T) {
	most := 0
	var top, last []Line
	tr := NewTranscript(80, 24, func(l Line) {
		if strings.Contains(string(l.Text), "top") {
			top = append(top, l)
		} else {
			last = []Line{l}
		}
	})
	tr.Write(0, []byte("the top\x1b[2;24r\x1b[24;1H"))
	for i := range 40000 {
		tr.Write(time.Duration(i+1)*200*time.Millisecond, fmt.Appendf(nil, "line %d of many that come and go\r\n", i))
		most = max(most, tr.hold.size)
	}
	if most > maxHeld+maxLine || len(top) != 1 || top[0].Gone != Stands || top[0].At != 0 {
		t.Errorf("%d bytes, %v", most, top)
	}
	tr.Write(9000*time.Second, []byte("\x1b[H\x1b[2J"))
	tr.Close(9001 * time.Second)
	if len(top) != 2 || top[1].Gone != 9000*time.Second || top[1].Kind != Erased || top[1].At != 0 || len(last) != 1 || string(last[0].Text) != "line 39999 of many that come and go" {
		t.Errorf("%v, %v", top, last)
	}
}
