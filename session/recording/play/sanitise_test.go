package play

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/screen"
)

// clean sanitises in pieces of n bytes.
func clean(t testing.TB, in string, n int) string {
	t.Helper()
	var b strings.Builder
	var long []int
	s := sanitise(&b, 80, func(n int) { long = append(long, n) })
	for len(in) > 0 {
		k := min(n, len(in))
		if _, err := s.Write([]byte(in[:k])); err != nil {
			t.Fatal(err)
		}
		in = in[k:]
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range long {
		fmt.Fprintf(&b, "[%d]", n)
	}
	return b.String()
}

func TestSanitise(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"text", "naïve ☃ 🙂 x\r\n\ty\b", "="},
		{"colours", "\x1b[1;38:2::10:20:30mx\x1b[0m\x1b[m", "="},
		{"cursor movement", "\x1b[A\x1b[10;20H\x1b[3G\x1b7\x1b8\x1b[s\x1b[u", "="},
		{"erasing and editing", "\x1b[2J\x1b[K\x1b[4X\x1b[2P\x1b[3@\x1b[L\x1b[M", "="},
		{"selective erasing", "\x1b[?2J\x1b[?K", "\x1b[2J\x1b[K"},
		{"erasing the scrollback", "\x1b[3Jx\x1b[03J", "x"},
		{"title", "a\x1b]0;pwned\ab\x1b]2;x\x1b\\c", "abc"},
		{"clipboard", "\x1b]52;c;cm0gLXJm\ax", "x"},
		{"hyperlink", "\x1b]8;;file:///etc/passwd\x1b\\x\x1b]8;;\x1b\\", "x"},
		{"DCS, APC, PM, SOS", "\x1bP$q\"p\x1b\\a\x1b_G\x1b\\b\x1b^x\x1b\\c\x1bXx\x1b\\d", "abcd"},
		{"BEL doesn't end DCS", "\x1bPx\ay\x1b\\z", "z"},
		{"queries", "\x1b[6n\x1b[c\x1b[>c\x1b[=c\x1b[5n\x1b[?15n\x1b[18t\x1bZ\x1b[x\x1b[>q\x05x", "x"},
		{"soft reset", "\x1b[!px", "="},
		{"alignment", "\x1b#8\x1b#3x", "\x1b#8x"},
		{"mouse and paste", "\x1b[?1000h\x1b[?2004hx", "x"},
		{"kitty and xterm keys", "\x1b[>4;1m\x1b[>1u\x1b[=1;1ux", "x"},
		{"window", "\x1b[8;1;1t\x1b[3;0;0tx", "x"},
		{"repeat", "x\x1b[2147483647b\x1b[3b", "x\x1b[9999b\x1b[3b"},
		{"insert and new line modes", "\x1b[4;12;20hx\x1b[4l", "\x1b[4h\x1b[20hx\x1b[4l"},
		{"absurd count", "\x1b[999999Lx", "\x1b[9999Lx"},
		{"long colours", "\x1b[" + strings.Repeat("1;", 99) + "mx", "="},
		{"endless parameters", "\x1b[" + strings.Repeat("1;", 999) + "mx", "x"},
		{"C1 in UTF-8", "\u009b31mx\u009d0;t\u009cy", "\x1b[31mxy"},
		{"C1 as bytes", "\x9b31mx", "\uFFFD31mx"},
		{"C1 as escapes", "a\x1bDb\x1bEc\x1bMd\x1bHe", "="},
		{"tab stops", "\x1b[3g\x1b[gx\x1bHy", "="},
		{"bidi", "a\u202eb\u2066c\u200f\u061cd", "abcd"},
		{"tags and separators", "a\U000e0041b\u2028c", "abc"},
		{"joiners and variants", "👩\u200d💻\ufe0f", "="},
		{"newer than players", "a\U0001faf9\U0001faf8\U0001fadcb", "a〓\U0001faf8〓b"},
		{"of no version", "a\U0001faffb", "a〓b"},
		{"bad UTF-8", "a\xffb\xe2\x28c\xe2\x82", "a\uFFFDb\uFFFD(c\uFFFD"},
		{"BEL, NUL, DEL", "a\a\x00\x7fb", "ab"},
		{"line feeds of other names", "a\vb\fc", "a\nb\nc"},
		{"control inside a sequence", "\x1b[3\n1mx", "\n\x1b[31mx"},
		{"cancelled", "\x1b[31\x18x\x1b]0;t\x1ay", "xy"},
		{"restarted", "\x1b[3\x1b[1mx\x1b\x1b[mx", "\x1b[1mx\x1b[mx"},
		{"text inside a sequence", "\x1b[3é", "é"},
		{"cut", "x\x1b[31", "x"},
		{"alternate screen", "\x1b[?1049;2004;25h\x1b[2;5r\x1b[?25l\x1b[Sx", "\x1b[?1049h\x1b[?25h\x1b[2;5r\x1b[?25l\x1b[Sx"},
		{"character sets", "\x1b(0qx\x1b(Bq\x1b)0\x0eq\x0fq\x1b%G", "─│q─q"},
		{"G2 and G3", "\x1b*0\x1bnq\x0f\x1b+0\x1bOqq", "──q"},
		{"saved character sets", "\x1b7\x1b(0q\x1b8q", "\x1b7─\x1b8q"},
		{"a long string", "a\x1b]0;" + strings.Repeat("t", 2*maxString) + "\ab", "ab[8194]"},
		{"a long string without an end", "a\x1b]0;" + strings.Repeat("t", 2*maxString), "a[8194]"},
		{"palette of the Linux console", "a\x1b]Rb\x1b]P1aabbccd", "abd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.want == "=" {
				tc.want = tc.in
			}
			for _, n := range []int{1, 2, 3, 1 << 20} {
				if got := clean(t, tc.in, n); got != tc.want {
					t.Errorf("in pieces of %d: %q, want %q", n, got, tc.want)
				}
			}
		})
	}
}

