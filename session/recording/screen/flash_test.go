package screen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// bare is a text in small letters without marks.
func bare(text []byte) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.M, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(string(text))))
}

// told is the transcript of what is drawn, and n times anew.
func drawn(n int, every, shown time.Duration, draw func(i int) string, wipe string) (lines []Line, end time.Duration) {
	tr := NewTranscript(80, 24, func(l Line) {
		l.Text, l.came = slices.Clone(l.Text), slices.Clone(l.came)
		lines = append(lines, l)
	})
	at := time.Second
	for i := range n {
		tr.Write(at, []byte(draw(i)))
		if shown < every {
			tr.Write(at+shown, []byte(wipe))
		}
		at += every
	}
	tr.Write(at, []byte("\x1b[H"+strings.Repeat("\x1b[2K\x1b[B", 23)+"\x1b[2K")) // clearing all at once leaves it above the screen of some terminals
	tr.Close(at + 5*time.Second)
	return lines, at
}

// Whatever a person reads that comes and goes is told whole, and of any time between, though
// what is drawn beside it, where it stands and how its letters look change each time.
func TestTranscriptOfFlashes(t *testing.T) {
	letter := func(i int) string { return string(rune('a' + i%26)) }
	noise := func(i, n, every int) string {
		var b strings.Builder
		for k := range n {
			if i = (i*7919 + 104729 + k) & 0xffffff; k%every == every-1 {
				b.WriteByte(' ')
			} else {
				b.WriteString(letter(i >> 4))
			}
		}
		return b.String()
	}
	flood := func(i, every int) string {
		var b strings.Builder
		for y := 3; y < 24; y++ {
			fmt.Fprintf(&b, "\x1b[%d;1H%s", y, noise(i*20+y, 75, every))
		}
		return b.String()
	}
	for name, tc := range map[string]struct {
		text string
		draw func(i int) string
	}{
		"alone":                       {"patient7", func(int) string { return "patient7" }},
		"a letter glued to it":        {"patient7", func(i int) string { return "patient7" + letter(i) }},
		"between letters":             {"patient7", func(i int) string { return letter(i) + "patient7" + letter(i+3) }},
		"between letters, and moving": {"patient7", func(i int) string { return strings.Repeat(" ", i%7) + letter(i) + "patient7" + letter(i+3) }},
		"on other rows":               {"patient7", func(i int) string { return fmt.Sprintf("\x1b[%d;%dH%spatient7", i%10+1, i%30+1, letter(i)) }},
		"a short one":                 {"id7", func(i int) string { return letter(i) + "id7" + letter(3*i) }},
		"a phrase":                    {"patient seven dies", func(i int) string { return letter(i) + "patient seven dies" + letter(i) }},
		"letters apart":               {"p a t i e n t", func(i int) string { return letter(i) + " p a t i e n t " + letter(i) }},
		"marks that change": {"patient", func(i int) string {
			var b strings.Builder
			for k, c := range "patient" {
				fmt.Fprintf(&b, "%c%c", c, 0x300+(i*7+k*3)%30)
			}
			return b.String()
		}},
		"accents that change": {"eueoaue", func(i int) string {
			var b strings.Builder
			for k, forms := range [][]rune{[]rune("eéèêë"), []rune("uúùûü"), []rune("eéèêë"), []rune("oóòôö"), []rune("aáàâä"), []rune("uúùûü"), []rune("eéèêë")} {
				b.WriteRune(forms[(i*5+k*3+i/3)%5])
			}
			return b.String()
		}},
		"capitals that change": {"patientkowalski", func(i int) string {
			return strings.Map(func(r rune) rune {
				if i = i * 5 >> 1 & 0xffff; (i+int(r))%3 == 0 {
					return unicode.ToUpper(r)
				}
				return r
			}, "patientkowalski")
		}},
		"a flood of words":  {"patient7", func(i int) string { return letter(i) + "patient7" + flood(i, 80) }},
		"in a flood, moves": {"patient7", func(i int) string { return strings.Repeat(" ", i%30) + "patient7" + flood(i, 4) }},
		"a ticker":          {"kowalski", func(i int) string { return strings.Repeat(" ", max(0, 60-i)) + "patient kowalski has it" }},
	} {
		for _, pace := range [][2]int{{120, 60}, {60, 30}, {100, 90}, {40, 40}, {80, 80}} {
			every, shown := time.Duration(pace[0])*time.Millisecond, time.Duration(pace[1])*time.Millisecond
			lines, end := drawn(int(2400*time.Millisecond/every), every, shown, func(i int) string { return "\x1b[H\x1b[J" + tc.draw(i) }, "\x1b[H\x1b[J")
			if !slices.ContainsFunc(lines, func(l Line) bool { return strings.Contains(bare(l.Text), tc.text) }) {
				t.Errorf("%s, each %v for %v: not told", name, every, shown)
				continue
			}
			missed := time.Duration(0)
			for at := time.Second; at < end; at += every / 4 {
				if at = at.Truncate(time.Millisecond); (at-time.Second)%every < shown && !slices.ContainsFunc(lines, func(l Line) bool {
					was, ok := l.Before(at + 1)
					return l.Gone > at && (ok && strings.Contains(bare(was.Text), tc.text) || l.Flashed(at+1) && strings.Contains(bare(l.Text), tc.text))
				}) {
					missed += every / 4
				}
			}
			if missed >= settled {
				t.Errorf("%s, each %v for %v: nothing is told of %v", name, every, shown, missed)
			}
		}
	}
}

