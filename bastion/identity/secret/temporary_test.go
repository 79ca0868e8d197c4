package secret

import (
	"crypto/sha256"
	"strings"
	"testing"

	"golang.org/x/text/width"
)

func TestTemporaryHasTwoCheckedHalves(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := NewTemporary()
		c, ok := canonicalSymbols(s, temporarySymbols)
		if !ok || seen[c] || len(s) != 23 || HashTemporary(s) != HashTemporary(strings.ToUpper(c)) {
			t.Fatalf("%q", s)
		}
		seen[c] = true
		if f := FormOf(s); f != Temporary {
			t.Errorf("%q: form %d", s, f)
		}
		if f := FormOf(s[12:] + s[:11]); f != HalvesSwapped {
			t.Errorf("the halves of %q swapped: form %d", s, f)
		}
		if a, b := FormOf(s[:11]), FormOf(s[12:]); a != OnlyFirstHalf || b != OnlySecondHalf {
			t.Errorf("the halves of %q alone: forms %d and %d", s, a, b)
		}
	}
	if HashTemporary("abcd") != HashTemporary("") || HashTemporary("abcd") == HashTemporary(NewTemporary()) {
		t.Error("what can't be a temporary passphrase must not match one")
	}
}

// TestEveryTypingErrorIsSeen: each wrong symbol, and each two that changed places,
// wherever they are in a half.
func TestEveryTypingErrorIsSeen(t *testing.T) {
	for range 20 {
		right, _ := canonicalSymbols(NewTemporary(), temporarySymbols)
		for i := range right {
			want := WrongFirstHalf
			if i >= halfSymbols {
				want = WrongSecondHalf
			}
			wrong := func(s []byte, how string) {
				t.Helper()
				if f := FormOf(grouped(s, temporaryGroup)); f != want || HashTemporary(string(s)) == HashTemporary(right) {
					t.Errorf("%s: %s, form %d", s, how, f)
				}
			}
			if f := FormOf(right[:i] + "ж" + right[i+1:]); f != want {
				t.Errorf("%s, number %d in another script: form %d", right, i, f)
			}
			for _, c := range []byte(alphabet) {
				if c != right[i] {
					s := []byte(right)
					s[i] = c
					wrong(s, "one wrong symbol")
				}
			}
			for k := i + 1; k < (i/halfSymbols+1)*halfSymbols; k++ {
				if s := []byte(right); s[i] != s[k] {
					s[i], s[k] = s[k], s[i]
					wrong(s, "two changed places")
				}
			}
			for _, s := range []string{right[:i] + right[i+1:], right[:i] + "*" + right[i+1:], right[:i] + "7" + right[i:]} {
				// Where the halves meet, both may still fit.
				if f := FormOf(grouped([]byte(s), temporaryGroup)); f != want && f != WrongHalves {
					t.Errorf("%s has %d symbols, and form %d", s, len(s), f)
				}
			}
		}
	}
}

func TestFormsThatPeopleType(t *testing.T) {
	const right = "k3m9a-x0p21-7hq4t-c8w6d"
	s, _ := canonicalSymbols(right, temporarySymbols)
	first, second := withCheck([]byte(s[:halfRandom]), 1), withCheck([]byte(s[halfSymbols:halfSymbols+halfRandom]), 2)
	whole := grouped(append(first, second...), temporaryGroup)
	for name, c := range map[string]struct {
		typed string
		want  Form
	}{
		"as it stands":               {whole, Temporary},
		"upper case":                 {strings.ToUpper(whole), Temporary},
		"without dashes":             {strings.ReplaceAll(whole, "-", ""), Temporary},
		"spaces":                     {" " + strings.ReplaceAll(whole, "-", "  ") + " ", Temporary},
		"an en dash":                 {strings.ReplaceAll(whole, "-", "\u2013"), Temporary},
		"a non-breaking hyphen":      {strings.ReplaceAll(whole, "-", "\u2011"), Temporary},
		"non-breaking spaces":        {strings.ReplaceAll(whole, "-", "\u00a0"), Temporary},
		"look-alikes":                {strings.NewReplacer("0", "o", "1", "l", "v", "u").Replace(whole), Temporary},
		"underscores":                {strings.ReplaceAll(whole, "-", "_"), Temporary},
		"full stops and quotes":      {"\u201c" + strings.ReplaceAll(whole, "-", ".") + ".\u201d", Temporary},
		"wide letters":               {width.Widen.String(whole), Temporary},
		"nothing that is seen":       {"\ufeff" + strings.ReplaceAll(whole, "-", "\u200b"), Temporary},
		"the first group left out":   {whole[6:], WrongFirstHalf},
		"the second group left out":  {whole[:6] + whole[12:], WrongFirstHalf},
		"the third group left out":   {whole[:12] + whole[18:], WrongSecondHalf},
		"the last group left out":    {whole[:17], WrongSecondHalf},
		"one left out, no dashes":    {strings.ReplaceAll(whole[6:], "-", ""), WrongFirstHalf},
		"a group twice":              {whole[:6] + whole, WrongFirstHalf},
		"the last group twice":       {whole + whole[17:], WrongSecondHalf},
		"wide, both halves wrong":    {width.Widen.String("k3m9b-x0p21-7hq4t-c8w6e"), WrongHalves},
		"pasted twice":               {whole + " " + whole, WrongHalves},
		"both halves wrong":          {"k3m9b-x0p21-7hq4t-c8w6e", WrongHalves},
		"in the form of before":      {"78z8-7nh4-9dqv-q8fk", NotTemporary},
		"four words":                 {"green table forks lines", NotTemporary},
		"words and a number":         {"green table forks 12345", NotTemporary},
		"no temporary one at all":    {"three quiet otters paddle north", NotTemporary},
		"a manager's":                {"xK2mP9qTzR4wLs8vBn3D", NotTemporary},
		"a passphrase with its code": {string(first) + "abcd123456", NotTemporary},
		"empty":                      {"", NotTemporary},
		"long":                       {strings.Repeat(whole, 100), NotTemporary},
		"no text":                    {"\xff\xfe", NotTemporary},
	} {
		if got := FormOf(c.typed); got != c.want {
			t.Errorf("%s: %q has form %d, not %d", name, c.typed, got, c.want)
		}
		if same := HashTemporary(c.typed) == HashTemporary(whole); same != (c.want == Temporary) {
			t.Errorf("%s: hashed as the right one: %t", name, same)
		}
	}
}

// TestOlderTemporaryPassphrase: what was handed out before the check characters has
// the hash that the database has of it.
func TestOlderTemporaryPassphrase(t *testing.T) {
	want := sha256.Sum256([]byte("entry temporary|78z87nh49dqvq8fk"))
	for _, typed := range []string{"78z8-7nh4-9dqv-q8fk", "78Z8 7NH4 9DQV Q8FK", "78z87nh49dqvq8fk"} {
		if HashTemporary(typed) != want {
			t.Errorf("%q is another one", typed)
		}
	}
}

func FuzzFormOf(f *testing.F) {
	for _, s := range []string{NewTemporary(), NewTemporary()[:11], "78z8-7nh4-9dqv-q8fk", "----", "\xff", "a-b-c-d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := canonicalSymbols(s, temporarySymbols)
		if form := FormOf(s); form == Temporary && !ok || ok && form == Temporary && FormOf(c) != Temporary {
			t.Errorf("%q: form %d, symbols %q %t", s, form, c, ok)
		}
	})
}