// known is a text as the export has it, with a sign for what is newer than players' tables.
func known(text string) string {
	return strings.Map(func(r rune) rune {
		if screen.Width(r) == 2 && !unicode.IsGraphic(r) {
			return '〓'
		}
		return r
	}, text)
}

// draws returns what a terminal shows, in words and styles.
func draws(term *screen.Terminal) string {
	var b []byte
	_, rows := term.Size()
	for y := range rows {
		last := screen.Style{}
		row := len(b)
		for _, c := range term.Cells(y) {
			if s := c.Style(); s != last {
				b, last = s.AppendSGR(b), s
			}
			b = append(b, known(term.Text(c))...)
		}
		b = append(b[:row], bytes.TrimRight(b[row:], " ")...)
		b = append(b, '\n')
	}
	x, y, visible := term.Cursor()
	return fmt.Sprintf("%s%d,%d %v", b, x, y, visible)
}

// What is exported draws the cells that were recorded.
func TestSanitisedDrawsTheSame(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "screen", "testdata", "captures.jsonl.gz"))
	testkit.Check(t, err)
	defer func() { testkit.Check(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	testkit.Check(t, err)
	n := 0
	for lines := json.NewDecoder(bufio.NewReader(z)); lines.More(); n++ {
		var c struct {
			Program, Term string
			Cols, Rows    int
			Events        [][]any
		}
		testkit.Check(t, lines.Decode(&c))
		raw, safe := screen.New(c.Cols, c.Rows), screen.New(c.Cols, c.Rows)
		s := sanitise(writerTo{safe}, c.Cols, nil)
		for i, e := range c.Events {
			switch e[0] {
			case "o":
				var b []byte
				testkit.Check(t, json.Unmarshal([]byte(`"`+e[1].(string)+`"`), &b))
				raw.Write(b)
				_, err := s.Write(b)
				testkit.Check(t, err)
			case "r":
				raw.Resize(int(e[1].(float64)), int(e[2].(float64)))
				safe.Resize(int(e[1].(float64)), int(e[2].(float64)))
			}
			if a, b := draws(raw), draws(safe); a != b {
				t.Errorf("%s in %s, event %d:\n%s\nexported\n%s", c.Program, c.Term, i, a, b)
				break
			}
		}
	}
	if n < 50 {
		t.Errorf("%d captures", n)
	}
}

// writerTo is a terminal as an io.Writer.
type writerTo struct{ term *screen.Terminal }

func (w writerTo) Write(b []byte) (int, error) { w.term.Write(b); return len(b), nil }

// forbidden returns what in s must never reach a terminal. It knows nothing of
// how sanitiser works.
func forbidden(s string) string {
	if !utf8.ValidString(s) {
		return "bytes that aren't UTF-8"
	}
	for i, r := range s {
		switch {
		case r == 0x1b:
			rest := s[i+1:]
			if rest != "" && strings.IndexByte("78DEMH", rest[0]) >= 0 || strings.HasPrefix(rest, "#8") || strings.HasPrefix(rest, "[!p") {
				continue
			}
			end := strings.IndexFunc(rest, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= '@' && r <= 'Z' || r == '`' })
			if !strings.HasPrefix(rest, "[") || end < 0 || strings.Trim(rest[1:end], "0123456789;:?") != "" {
				return "an escape that isn't plain CSI: " + rest[:min(len(rest), 10)]
			}
			body := rest[1:end]
			if strings.IndexByte("cntqxiopywzNQUVWOR", rest[end]) >= 0 ||
				strings.HasPrefix(body, "?") && !strings.Contains(" ?6 ?7 ?25 ?47 ?1047 ?1048 ?1049 ", " "+body+" ") ||
				strings.IndexByte("hl", rest[end]) >= 0 && body != "4" && body != "20" && body[:1] != "?" {
				return "CSI " + rest[:end+1]
			}
		case r < 0x20 && !strings.ContainsRune("\r\n\t\b", r), r == 0x7f, r >= 0x80 && r < 0xa0:
			return "a control character"
		case r == 0x61c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return "a bidi control"
		}
	}
	return ""
}