// What comes and goes is told, too, where a display shows it for a frame or two, wherever the
// transcript looks in between; in two parts by turns; where a line is wrapped; and whatever
// wipes it.
func TestTranscriptOfFlicker(t *testing.T) {
	letter := func(i int) string { return string(rune('a' + (7*i+i/3)%26)) }
	glued := func(i int) string { return "\r" + letter(i) + "patient7" + letter(i+1) }
	same := func(text string) func(int) string { return func(int) string { return text } }
	for _, tc := range []struct {
		name, text string
		show, hide func(i int) string
		paces      string // how long it shows and doesn't, in ms
	}{
		{"wiped", "patient7", glued, same("\r\x1b[K"), "15/15 19/1 10/10 12/18 5/5 60/60"},
		{"under blocks", "patient7", glued, same("\r##########"), "15/15 12/18 5/5 60/60"},
		{"erased", "patient7", glued, same("\r\x1b[20X"), "15/15 60/60"},
		{"deleted", "patient7", same("\x1b[5;1Hpatient7"), same("\x1b[5;1H\x1b[M"), "30/30 60/60"},
		{"on the other screen", "patient7", func(i int) string { return "\x1b[?1049h\x1b[H" + glued(i) }, same("\x1b[?1049l"), "30/30 60/60"},
		{"under a test picture", "patient7", func(i int) string { return "\x1b[2J\x1b[H" + glued(i) }, same("\x1b#8"), "30/30 60/60"},
		{"reset", "patient7", glued, same("\x1bc"), "30/30 60/60"},
		{"every other letter", "patient seven", same("\r\x1b[Kp t e t s v n"), same("\r\x1b[K a i n   e e"), "30/30 60/60 80/80"},
		{"every other word", "patient seven", same("\r\x1b[Kpatient"), same("\r\x1b[K        seven"), "30/30 60/60 80/80"},
		{"wrapped, moving", "patient7", func(i int) string {
			return fmt.Sprintf("\x1b[H\x1b[J\x1b[%d;%dHpatient7%s", i%7+1, 74+i%6, letter(i))
		}, same("\x1b[H\x1b[J"), "30/30 60/60"},
		{"wide letters, moving", "患者七", func(i int) string { return "\r" + strings.Repeat(" ", i%5) + letter(i) + "患者七" + letter(i) }, same("\r\x1b[K"), "30/30 60/60"},
	} {
		for _, pace := range strings.Fields(tc.paces) {
			var shows, hides int
			if n, err := fmt.Sscanf(pace, "%d/%d", &shows, &hides); n < 2 {
				t.Fatal(err)
			}
			lines, _ := drawn(100, time.Duration(shows+hides)*time.Millisecond, time.Duration(shows)*time.Millisecond, tc.show, tc.hide(0))
			if !slices.ContainsFunc(lines, func(l Line) bool { return strings.Contains(string(l.Text), tc.text) }) {
				t.Errorf("%s, %s: not told", tc.name, pace)
			}
		}
	}
	var lines []string
	tr := NewTranscript(80, 24, func(l Line) { lines = append(lines, string(l.Text)) })
	for at := 1000; at < 4000; at += 51 { // nothing shows whenever output went on for long enough to be looked at
		for k, text := range []string{"patient7", "\x1b[K", "patient7", "\x1b[K", "patient7", "\x1b[K"} {
			tr.Write(time.Duration(at+[]int{1, 19, 20, 38, 39, 50}[k])*time.Millisecond, []byte("\r"+text))
		}
	}
	if tr.Close(5 * time.Second); !slices.Contains(lines, "patient7") {
		t.Errorf("between looks: %q", lines)
	}
}

