package strict_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"entry/policy/strict"
)

// read gives the value under v of a file, and a function for the problems that
// there are by then, without their snippets.
func read(text string) (strict.Value, func() string) {
	d := strict.Read(strict.File{Name: "dir/f.yaml", Data: []byte(text)})
	return d.Root().Fields("v").Get("v"), func() string {
		var out []string
		for _, p := range d.Problems() {
			first, _, _ := strings.Cut(p.Error(), "\n")
			out = append(out, strings.TrimPrefix(first, "dir/f.yaml:"))
		}
		return strings.Join(out, "; ")
	}
}

func TestValues(t *testing.T) {
	text := func(v strict.Value) any { return v.Text() }
	boolean := func(v strict.Value) any { return v.Bool(true) }
	number := func(v strict.Value) any { return v.Int(7, 1, 10) }
	duration := func(v strict.Value) any { return v.Duration(time.Hour, time.Second, 12*time.Hour) }
	days := func(v strict.Value) any { return v.Days(time.Hour, 1, 100) }
	size := func(v strict.Value) any { return v.Size(7, 1<<10, 1<<40) }
	choice := func(v strict.Value) any { return v.Choice("one", "two") }
	network := func(v strict.Value) any { n, _ := v.Network(); return n }
	items := func(v strict.Value) any { return len(v.Items()) }
	some := func(v strict.Value) any { return len(v.SomeItems()) }
	oneOrMore := func(v strict.Value) any { return len(v.OneOrMore()) }
	for _, tc := range []struct {
		yaml     string
		read     func(strict.Value) any
		want     any
		problems string
	}{
		{"v: word", text, "word", ""},
		{"v: |\n  word\n", text, "word", ""},
		{"v: 1", text, "", `1:4: want text, found int "1"; quote it if it is meant as text [Y010]`},
		{"v:", text, "", "1:3: want text, found nothing; quote it if it is meant as text [Y010]"},
		{"v: [a]", text, "", "1:4: want text, found a list [Y010]"},
		{"v: \"a\\e[2J\"", text, "", "1:4: want one line of text without control characters [Y003]"},
		{"w: 1", text, "", `1:1: unknown key "w"; known here: v [Y009]`},
		{"v: false", boolean, false, ""},
		{"v: off", boolean, true, `1:4: want true or false, found "off" [Y010]`},
		{"v: \"false\"", boolean, true, `1:4: want true or false, found "false" [Y010]`},
		{"v: 3", number, int64(3), ""},
		{"v: 0x3", number, int64(7), `1:4: want a whole number, found int "0x3" [Y010]`},
		{"v: \"3\"", number, int64(7), `1:4: want a whole number, found "3" [Y010]`},
		{"v: 11", number, int64(7), "1:4: 11 is out of range; want 1 to 10 [Y012]"},
		{"v: 90m", duration, 90 * time.Minute, ""},
		{"v: 90", duration, time.Hour, `1:4: want a duration such as 30s, 10m or 12h, found int "90" [Y010]`},
		{"v: 13h", duration, time.Hour, "1:4: 13h is out of range; want 1s to 12h [Y012]"},
		{"v: 90d", days, 90 * 24 * time.Hour, ""},
		{"v: 90", days, time.Hour, `1:4: want a number of days such as 90d, found int "90" [Y010]`},
		{"v: 0d", days, time.Hour, "1:4: 0d is out of range; want 1d to 100d [Y012]"},
		{"v: 64KiB", size, int64(64 << 10), ""},
		{"v: 64 KiB", size, int64(64 << 10), ""},
		{"v: 4096", size, int64(4096), ""},
		{"v: 64KB", size, int64(7), `1:4: want a size such as 512MiB or 1GiB, found "64KB" [Y010]`},
		{"v: 2TiB", size, int64(7), "1:4: 2TiB is out of range; want 1KiB to 1TiB [Y012]"},
		{"v: two", choice, 1, ""},
		{"v: tow", choice, 0, `1:4: "tow" is not one of one, two [Y012]`},
		{"v: 192.0.2.0/24", network, "192.0.2.0/24", ""},
		{"v: 192.0.2.1", network, "192.0.2.1/32", ""},
		{"v: 192.0.2.1/24", network, "invalid Prefix", `1:4: "192.0.2.1/24": bits are set beyond the prefix; the network is 192.0.2.0/24 [Y012]`},
		{"v: \"::ffff:192.0.2.1\"", network, "invalid Prefix", `1:4: "::ffff:192.0.2.1": want a network such as 192.0.2.0/24 or 2001:db8::/32, or one address [Y012]`},
		{"v: [a, b]", items, 2, ""},
		{"v: []", items, 0, ""},
		{"v: a", items, 0, `1:4: want a list, found "a" [Y010]`},
		{"v: []", some, 0, "1:4: the list is empty; leave the key out or name something [Y011]"},
		{"v: a", oneOrMore, 1, ""},
		{"v: []", oneOrMore, 0, "1:4: the list is empty; leave the key out or name something [Y011]"},
		{"v: {}", oneOrMore, 0, "1:4: want a list, found a mapping [Y010]"},
	} {
		v, problems := read(tc.yaml)
		if got := fmt.Sprint(tc.read(v)); got != fmt.Sprint(tc.want) {
			t.Errorf("%s: read %s, want %v", tc.yaml, got, tc.want)
		}
		if got := problems(); got != tc.problems {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.yaml, got, tc.problems)
		}
	}
}