func FuzzSanitise(f *testing.F) {
	for _, s := range []string{
		"\x1b[31mx\x1b]0;t\a\x1b[6n", "\u202e\x9b\xe2\x82", "\x1b\x1b[\x1b]\x18\x1b[?1049h\x1bPq\x1b\\", "\x1b[1\x7f\n;2H",
		"\x1b(0q\x1b7\x1bn\x1b[?1049hq\x1b8q\x1b[?1049lq", "a\x1b[5b\x1b[4hb\x1bcc\x1b#8\x1b[!p", "\x1b[3g\x1bH\x1b[?6h\x1b[2;3r\x1bcx\ty",
	} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, n uint8) {
		whole := clean(t, string(in), len(in)+1)
		if pieces := clean(t, string(in), int(n)+1); pieces != whole {
			t.Errorf("%q in pieces of %d gives %q, at once %q", in, int(n)+1, pieces, whole)
		}
		if again := clean(t, whole, len(whole)+1); again != whole {
			t.Errorf("sanitised again, %q becomes %q", whole, again)
		}
		if bad := forbidden(whole); bad != "" {
			t.Errorf("%q lets %s through: %q", in, bad, whole)
		}
		raw, safe := screen.New(80, 24), screen.New(80, 24)
		raw.Write(append(in, 0x18)) // which ends whatever the input left open
		safe.Write([]byte(clean(t, string(in)+"\x18", len(in)+2)))
		if a, b := draws(raw), draws(safe); a != b {
			t.Errorf("%q draws\n%s\nand exported as %q\n%s", in, a, whole, b)
		}
		// Whatever comes, a text has no controls at all.
		var out bytes.Buffer
		frames := []recording.Frame{{Kind: recording.Output, Data: in}}
		if err := text(from(frames), &out, recording.Header{}, recording.Channel{Number: 0}, nil); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(out.String(), func(r rune) bool { return r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 }); i >= 0 {
			t.Errorf("%q as text holds a control: %q", in, out.String())
		}
	})
}
