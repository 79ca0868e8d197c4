package play

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"entry/session/recording"
)

// clean sanitises in pieces of n bytes.
func clean(t testing.TB, in string, n int, player bool) string {
	t.Helper()
	var b strings.Builder
	s := sanitise(&b)
	if player {
		s = sanitiseForPlayer(&b)
	}
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
	return b.String()
}

func TestSanitise(t *testing.T) {
	for _, tc := range []struct{ name, in, want, player string }{
		{"text", "naïve ☃ 🙂 x\r\n\ty\b", "naïve ☃ 🙂 x\r\n\ty\b", "="},
		{"colours", "\x1b[1;38:2::10:20:30mx\x1b[0m\x1b[m", "=", "="},
		{"cursor movement", "\x1b[A\x1b[10;20H\x1b[3G\x1b7\x1b8\x1b[s\x1b[u", "=", "="},
		{"erasing and editing", "\x1b[2J\x1b[K\x1b[4X\x1b[2P\x1b[3@\x1b[L\x1b[M", "=", "="},
		{"erasing the scrollback", "\x1b[3Jx\x1b[03J", "x", "="},
		{"title", "a\x1b]0;pwned\ab\x1b]2;x\x1b\\c", "abc", "="},
		{"clipboard", "\x1b]52;c;cm0gLXJm\ax", "x", "="},
		{"hyperlink", "\x1b]8;;file:///etc/passwd\x1b\\x\x1b]8;;\x1b\\", "x", "="},
		{"DCS, APC, PM, SOS", "\x1bP$q\"p\x1b\\a\x1b_G\x1b\\b\x1b^x\x1b\\c\x1bXx\x1b\\d", "abcd", "="},
		{"BEL doesn't end DCS", "\x1bPx\ay\x1b\\z", "z", "="},
		{"queries", "\x1b[6n\x1b[c\x1b[>c\x1b[=c\x1b[5n\x1b[?15n\x1b[18t\x1bZ\x1b[x\x1b[>q\x05x", "x", "="},
		{"reset", "\x1bc\x1b[!px", "x", "="},
		{"mouse and paste", "\x1b[?1000h\x1b[?2004hx", "x", "="},
		{"kitty and xterm keys", "\x1b[>4;1m\x1b[>1u\x1b[=1;1ux", "x", "="},
		{"window", "\x1b[8;1;1t\x1b[3;0;0tx", "x", "="},
		{"repeat", "x\x1b[2147483647b", "x", "="},
		{"absurd count", "\x1b[999999Lx", "x", "="},
		{"long parameters", "\x1b[" + strings.Repeat("1;", 99) + "mx", "x", "="},
		{"C1 in UTF-8", "\u009b31mx\u009d0;t\u009cy", "31mx0;ty", "="},
		{"C1 as bytes", "\x9b31mx", "\uFFFD31mx", "="},
		{"C1 as escapes", "a\x1bDb\x1bEc\x1bMd\x1bHe\x1bNf", "a\nb\r\nc\x1b[Adef", "a\x1bDb\x1bEc\x1bMd\x1bHef"},
		{"bidi", "a\u202eb\u2066c\u200f\u061cd", "a\uFFFDb\uFFFDc\uFFFD\uFFFDd", "="},
		{"tags and separators", "a\U000e0041b\u2028c", "a\uFFFDb\uFFFDc", "="},
		{"bad UTF-8", "a\xffb\xe2\x28c\xe2\x82", "a\uFFFDb\uFFFD(c\uFFFD", "="},
		{"BEL, NUL, DEL, SO, SI", "a\a\x00\x7f\x0e\x0fb", "ab", "a\x0e\x0fb"},
		{"line feeds of other names", "a\vb\fc", "a\nb\nc", "="},
		{"control inside a sequence", "\x1b[3\n1mx", "\n\x1b[31mx", "="},
		{"cancelled", "\x1b[31\x18x\x1b]0;t\x1ay", "xy", "="},
		{"restarted", "\x1b[3\x1b[1mx\x1b\x1b[mx", "\x1b[1mx\x1b[mx", "="},
		{"text inside a sequence", "\x1b[3é", "é", "="},
		{"cut", "x\x1b[31", "x", "="},
		{"alternate screen", "\x1b[?1049;2004;25h\x1b[2;5r\x1b[?25l\x1b(0x\x1b(B\x1b[Sx", "xx", "\x1b[?1049;25h\x1b[2;5r\x1b[?25l\x1b(0x\x1b(B\x1b[Sx"},
		{"character sets", "\x1b%G\x1b#8\x1b)Kx", "x", "="},
		{"open string doesn't hide the rest", "\x1b]0;" + strings.Repeat("t", 2*maxString) + "x", strings.Repeat("t", maxString+2) + "x", "="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.want == "=" {
				tc.want = tc.in
			}
			if tc.player == "=" {
				tc.player = tc.want
			}
			for _, n := range []int{1, 2, 3, 1 << 20} {
				if got := clean(t, tc.in, n, false); got != tc.want {
					t.Errorf("in pieces of %d: %q, want %q", n, got, tc.want)
				}
				if got := clean(t, tc.in, n, true); got != tc.player {
					t.Errorf("for a player, in pieces of %d: %q, want %q", n, got, tc.player)
				}
			}
		})
	}
}

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
			if strings.HasPrefix(rest, "7") || strings.HasPrefix(rest, "8") {
				continue
			}
			end := strings.IndexFunc(rest, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= '@' && r <= 'Z' || r == '`' })
			if !strings.HasPrefix(rest, "[") || end < 0 || strings.Trim(rest[1:end], "0123456789;:") != "" {
				return "an escape that isn't plain CSI: " + rest[:min(len(rest), 10)]
			}
			if strings.IndexByte("cnthlqrxgiopybwzNQUVWOR", rest[end]) >= 0 {
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
	for _, s := range []string{"\x1b[31mx\x1b]0;t\a\x1b[6n", "\u202e\x9b\xe2\x82", "\x1b\x1b[\x1b]\x18\x1b[?1049h\x1bPq\x1b\\", "\x1b[1\x7f\n;2H"} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, n uint8) {
		for _, player := range []bool{false, true} {
			whole := clean(t, string(in), len(in)+1, player)
			if pieces := clean(t, string(in), int(n)+1, player); pieces != whole {
				t.Errorf("%q in pieces of %d gives %q, at once %q", in, int(n)+1, pieces, whole)
			}
			if again := clean(t, whole, len(whole)+1, player); again != whole {
				t.Errorf("sanitised again, %q becomes %q", whole, again)
			}
			if player {
				continue
			}
			if bad := forbidden(whole); bad != "" {
				t.Errorf("%q lets %s through: %q", in, bad, whole)
			}
		}
		// Whatever comes, a text has no controls at all.
		var out bytes.Buffer
		frames := []recording.Frame{{Kind: recording.Output, Data: in}}
		if err := text(from(frames), &out, recording.Header{}, recording.Channel{Number: 0}); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(out.String(), func(r rune) bool { return r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 }); i >= 0 {
			t.Errorf("%q as text holds a control: %q", in, out.String())
		}
	})
}