// What isn't there is no problem: every reader gives its harmless value.
func TestAbsentValues(t *testing.T) {
	v, problems := read("{}")
	if v.Present() || v.IsEmpty() || v.IsList() || v.IsMapping() || v.Line() != 0 || v.Raw() != "" || v.Text() != "" || !v.Bool(true) ||
		v.Int(3, 5, 6) != 3 || v.Duration(1, 2, 3) != 1 || v.Days(1, 2, 3) != 1 || v.Size(1, 2, 3) != 1 || v.Choice("a", "b") != 0 ||
		len(v.Items())+len(v.SomeItems())+len(v.OneOrMore())+len(v.Entries()) != 0 || v.Fields("a").Need("a").Present() || v.Fields("a").Empty() {
		t.Error("an absent value reads as something")
	}
	if got := problems(); got != "" {
		t.Error(got)
	}
}

func TestMappings(t *testing.T) {
	v, problems := read("v:\n  members: 1\n  admin: 2\n  members: 3\n")
	f := v.Fields("members", "admins", "groups")
	f.Need("groups")
	if f.Get("members").Int(0, 0, 9) != 1 || f.Get("admins").Present() || f.Empty() || !v.IsMapping() {
		t.Error("read something else")
	}
	want := `2:3: "groups" is missing [Y011]; 3:3: unknown key "admin"; did you mean "admins"? [Y009]; 4:3: "members" stands here twice; the first is on line 2 [Y008]`
	if got := problems(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if empty, _ := read("v: {}"); !empty.Fields("a").Empty() {
		t.Error("an empty mapping isn't")
	}
}

// A place outlives its document, with the line that it is on.
func TestPlace(t *testing.T) {
	v, _ := read("# one\nv: old\n")
	at := v.Place()
	if at.String() != "f.yaml:2" || v.File() != "f.yaml" {
		t.Error(at)
	}
	want := "dir/f.yaml:2:4: warning: old is over [X1]\n     2 | v: old\n       |    ^"
	if got := at.Warning("X1", "%s is over", v.Text()).Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Of one hopeless file no more is kept than explains it, and warnings keep no
// problem out.
func TestReportsAreBounded(t *testing.T) {
	d := strict.Read(strict.File{Name: "f.yaml", Data: []byte("[" + strings.Repeat("x, ", 3000) + "x]")})
	items := d.Root().Items()
	for _, v := range items {
		v.Warnf("W1", "hm")
	}
	for _, v := range items {
		v.Errorf("E1", "no")
	}
	d.Add(strict.Problem{File: "f.yaml", Code: "E2", Message: "beyond"})
	if got := d.Problems(); len(got) != 700 || len(got.Fatal()) != 500 || d.Found() != 6003 {
		t.Errorf("%d kept, %d of them fatal, %d found", len(got), len(got.Fatal()), d.Found())
	}
	if text := d.Problems().Error(); strings.Count(text, "f.yaml:") != 100 || !strings.HasSuffix(text, "and 600 more") {
		t.Errorf("%d bytes of text", len(text))
	}
}

// A file's words reach a terminal as words.
func TestProblemsCantSteerATerminal(t *testing.T) {
	p := strict.Problem{File: "a\x1b[2J\nb", Line: 1, Col: 1, Code: "X1", Message: "a\u202eb\rc"}
	if got, want := p.Error(), `a\u001b[2J\u000ab:1:1: a\u202eb\u000dc [X1]`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, mode := range map[string]os.FileMode{"good": 0o600, "shared": 0o666} {
		if err := os.WriteFile(path(name), []byte("a: 1"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path(name), mode); err != nil { // past the umask
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	large, err := os.Create(path("large"))
	if err != nil {
		t.Fatal(err)
	}
	if err := large.Truncate(strict.MaxFileSize * 4); err != nil {
		t.Fatal(err)
	}
	if err := large.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"good":   "",
		"shared": "every account may write to this file; take that away (chmod o-w)",
		"pipe":   "not a regular file",
		".":      "not a regular file",
		"none":   "no such file or directory",
		"large":  "the file is larger than 4 MiB",
	} {
		f, problem := strict.ReadFile(path(name))
		got := ""
		if problem != nil {
			got = problem.Message
			if problem.File != path(name) || problem.Code != strict.CodeUnreadable || f.Data != nil {
				t.Errorf("%s: %+v", name, problem)
			}
		} else if found := strict.Read(f).Problems(); len(found) > 0 {
			got = found[0].Message
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if len(f.Data) > strict.MaxFileSize+1 {
			t.Errorf("%s: %d bytes were read", name, len(f.Data))
		}
	}
}

func TestFormat(t *testing.T) {
	for want, n := range map[string]int64{"0": 0, "1023": 1023, "1KiB": 1 << 10, "1536": 1536, "512MiB": 512 << 20, "1TiB": 1 << 40, "2048TiB": 1 << 51} {
		if got := strict.FormatSize(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
		if v, problems := read("v: " + want); n > 0 && (v.Size(0, 1, 1<<60) != n || problems() != "") {
			t.Errorf("%s is read as another size", want)
		}
	}
	for want, d := range map[string]time.Duration{"12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "1m30s": 90 * time.Second, "500ms": 500 * time.Millisecond} {
		if got := strict.FormatDuration(d); got != want {
			t.Errorf("%d is %s, want %s", d, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, tc := range []struct {
		word, want string
		known      []string
	}{
		{"amy", "may", []string{"name", "who", "may", "where"}}, // two neighbours swapped are one slip
		{"hoem", "home", []string{"bench", "home"}},
		{"memebrs", "members", []string{"members", "targets"}},
		{"dana", "", []string{"una", "jon"}}, // another person
		{"bob", "", []string{"jon"}},
		{"olga", "ola", []string{"ola", "una"}},
		{"", "", []string{"a", "ab"}},
	} {
		if got := strict.Nearest(tc.word, tc.known); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.word, got, tc.want)
		}
	}
}

// What is said twice is told once, however often it is asked for.
func TestSortedChangesNothing(t *testing.T) {
	ps := strict.Problems{{File: "b", Code: "Y", Message: "m"}, {File: "a", Code: "Y", Message: "m"}, {File: "a", Code: "Y", Message: "m"}}
	want := []string{"a: m [Y]", "b: m [Y]"}
	for range 2 {
		var got []string
		for _, p := range ps.Sorted() {
			got = append(got, p.Error())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A word processor's quotation mark where a value begins is named as such, not as what the
// rest of the line comes to; within a text, in quotes and in comments it is text.
func TestTypographicQuotes(t *testing.T) {
	for text, want := range map[string]string{
		"v: “[alice, bob]":              `1:4: a typographic quotation mark (U+201C), which quotes nothing here; type " instead, also at the end [Y003]`,
		"v: [a, ‘b’]":                   "",
		"v: [‘a’]":                      `1:5: a typographic quotation mark (U+2018), which quotes nothing here; type " instead, also at the end [Y003]`,
		"v:\n  - »a«":                   `2:5: a typographic quotation mark (U+00BB), which quotes nothing here; type " instead, also at the end [Y003]`,
		"v: see the “rules” of the lab": "",
		`v: "“so”"`:                     "",
		"v: a # “so”":                   "",
	} {
		_, problems := read(text)
		if got := problems(); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// A space that is none to YAML is named wherever it is part of a value or of what stands
// around it: in quotes and comments it changes nothing. Quotes begin where a value does.
func TestStrangeSpaces(t *testing.T) {
	strangeAt := func(place string) string {
		return place + ": a no-break space (U+00A0) looks like a space and is none; type it anew [Y003]"
	}
	for text, want := range map[string]string{
		"v: a\u00a0b":            strangeAt("1:5"),
		"v:\u00a0\"a\"":          strangeAt("1:3"),
		"v: say \"a\u00a0b\"":    strangeAt("1:10"),
		"v: don't\u00a0ask":      strangeAt("1:9"),
		"v: \"a\u00a0b\"":        "",
		"v: ['a\u00a0b', \" \"]": "",
		"v:\n  - \"a\u00a0b\"":   "",
		"v: a # b\u00a0c":        "",
		"v: a \"b # c\u00a0d":    "",
		"v: [“a”, b\u00a0c]":     `1:5: a typographic quotation mark (U+201C), which quotes nothing here; type " instead, also at the end [Y003]; ` + strangeAt("1:11"),
	} {
		_, problems := read(text)
		if got := problems(); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}
