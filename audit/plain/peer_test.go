package plain

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPeerText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, word, line, text, ascii, lines string
	}{
		{"word", "home.tinker", "home.tinker", "home.tinker", "home.tinker", "home.tinker", "home.tinker"},
		{"empty", "", `""`, "", "", "", ""},
		{"space", "a b", `"a b"`, "a b", "a b", "a b", "a b"},
		{"equals sign", "a=b", `"a=b"`, "a=b", "a=b", "a=b", "a=b"},
		{"quotes", `"'` + "`", `"\"'` + "`\"", `"'` + "`", `"'` + "`", `"'` + "`", `"'` + "`"},
		{"backslash", `a\b`, `"a\\b"`, `a\b`, `a\b`, `a\b`, `a\b`},
		{"letters", "zoë 数", `"zoë 数"`, `"zo\u00eb \u6570"`, "zoë 数", "zo? ?", "zoë 数"},
		{"no-break space", "a\u00a0:", `"a\u00a0:"`, `"a\u00a0:"`, "a\u00a0:", "a?:", "a\u00a0:"},
		{"escape sequence", "\x1b[2Jx", `"\x1b[2Jx"`, `"\x1b[2Jx"`, "?[2Jx", "?[2Jx", "[2Jx"},
		{"C1", "a\u009b31m", `"a\u009b31m"`, `"a\u009b31m"`, "a?31m", "a?31m", "a31m"},
		{"C1 byte", "a\x9b31m", `"a\x9b31m"`, `"a\x9b31m"`, `a\x9b31m`, "a?31m", "a?31m"},
		{"delete", "a\x7f", `"a\x7f"`, `"a\x7f"`, "a?", "a?", "a"},
		{"bidi", "a\u202eb\u2066c\u200fd\u061ce", `"a\u202eb\u2066c\u200fd\u061ce"`, `"a\u202eb\u2066c\u200fd\u061ce"`, "a?b?c?d?e", "a?b?c?d?e", "abcde"},
		{"separators", "a\u2028b\u2029c", `"a\u2028b\u2029c"`, `"a\u2028b\u2029c"`, "a?b?c", "a?b?c", "abc"},
		{"hidden", "a\ufeffb\u00adc", `"a\ufeffb\u00adc"`, `"a\ufeffb\u00adc"`, "a?b?c", "a?b?c", "abc"},
		{"joiner", "a\u200db", `"a\u200db"`, `"a\u200db"`, "a?b", "a?b", "a\u200db"},
		{"tag", "a\U000e0041b", `"a\U000e0041b"`, `"a\U000e0041b"`, "a?b", "a?b", "ab"},
		{"not UTF-8", "a\xff\xfeb", `"a\xff\xfeb"`, `"a\xff\xfeb"`, `a\xff\xfeb`, "a??b", "a?b"},
		{"two lines", "a\r\nb\tc\n", `"a\r\nb\tc\n"`, `"a\r\nb\tc\n"`, "a??b?c?", "a  b c", "a\nb c\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range []struct {
				name, got, want string
			}{
				{"Word", Word(tt.in), tt.word},
				{"Line", Line(tt.in), tt.line},
				{"Text", Text(tt.in), tt.text},
				{"ASCII", ASCII(tt.in, 100), tt.ascii},
				{"Lines", Lines(tt.in), tt.lines},
			} {
				if f.got != f.want {
					t.Errorf("%s(%+q) = %+q, want %+q", f.name, tt.in, f.got, f.want)
				}
			}
		})
	}
}

// What operators write to users comes as they wrote it, but for what would act on a
// terminal or hide something.
func TestOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"home is needed – Grüße, 数": "home is needed – Grüße, 数", "a\r\nb\tc \n": "a  b c", "a\x1b[2J\u202eb\u009b\xff": `a\x1b[2J\u202eb\u009b\xff`, "zoe\u0308": "zoe\u0308",
		strings.Repeat("é", 30): strings.Repeat("é", 20), strings.Repeat("a", 38) + "\x1b": strings.Repeat("a", 38), "": "",
	} {
		if got := OneLine(in, 40); got != want {
			t.Errorf("OneLine(%+q) = %+q, want %+q", in, got, want)
		}
	}
	if got, want := Said("Grüße\x1b\u202e\""), `"Grüße\x1b\u202e\""`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What is no UTF-8 is seen as its bytes, in whatever else a text has.
