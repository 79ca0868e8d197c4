package screen

import (
	"strings"
	"testing"
)

// display is what a terminal shows: its rows without trailing blanks, and no
// blank rows at the end.
func display(t *Terminal) string {
	var b strings.Builder
	for y := range t.rows {
		for _, c := range t.Cells(y) {
			b.WriteString(t.Text(c))
		}
		b.WriteByte('\n')
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func TestTerminal(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"text", "ab\r\ncd", "ab\ncd"},
		{"autowrap", "0123456789abc", "0123456789\nabc"},
		{"wrap is pending", "0123456789\rX", "X123456789"},
		{"backspace from a pending wrap", "0123456789\bX", "01234567X9"},
		{"no autowrap", "\x1b[?7l0123456789abc", "012345678c"},
		{"autowrap again", "\x1b[?7l0123456789ab\x1b[?7hcd", "012345678c\nd"},
		{"tabs", "a\tb\x1b[3g\rc\td", "c       bd"},
		{"tab stops", "\x1b[3g\x1b[4G\x1bH\r\tx\x1b[Zy\x1b[1;1H\x1b[2Iz", "   y     z"},
		{"insert mode", "abc\x1b[2G\x1b[4hXY\x1b[4lZ", "aXYZc"},
		{"repeat", "a\x1b[3bc", "aaaac"},
		{"repeat wraps", "ab\x1b[9b", "abbbbbbbbb\nb"},
		{"repeat of graphics", "\x1b(0q\x1b[2b\x1b(Bq", "───q"},
		{"repeat of nothing", "\x1b[2bx", "x"},
		{"graphics", "\x1b(0lqk\x1b(Blqk", "┌─┐lqk"},
		{"shifts", "\x1b)0a\x0eq\x0fq", "a─q"},
		{"G2 by LS2", "\x1b*0\x1bnq\x0fq", "─q"},
		{"G3 by LS3", "\x1b+0\x1boq\x0fq", "─q"},
		{"SS2", "\x1b*0\x1bNqq", "─q"},
		{"SS3 as C1", "\x1b+0\u008fqq", "─q"},
		{"British", "\x1b(A#", "£"},
		{"C1 in UTF-8", "a\u009b3Cb\u0085c", "a   b\nc"},
		{"C1 as bytes is no C1", "a\x9b3Cb", "a�3Cb"},
		{"wide", "日本x", "日本x"},
		{"wide wraps", "123456789日", "123456789\n日"},
		{"half of a wide one", "日本\x1b[2GX", " X本"},
		{"the other half", "日本\x1b[3GX", "日X"},
		{"combining", "e\u0301x", "e\u0301x"},
		{"combining on a pending wrap", "012345678e\u0301x", "012345678e\u0301\nx"},
		{"joined emoji", "👩\u200d💻x", "👩\u200d💻x"},
		{"bidi and invisible ones", "a\u202eb\u200bc\U000e0041d", "abcd"},
		{"no character", "a\ufffeb\xffc", "a�b�c"},
		{"a character in pieces", "\xe6\x97\xa5x\xe6\x97x", "日x�x"},
		{"cursor", "\x1b[2;3Hx\x1b[Ay\x1b[2Dz\x1b[Bw\x1b[Ev\x1b[Fu", "  zy\nu xw\nv"},
		{"columns and rows", "\x1b[5Ga\x1b[3dx\x1b[2`b\x1b[2aq\x1b[1ew", "    a\n\n b  qx\n     w"},
		{"erase in line", "abcdef\x1b[3G\x1b[1Kx\x1b[K", "  x"},
		{"erase in display", "ab\r\ncd\r\nef\x1b[2;1H\x1b[1JX", "\nXd\nef"},
		{"erase below", "ab\r\ncd\r\nef\x1b[2;2H\x1b[J", "ab\nc"},
		{"erase characters", "abcdef\x1b[2G\x1b[3X", "a   ef"},
		{"insert and delete", "abcdef\x1b[2G\x1b[2@x\x1b[3P", "axdef"},
		{"insert and delete lines", "a\r\nb\r\nc\x1b[2;1H\x1b[Lx\x1b[1;1H\x1b[M", "x\nb\nc"},
		{"scroll region", "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[3;1H\nX", "a\nc\nX\nd"},
		{"reverse index in a region", "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[2;1H\x1bMX", "a\nX\nb\nd"},
		{"scroll up and down", "a\r\nb\r\nc\x1b[2S\x1b[T", "\nc"},
		{"index", "a\x1bDb\x1bEc", "a\n b\nc"},
		{"origin mode", "\x1b[2;3r\x1b[?6ha\x1b[9;2Hb\x1b[?6lc", "c\na\n b"},
		{"save and restore", "ab\x1b7\x1b[3;3Hx\x1b8c\x1b[s\x1b[4;1Hy\x1b[ud", "abcd\n\n  x\ny"},
		{"saved pending wrap", "0123456789\x1b7\r\x1b8x", "0123456789\nx"},
		{"alternate screen 1049", "ab\x1b[?1049hxy\x1b[?1049lc", "abc"},
		{"in the alternate screen", "ab\x1b[?1049hxy", "  xy"},
		{"alternate screen 47 keeps", "ab\x1b[?47hxy\x1b[?47lc\x1b[?47h", "  xy"},
		{"alternate screen 1047 clears", "ab\x1b[?1047hxy\x1b[?1047l\x1b[?47h", ""},
		{"1048", "ab\x1b[?1048h\x1b[3;3H\x1b[?1048lc", "abc"},
		{"RIS", "ab\x1b[4h\x1b(0\x1b[2;3r\x1bcq", "q"},
		{"DECSTR", "\x1b[4h\x1b(0\x1b[?6h\x1b[2;3r\x1b[!p\x1b[4;1Hqq\rx", "\n\n\nxq"},
		{"DECALN", "ab\x1b#8", strings.TrimRight(strings.Repeat("EEEEEEEEEE\n", 4), "\n")},
		{"newline mode", "a\x1b[20hb\nc", "ab\nc"},
		{"scrolls", "1\r\n2\r\n3\r\n4\r\n5", "2\n3\n4\n5"},
		{"long strings", "a\x1b]0;" + strings.Repeat("t", 1<<20) + "\ab\x1bP" + strings.Repeat("\a", 9000) + "\x1b\\c\x1b_x\x1b\\d\x1b^x\u009ce\x1bXx\x1b\\f", "abcdef"},
		{"a quote in a title is no ST", "a\x1b]0;“x\ab", "ab"},
		{"palette of the Linux console", "a\x1b]Rb\x1b]P1aabbccd", "abd"},
		{"cancelled", "a\x1b[3\x18b\x1b]x\x1ac", "abc"},
		{"interrupted", "a\x1b[3\x1b[2Cb", "a  b"},
		{"control inside a sequence", "ab\x1b[1\rCc", "ac"},
		{"64 parameters", "a\x1b[" + strings.Repeat("1;", 99) + "mb", "ab"},
		{"huge numbers", "\x1b[99999999999999999999;99999999999999Hx\x1b[99999999999Lb", "\n\n\nb"},
		{"unknown", "a\x1b[?2004h\x1b[>4;1m\x1b[6n\x1b[c\x1b[8;1;1t\x1b[ q\x1b[$yb", "ab"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 1 << 30} {
				term := New(10, 4)
				for in := tc.in; in != ""; {
					k := min(n, len(in))
					term.Write([]byte(in[:k]))
					in = in[k:]
				}
				if got := display(term); got != tc.want {
					t.Errorf("in pieces of %d:\n%q, want\n%q", n, got, tc.want)
				}
			}
		})
	}
}