// What slides without being drawn anew is told of any time, too.
func TestTranscriptOfWhatSlides(t *testing.T) {
	for name, slide := range map[string]string{"insert mode": "\r\x1b[4hx\x1b[4l", "ICH": "\r\x1b[@", "IL": "\x1b[H\x1b[L", "RI": "\x1b[H\x1bM"} {
		for _, every := range []time.Duration{30, 60, 90, 150} {
			every *= time.Millisecond
			lines, end := drawn(20, every, every, func(i int) string {
				if i == 0 {
					return "patient kowalski"
				}
				return slide
			}, "")
			for at := time.Second; at < end; at += 10 * time.Millisecond {
				if !slices.ContainsFunc(lines, func(l Line) bool {
					was, ok := l.Before(at + 1)
					return l.Gone > at && (ok && strings.Contains(string(was.Text), "kowalski") || l.Flashed(at+1) && strings.Contains(string(l.Text), "kowalski"))
				}) {
					t.Errorf("%s, each %v: nothing is told of %v", name, every, at)
					break
				}
			}
		}
	}
}

// What stood for too short a time, all times together, isn't told, whatever it is made of.
func TestTranscriptOfWhatIsTooShort(t *testing.T) {
	for name, text := range map[string]string{"one letter, again and again": strings.Repeat("a", 40), "one word, again and again": strings.Repeat("patient ", 8), "words": "patient kowalski", "marks": "e\u0301e\u0301e\u0301e\u0301"} {
		lines, _ := drawn(1, 90*time.Millisecond, 90*time.Millisecond, func(int) string { return text }, "")
		if len(lines) > 0 {
			t.Errorf("%s: %q", name, lines[0].Text)
		}
	}
}

// A phrase is told as it stood, though no letter of it goes when others come between its
// words; text that comes behind it, or beside it in a column, is that of one line.
func TestTranscriptOfAPhraseThatIsFilled(t *testing.T) {
	for _, tc := range []struct {
		name   string
		pieces []piece
		want   []string
	}{
		{"then wiped", []piece{{0, "patient seven"}, {300, "\x1b[8Gx"}, {360, "\r\x1b[K"}}, []string{"0-patient seven"}},
		{"and stays", []piece{{0, "patient seven"}, {300, "\x1b[8G-"}, {1000, "\r\x1b[K"}}, []string{"0-patient seven", "300-patient-seven"}},
		{"then scrolled off", []piece{{0, "patient seven"}, {300, "\x1b[8Gx\x1b[4;1H\n"}}, []string{"0-patient seven", "300 patientxseven"}},
		{"then the end", []piece{{0, "patient seven"}, {300, "\x1b[8Gx"}}, []string{"0-patient seven", "300 patientxseven"}},
		{"in a wide gap", []piece{{0, "patient      seven"}, {300, "\x1b[8Gxxxxxx"}, {360, "\r\x1b[K"}}, []string{"0-patient      seven"}},
		{"in most of a gap", []piece{{0, "patient     dies"}, {300, "\x1b[9Gnot"}, {900, "\r\x1b[K"}}, []string{"0-patient     dies", "300-patient not dies"}},
		{"one of two blanks", []piece{{0, "patient  seven"}, {300, "\x1b[8G-"}, {360, "\r\x1b[K"}}, []string{"0-patient  seven"}},
		{"where the line is wrapped", []piece{{0, strings.Repeat("-", 12) + "patient seven"}, {300, "\x1b[1;20Hx"}, {360, "\x1b[H\x1b[2K\x1b[B\x1b[2K"}}, []string{"0-" + strings.Repeat("-", 12) + "patient seven"}},
		{"that stood too short", []piece{{0, "patient seven"}, {60, "\x1b[8Gx"}, {500, ""}}, []string{"60 patientxseven"}},
		{"a line that is typed", []piece{{0, "$ rm"}, {300, " x"}, {600, " y"}}, []string{"600 $ rm x y"}},
		{"typed before what stands at the right", []piece{{0, "$\x1b[16G9:30\x1b[3G"}, {300, "l"}, {600, "s"}, {900, " a"}}, []string{"900 $ ls a         9:30"}},
		{"a bar", []piece{{0, "50% [##  ]"}, {300, "\x1b[8G#"}, {600, "#"}}, []string{"600 50% [####]"}},
	} {
		if got := transcribe(20, 4, tc.pieces); !slices.Equal(slices.DeleteFunc(got, func(s string) bool { return strings.HasSuffix(s, " ") }), tc.want) {
			t.Errorf("%s: got\n%q\nwant\n%q", tc.name, got, tc.want)
		}
	}
}

// A letter's forms that stood for long enough are told each.
func TestTranscriptOfForms(t *testing.T) {
	got := transcribe(20, 4, []piece{{0, "cafe\u0301"}, {300, "\rcafe\u0300"}, {350, "\rcafé"}, {400, "\rcafe"}, {700, "\rCAFE"}, {1000, "\rx\x1b[K"}})
	if want := []string{"0-cafe\u0301", "400-cafe", "700-CAFE", "1000 x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