func TestBytesAreSeen(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{
		"rm Bj\xf8rk.txt": {`rm Bj\xf8rk.txt`, `rm Bj\xf8rk.txt`}, "blåbær": {"blåbær", `bl\u00e5b\u00e6r`}, "\xe5å\xff": {`\xe5å\xff`, `\xe5\u00e5\xff`},
		"\ufffd": {"\ufffd", `\ufffd`}, "a\\b\n\x1b\u009b": {"a\\b\n\x1b\u009b", `a\\b\n\x1b\u009b`}, `"`: {`"`, `"`}, "": {"", ""},
	} {
		if got := [2]string{UTF8(in), Escaped(in, 100)}; got != want {
			t.Errorf("%+q is shown as %+q, want %+q", in, got, want)
		}
	}
	if got := Escaped("ab\xff", 5); got != "ab" {
		t.Errorf("a cut character: %q", got)
	}
}

func TestASCIIIsBounded(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"abcdef": "abc", "ab": "ab", "éèêë": "???", "ab cd": "ab", "": ""} {
		if got := ASCII(in, 3); got != want {
			t.Errorf("ASCII(%q, 3) = %q, want %q", in, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		most int
		want string
	}{
		{"", 0, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc..."},
		{"aéb", 2, "a..."},
		{"aéb", 3, "aé..."},
		{"😀😀", 7, "😀..."},
		{"😀", 2, "..."},
		{"\x80\x80\x80\x80\x80\x80", 4, "\x80\x80\x80\x80..."},
	}
	for _, tt := range tests {
		if got := Clip(tt.in, tt.most); got != tt.want {
			t.Errorf("Clip(%+q, %d) = %+q, want %+q", tt.in, tt.most, got, tt.want)
		}
	}
}

// FuzzPeerText holds every function to the package's guarantee.
func FuzzPeerText(f *testing.F) {
	for _, s := range []string{"", "home", "\x1b]0;x\x07", "a\u009b31m", "\x9b", "\u202eabc\u2066", "\u2028\u2029", "\xff\xc3", "e\u0301 \u00a0", "a\r\nb\tc", "\U000e0041", "\ufffd", "\ufeff", `a"b'c\d`} {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		most &= 0x3ff
		clipped := Clip(s, most)
		if len(clipped) > most+len("...") || utf8.ValidString(s) && !utf8.ValidString(clipped) {
			t.Errorf("Clip(%+q, %d) = %+q", s, most, clipped)
		}
		var table strings.Builder
		w := NewTable(&table)
		w.Row(s, "end")
		if err := w.Flush(); err != nil || strings.Count(table.String(), "\n") != 1 {
			t.Errorf("table of %+q: %+q, %v", s, table.String(), err)
		}
		for _, made := range []struct {
			name, text string
			ascii      bool
			also       string // what may stand in it beside visible characters
		}{
			{"Word", Word(s), false, "\ufffd"},
			{"Line", Line(s), true, ""},
			{"Quote", Quote(s), true, ""},
			{"Text", Text(s), false, ""},
			{"ASCII", ASCII(s, most), true, ""},
			{"Lines", Lines(s), false, "\n\u200c\u200d\ufffd"},
			{"Table", strings.TrimSuffix(table.String(), "\n"), false, ""},
		} {
			if !utf8.ValidString(made.text) || len(made.text) > 10*len(s)+10 {
				t.Errorf("%s(%+q) = %+q: not UTF-8, or too long", made.name, s, made.text)
			}
			for _, r := range made.text {
				switch {
				case strings.ContainsRune(made.also, r):
				case made.ascii && (r < ' ' || r > '~'), unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Cs), r == utf8.RuneError:
					t.Errorf("%s(%+q) = %+q: it has %U", made.name, s, made.text, r)
				}
			}
		}
		if len(ASCII(s, most)) > most {
			t.Errorf("ASCII(%+q, %d) is longer", s, most)
		}
	})
}
