package screen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// backwards writes a text from its last letter to its first, from a column on.
func backwards(column int, text string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\x1b[%dG", column+len(text)-1)
	for i := len(text) - 1; i >= 0; i-- {
		b.WriteString(text[i:i+1] + "\b\b")
	}
	return b.String()
}

// letterwise writes it so, each letter where it belongs, in a row or in whatever row it is.
func letterwise(row, column int, text string) string {
	var b strings.Builder
	for i := len(text) - 1; i >= 0; i-- {
		if row > 0 {
			fmt.Fprintf(&b, "\x1b[%d;%dH%c", row, column+i, text[i])
		} else {
			fmt.Fprintf(&b, "\x1b[%dG%c", column+i, text[i])
		}
	}
	return b.String()
}

// What stands on a terminal larger than the client said is told, in whatever order its
// letters come, and though each stands here for no time at all.
func TestLargerScreensHideNothing(t *testing.T) {
	const secret = "secret leaves"
	var columns strings.Builder // two rows that this screen hasn't, at once
	for i := range secret {
		fmt.Fprintf(&columns, "\x1b[30;%dH%c\x1b[31;%dH%c", i+1, secret[i], i+1, "other letters"[i])
	}
	feeds := "\x1b[H" + strings.Repeat("\n", 30)
	for name, in := range map[string]string{
		"behind line feeds":             feeds + secret + "\x1b[24;1H\x1b[2K",
		"backwards behind line feeds":   feeds + backwards(1, secret) + "\x1b[24;1H\x1b[2K",
		"behind IND":                    "\x1b[H" + strings.Repeat("\x1bD", 30) + secret + "\x1b[24;1H\x1b[2K",
		"behind NEL":                    "\x1b[H" + strings.Repeat("\x1bE", 30) + secret + "\x1b[24;1H\x1b[2K",
		"line feeds, letter by letter":  strings.Join(strings.Split(feeds+"s\x1b[24;1H\x1b[2K|"+feeds+" e\x1b[24;1H\x1b[2K|"+feeds+"\x1b[3Gcret leaves\x1b[24;1H\x1b[2K", "|"), ""),
		"overwritten":                   feeds + backwards(1, secret) + "\x1b[24;1Hsomething else",
		"wrapped":                       "\x1b[H" + strings.Repeat("x", 80) + secret + "\x1b[2;1H\x1b[2K",
		"wrapped, backwards":            "\x1b[H" + strings.Repeat("x", 80) + "yy" + backwards(1, secret) + "\x1b[2;1H\x1b[2K",
		"wrapped at the bottom":         "\x1b[24;1H" + strings.Repeat("x", 80) + secret + "\x1b[24;1H\x1b[2K",
		"in a region":                   "\x1b[30;45r\x1b[?6h\x1b[1;1H" + secret + "\x1b[?6l\x1b[r\x1b[1;1H\x1b[2Kother",
		"in a region without end":       "\x1b[30r\x1b[?6h\x1b[1;1H" + secret + "\x1b[?6l\x1b[r\x1b[1;1H\x1b[2Kother",
		"home of such a region":         "\x1b[10;1H\x1b[30;45r" + secret + "\x1b[10;1H\x1b[2K",
		"origin mode":                   "\x1b[5;45r\x1b[?6h\x1b[31;1H" + secret + "\x1b[?6l\x1b[24;1H\x1b[2K",
		"to the right, backwards":       "\x1b[?7l" + letterwise(0, 121, secret),
		"wrapping, to the right":        letterwise(0, 121, secret) + "\x1b[K",
		"below, backwards":              letterwise(30, 1, secret) + "\x1b[24;1H\x1b[2K",
		"two rows below":                columns.String() + "\x1b[24;1H\x1b[2K",
		"pushed over the end":           "\x1b[H" + secret + "\x1b[H\x1b[80@",
		"inserted before":               "\x1b[H" + secret + "\x1b[H\x1b[4h" + strings.Repeat("x", 80),
		"lines inserted above":          "\x1b[24;1H" + secret + "\x1b[H\x1b[L",
		"scrolled down by RI":           "\x1b[24;1H" + secret + "\x1b[H\x1bM",
		"scrolled off no main screen":   "\x1b[?1049h\x1b[H" + secret + strings.Repeat("\n", 30),
		"erased above line feeds":       feeds + secret + "\x1b[24;1H\x1b[1J",
		"a character erased":            feeds + secret + "\x1b[24;1H\x1b[20X",
		"deleted":                       feeds + secret + "\x1b[24;1H\x1b[20P",
		"a line deleted":                feeds + secret + "\x1b[24;1H\x1b[M",
		"behind tabs, backwards":        "\x1b[?7l" + strings.Repeat("\t", 15) + strings.Join(strings.Split(secret, ""), "\x1b[m") + "\x1b[1;80H\x1b[K",
		"wide letters":                  "\x1b[?7l\x1b[121Gsecret 日本\x1b[1;80H\x1b[K",
		"behind what is as wide as not": "\x1b[H" + strings.Repeat("❤\ufe0f", 40) + secret + "\x1b[1;41H\x1b[K",
		"behind what some don't show":   "\x1b[H" + strings.Repeat("\u0600", 40) + secret + "\x1b[1;1H\x1b[40X",
		"behind new wide ones":          "\x1b[H" + strings.Repeat("\u4dc0", 20) + secret + "\x1b[1;21H\x1b[K",
		"behind emoji":                  "\x1b[H" + strings.Repeat("\U0001f600", 20) + secret + "\x1b[1;41H\x1b[K",
		"behind vowels of Hangul":       "\x1b[H" + strings.Repeat("\u1100\u1161", 10) + secret + "\x1b[1;21H\x1b[K",
		"behind vowels of Hindi":        "\x1b[H" + strings.Repeat("\u0915\u093e", 10) + secret + "\x1b[1;21H\x1b[K",
	} {
		for _, pause := range []time.Duration{0, 60 * time.Millisecond, 5 * time.Second} {
			var all strings.Builder
			tr := NewTranscript(80, 24, func(l Line) { fmt.Fprintf(&all, "%v: %s\n", l.Kind, l.Text) })
			cut := 0
			if strings.HasPrefix(in, feeds) {
				cut = len(feeds)
			}
			tr.Write(time.Second, []byte(in[:cut]))
			tr.Write(time.Second+pause, []byte(in[cut:]))
			tr.Close(time.Minute)
			want := secret
			if name == "wide letters" {
				want = "secret 日本"
			}
			if !strings.Contains(all.String(), want) {
				t.Errorf("%s, %v: not told:\n%s", name, pause, all.String())
			}
		}
	}
}

// What is erased where a larger screen has it, too, is gone there: programs that draw over
// what they wrote, at the bottom as elsewhere, aren't told anew for that.
func TestLargerScreensEraseToo(t *testing.T) {
	down := strings.Repeat("line\r\n", 40)
	for name, in := range map[string]string{
		"a line":        down + "Loading\r\x1b[KDone",
		"in place":      down + "Loading\b\b\b\b\b\b\bDone   ",
		"a wrapped one": strings.Repeat("x", 70) + "Loading it all\r\x1b[K" + strings.Repeat("x", 10) + "Done",
		"a pager":       "\x1b[?1049h\x1b[H" + strings.Repeat("line\r\n", 23) + "Loading\r\x1b[Kline\r\nDone",
		"a region":      "\x1b[2;24r\x1b[24;1HLoading\r\x1b[K\nDone\x1b[r",
		"two rows":      down + "Loading\r\n\r\n\x1b[2A\x1b[KDone",
	} {
		if got := told(80, 24, in, "\r\n"); strings.Contains(strings.Join(got, "\n"), "Loading") && name != "a wrapped one" || !slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, "Done") }) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What stands beyond the screen is bounded.
func TestBeyondIsBounded(t *testing.T) {
	n := 0
	tr := NewTranscript(80, 24, func(Line) { n++ })
	for i := range 400 {
		tr.Write(time.Duration(i)*time.Millisecond, []byte(letterwise(100+i, 100, fmt.Sprint("row ", i, " ", strings.Repeat("x", 300)))))
		if size := tr.far.size; size > maxBeyond {
			t.Fatalf("%d letters", size)
		}
	}
	var far strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&far, "\x1b[%d;1Hx", 600+i)
	}
	tr.Write(time.Second, []byte(far.String()+"\x1b[2;4r\x1b[4;1H"))
	most := 0
	for range 100 { // each line feed moves them
		tr.Write(time.Second, []byte("\n"))
		most += len(tr.far.rows)
	}
	if most > maxSpare {
		t.Errorf("%d rows are moved by 100 bytes", most)
	}
	tr.Close(time.Minute)
	if n < 400 {
		t.Errorf("%d lines", n)
	}
}