func TestStyles(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", "\x1b[0m"},
		{"1;3;4;7;9", "\x1b[0;1;3;4;7;9m"},
		{"1;2;22;4;24;53;55;21", "\x1b[0;21m"},
		{"31;42", "\x1b[0;31;42m"},
		{"91;102", "\x1b[0;91;102m"},
		{"38;5;9;48;5;200", "\x1b[0;91;48;5;200m"},
		{"38;2;1;2;3;48;2;4;5;6;1", "\x1b[0;1;38;2;1;2;3;48;2;4;5;6m"},
		{"38:2::1:2:3;48:2:4:5:6", "\x1b[0;38;2;1;2;3;48;2;4;5;6m"},
		{"38:5:99", "\x1b[0;38;5;99m"},
		{"4:3", "\x1b[0;4m"},
		{"4:0", "\x1b[0m"},
		{"58;2;1;2;3;1", "\x1b[0;1m"},
		{"38;5;300;1", "\x1b[0;1m"},
		{"38;2;1", "\x1b[0m"},
		{"38", "\x1b[0m"},
		{"31;;1", "\x1b[0;1m"},
		{"31;39;41;49", "\x1b[0m"},
	} {
		term := New(10, 4)
		term.Write([]byte("\x1b[" + tc.in + "mx"))
		if got := string(term.Cells(0)[0].Style().AppendSGR(nil)); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestResize(t *testing.T) {
	for _, tc := range []struct {
		name       string
		in         string
		cols, rows int
		then, want string
	}{
		{"narrower", "0123456789ab\r\nx", 5, 4, "y", "56789\nab\nxy"},
		{"wider", "0123456789ab\r\nx", 20, 4, "y", "0123456789ab\nxy"},
		{"lower", "1\r\n2\r\n3", 10, 2, "y", "2\n3y"},
		{"lower, with room below", "1\r\n2", 10, 2, "y", "1\n2y"},
		{"higher", "1\r\n2\r\n3\r\n4\r\n5", 10, 6, "y", "1\n2\n3\n4\n5y"},
		{"alternate screen is cut", "a\x1b[?1049h\x1b[H0123456789", 5, 4, "", "01234"},
		{"zero is the customary size", "0123456789ab", 0, 0, "c", "0123456789abc"},
		{"wide at the edge", "\r\n\r\n\r\n12日本", 3, 4, "", "\n12\n日\n本"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			term := New(10, 4)
			term.Write([]byte(tc.in))
			term.Resize(tc.cols, tc.rows)
			term.Write([]byte(tc.then))
			if got := display(term); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	term := New(10, 4)
	for _, s := range [][2]int{{1 << 30, 1 << 30}, {1, 1}, {1, 1000}, {1000, 1}, {-1, 5}} {
		term.Resize(s[0], s[1])
		term.Write([]byte("日é\x1b[?1049h\x1b[5;5Hx\x1b[?1049l"))
	}
	if cols, rows := term.Size(); cols != DefaultCols || rows != DefaultRows {
		t.Errorf("%dx%d", cols, rows)
	}
}

// sound tells what of a terminal doesn't hold together.
func sound(t *Terminal) string {
	if t.x < 0 || t.x >= t.cols || t.y < 0 || t.y >= t.rows || len(t.main.rows) != t.rows || len(t.alt.rows) != t.rows || len(t.back) > t.maxBack {
		return "size or cursor"
	}
	for y := range t.rows {
		cells := t.Cells(y)
		if len(cells) > t.cols {
			return "a row is too long"
		}
		for x, c := range cells {
			if left := c.attr&wide != 0; left != (x+1 < len(cells) && cells[x+1].attr&tail != 0) {
				return "half of a wide character"
			}
			if c.attr&tail != 0 && (x == 0 || cells[x-1].attr&wide == 0) {
				return "the other half of a wide character"
			}
			for _, r := range t.Text(c) {
				if r < 0x20 || r >= 0x7f && r < 0xa0 {
					return "a control character"
				}
			}
		}
	}
	return ""
}

func FuzzTerminal(f *testing.F) {
	f.Add([]byte("日\x1b[2;3r\x1b[?6h\x1b[5@\x1b[3P\x1b[2L\x1b[M\x1b[4h本\x1b[9b"), uint16(10), uint16(4), uint16(3), uint16(9))
	f.Add([]byte("\x1b[?1049h\x1b[38;2;1;2;3m\x1b]0;x\a\x1b[41m\x1b[K\x1b[3X"), uint16(2), uint16(2), uint16(1), uint16(1))
	f.Fuzz(func(t *testing.T, in []byte, cols, rows, cols2, rows2 uint16) {
		cols, rows, cols2, rows2 = cols%50, rows%50, cols2%50, rows2%50
		whole, pieces := New(int(cols), int(rows)), New(int(cols), int(rows))
		for range 2 {
			whole.Write(in)
			for i := range in {
				pieces.Write(in[i : i+1])
			}
			if a, b := display(whole), display(pieces); a != b {
				t.Fatalf("%q at once gives %q, in pieces %q", in, a, b)
			}
			if bad := sound(whole); bad != "" {
				t.Fatalf("%q: %s", in, bad)
			}
			whole.Resize(int(cols2), int(rows2))
			pieces.Resize(int(cols2), int(rows2))
			if bad := sound(whole); bad != "" {
				t.Fatalf("%q, resized: %s", in, bad)
			}
		}
	})
}
