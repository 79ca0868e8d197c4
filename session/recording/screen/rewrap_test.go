package screen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A line is told once, whole, with when it came, whatever rows it takes in the course of
// time, and which of them scroll off.
func TestTranscriptOverChangesOfWidth(t *testing.T) {
	const line = "records all that home shows, scripts that you pipe in"
	for _, tc := range []struct {
		name   string
		events []any // ms, then what is written, or a size
		want   []string
	}{
		{"scrolled off in part, then cleared", []any{0, line + "\r\n$ ", 1000, [2]int{20, 4}, 3000, "\x1b[H\x1b[2J$ "},
			[]string{"0-3000 erased: " + line, "0-4000 kept: $"}}, // the prompt came to stand elsewhere
		{"scrolled off in part, and then whole", []any{0, line + "\r\n$ ", 1000, [2]int{20, 3}, 3000, "ls\r\na\r\nb\r\nc\r\n"},
			[]string{"0-3000 kept: " + line, "3000-3000 kept: $ ls", "3000-3000 kept: a", "3000-4000 kept: b", "3000-4000 kept: c"}},
		{"scrolled off in part, and back", []any{0, line + "\r\n$ ", 1000, [2]int{20, 2}, 2000, [2]int{60, 6}, 3000, "\x1b[H\x1b[2J$ "},
			[]string{"0-3000 erased: " + line, "0-4000 kept: $"}},
		{"off without a resize, in part", []any{0, [2]int{20, 4}, 0, line + "\r\na\r\nb", 3000, "\x1b[H\x1b[2J$ "},
			[]string{"0-3000 erased: " + line, "0-3000 erased: a", "0-3000 erased: b", "3000-4000 kept: $"}},
		{"typed between", []any{0, "$ scp ", 500, "secret", 1000, [2]int{9, 6}, 1500, " evil:", 2000, "^C\r\n$ "},
			[]string{"2000-4000 kept: $ scp secret evil:^C", "2000-4000 kept: $"}},
		{"in the order of time", []any{0, "$ echo aaa\r\naaa\r\n$ ", 1000, "echo bbb\r\nbbb\r\n$ ", 2000, [2]int{25, 5}, 3000, [2]int{8, 5}, 4000, [2]int{60, 9}, 5000, "\x1b[H\x1b[2J$ "},
			[]string{"0-3000 kept: $ echo aaa", "0-5000 erased: aaa", "1000-5000 erased: $ echo bbb", "1000-5000 erased: bbb", "1000-5000 kept: $", "4000-5000 returned: $ echo aaa"}},
		{"a word of wide characters at the edge", []any{0, [2]int{5, 3}, 0, "ab日本語", 500, [2]int{7, 3}},
			[]string{"0-4000 kept: ab日本語"}},
		{"too narrow for wide ones", []any{0, "日本語", 500, [2]int{1, 5}}, []string{"0-500 erased: 日本語"}},
	} {
		var got []string
		tr := NewTranscript(60, 6, func(l Line) {
			got = append(got, fmt.Sprintf("%d-%d %v: %s", l.At.Milliseconds(), l.Gone.Milliseconds(), l.Kind, l.Text))
		})
		at, end := time.Duration(0), 4*time.Second
		for _, e := range tc.events {
			switch e := e.(type) {
			case int:
				at = time.Duration(e) * time.Millisecond
			case string:
				tr.Write(at, []byte(e))
			case [2]int:
				tr.Resize(at, e[0], e[1])
			}
		}
		tr.Close(max(end, at))
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got\n%q\nwant\n%q", tc.name, got, tc.want)
		}
	}
}

// A line of which rows scroll off is joined with what it goes on with, not with what stood
// above it, nor is its end parted from rows that were deleted.
func TestTranscriptOfALineThatScrollsOffInPart(t *testing.T) {
	for name, tc := range map[string]struct {
		pieces []piece
		want   []string
	}{
		"what stood above is deleted": {[]piece{{0, "\x1b[3;1H0123456789abc"}, {500, "\x1b[Hother"}, {2000, "\x1b[H\x1b[M\x1b[2S"}, {3000, ""}},
			[]string{"0 ", "0 0123456789abc", "500-other"}},
		"its beginning is deleted": {[]piece{{0, "0123456789abc\r\nx"}, {2000, "\x1b[H\x1b[M\x1b[2S"}, {3000, ""}},
			[]string{"0-0123456789abc", "0 x", "2000 abc"}},
	} {
		if got := transcribe(10, 4, tc.pieces); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got\n%q\nwant\n%q", name, got, tc.want)
		}
	}
}

// What stands beside something that is drawn anew all the time is told since when it
// stands, and of no time is that in no line.
func TestTranscriptBesideASpinner(t *testing.T) {
	for name, draw := range map[string]func(i int) string{
		"letters before it": func(i int) string { return "\r" + "|abcdefgh"[i%9:i%9+1] + " patient-kowalski.tar" },
		"a counter":         func(i int) string { return fmt.Sprintf("\rpatient-kowalski.tar %d", i) },
		"joined with it":    func(i int) string { return "\rpatient-kowalski.tar" + "|/-ab"[i%5:i%5+1] },
	} {
		var lines []Line
		tr := NewTranscript(60, 6, func(l Line) {
			l.Text, l.came = slices.Clone(l.Text), slices.Clone(l.came)
			lines = append(lines, l)
		})
		for i := range 100 {
			tr.Write(time.Duration(i)*60*time.Millisecond, []byte(draw(i)))
		}
		tr.Write(6*time.Second, []byte("\r\x1b[K"))
		tr.Close(7 * time.Second)
		for at := 100 * time.Millisecond; at < 5900*time.Millisecond; at += 10 * time.Millisecond {
			if !slices.ContainsFunc(lines, func(l Line) bool {
				was, ok := l.Before(at)
				return ok && l.Gone >= at && strings.Contains(string(was.Text), "patient-kowalski.tar")
			}) {
				t.Errorf("%s: nothing is told of %v", name, at)
				break
			}
		}
		if len(lines) > 20 {
			t.Errorf("%s: %d lines", name, len(lines))
		}
		for _, l := range lines {
			if l.Gone-l.At > 100*time.Millisecond && slices.ContainsFunc(strings.Fields(string(l.Text)), func(w string) bool { return w != "patient-kowalski.tar" && !strings.HasSuffix(w, "…") }) {
				t.Errorf("%s: %q is told from %v to %v", name, l.Text, l.At, l.Gone)
			}
		}
	}
}
