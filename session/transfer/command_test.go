package transfer

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

var update = flag.Bool("update", false, "write the golden files")

// TestCommands holds what is made of each command line to testdata/commands.txt:
// lines of real clients, lines that must not pass, lines that are no transfer.
// What came of a line stands indented below it.
func TestCommands(t *testing.T) {
	const file = "testdata/commands.txt"
	text := testkit.ReadFile(t, file)
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		b.WriteString(line)
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "# ") {
			b.WriteString(verdictOn(t, line))
		}
	}
	if *update {
		testkit.WriteFile(t, file, b.String())
	} else if got := b.String(); got != text {
		a, b := strings.SplitAfter(got, "\n"), strings.SplitAfter(text, "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("line %d: got %swant %s", i+1, a[i], b[i])
			}
		}
		t.Fatal("not as many lines")
	}
}

func verdictOn(t *testing.T, line string) string {
	if strings.HasPrefix(line, `"`) {
		line = testkit.Must(strconv.Unquote(line))(t)
	}
	p, err := Command(line)
	var bad *BadCommand
	switch {
	case errors.Is(err, ErrNotTransfer):
		return "\tnone\n"
	case errors.As(err, &bad):
		return "\tbad: " + bad.Text + "\n"
	}
	said := "\t"
	for i, d := range p.Needs {
		said += strings.Repeat("+", min(i, 1)) + d.String()
	}
	said += " " + strconv.Quote(strings.Join(p.paths, "|")) + ": " + strings.ReplaceAll(p.Line(everything), "\n", `\n`) + "\n"
	if alone := p.Line(only(Upload)); alone != p.Line(everything) {
		said += "\tupload alone: " + alone + "\n"
	}
	return said
}

func everything(Direction) string { return "" }

// only permits what is in may.
func only(may ...Direction) May {
	return func(d Direction) string {
		if slices.Contains(may, d) {
			return ""
		}
		return "entry: you may not " + d.String() + " here: ask Ines"
	}
}

// shells are those that targets have, which don't all read quotes alike.
var shells = []string{"sh", "bash", "zsh", "fish", "tcsh"}

// likePOSIX says that shell can be told to leave patterns alone.
func likePOSIX(shell string) bool { return shell == "sh" || shell == "bash" }

// shellWords are the words that shell finds in each line. The home directory is
// named so that a leading ~/ stays one.
func shellWords(t testing.TB, shell string, lines ...string) (words [][]string) {
	t.Helper()
	const mark = "-- next line"
	var program strings.Builder
	if likePOSIX(shell) {
		program.WriteString("set -f\n")
	}
	for _, line := range lines {
		if shell == "tcsh" {
			program.WriteString("/usr/bin/")
		}
		fmt.Fprintf(&program, "printf '%%s\\0' %s '%s'\n", line, mark)
	}
	cmd := exec.Command(testkit.Must(exec.LookPath(shell))(t), "-c", program.String())
	cmd.Env = []string{"HOME=~", "PATH=/nowhere", "LC_ALL=C"} // printf is the shell's own
	cmd.Dir = "/proc/self/fdinfo"                             // where no line can make a file
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", shell, lines, err, out)
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(string(out), mark+"\x00"), mark+"\x00") {
		words = append(words, strings.Split(strings.TrimSuffix(part, "\x00"), "\x00"))
	}
	return words
}

// meant are the words of a line as this package sees them; plainly is false if a
// shell without files can't confirm them: it has its own for a pattern or ~user.
func meant(line string) (words []string, plainly, patterns bool) {
	all, _ := split(line)
	plainly = true
	for _, w := range all {
		words = append(words, w.text)
		patterns = patterns || w.globs()
		if home := tilde.FindString(w.text); len(home) > 1 && home != "~/" && w.live[0] {
			plainly = false
		}
	}
	return words, plainly, patterns
}

// TestWordsInShells has real shells say what the lines that go to a target mean.
func TestWordsInShells(t *testing.T) {
	var all, literal []string // lines; those that any shell reads alike
	for line := range strings.Lines(testkit.ReadFile(t, "testdata/commands.txt")) {
		p, err := Command(strings.TrimSuffix(line, "\n"))
		if err != nil {
			continue
		}
		for _, to := range []string{p.Line(everything), p.Line(only())} {
			if _, plainly, patterns := meant(to); plainly {
				all = append(all, to)
				if !patterns {
					literal = append(literal, to)
				}
			}
		}
	}
	for _, shell := range shells {
		lines := literal
		if likePOSIX(shell) {
			lines = all
		}
		found := shellWords(t, shell, lines...)
		if len(found) != len(lines) {
			t.Fatalf("%s read %d of %d lines", shell, len(found), len(lines))
		}
		for i, got := range found {
			if want, _, _ := meant(lines[i]); !slices.Equal(got, want) {
				t.Errorf("%s finds %q in %q, not %q", shell, got, lines[i], want)
			}
		}
	}
}

// TestAnyNameInShells has all shells read names of any characters, quoted anew.
func TestAnyNameInShells(t *testing.T) {
	const nasty = " \t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~abc019"
	random := rand.New(rand.NewPCG(5, 6))
	var want, lines []string
	for range 400 {
		name := make([]byte, 1+random.IntN(12))
		for i := range name {
			name[i] = nasty[random.IntN(len(nasty))]
		}
		w := dead(string(name))
		for i := range w.quoted {
			w.quoted[i] = random.IntN(2) == 0
		}
		want, lines = append(want, w.text), append(lines, asLine([]word{dead("scp"), w}))
	}
	for _, shell := range shells {
		found := shellWords(t, shell, lines...)
		if len(found) != len(lines) {
			t.Fatalf("%s read %d of %d lines", shell, len(found), len(lines))
		}
		for i, got := range found {
			if len(got) != 2 || got[1] != want[i] {
				t.Errorf("%s finds %q in %q, not %q", shell, got, lines[i], want[i])
			}
		}
	}
}

// stacked is what bash alone takes for a folder of its stack: for POSIX's shell, and so
// for what goes to the target, these are the characters of a name.
var stacked = regexp.MustCompile(`~[0-9+-]`)

// FuzzCommand holds that a line which passes has, for a real shell, the words
// that were judged: those of the client's line, but for the ./ in front.
func FuzzCommand(f *testing.F) {
	for line := range strings.Lines(testkit.ReadFile(f, "testdata/commands.txt")) {
		f.Add(strings.TrimSuffix(line, "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		p, err := Command(line)
		if err != nil {
			return
		}
		to := p.Line(everything)
		if again, err := Command(to); err != nil {
			t.Fatalf("%q became %q: %v", line, to, err)
		} else if twice := again.Line(everything); twice != to {
			t.Fatalf("%q became %q, which becomes %q", line, to, twice)
		}
		words, plainly, _ := meant(to)
		if !plainly {
			return
		}
		for _, shell := range shells[:2] {
			if got := shellWords(t, shell, to)[0]; !slices.Equal(got, words) {
				t.Fatalf("%s finds %q in %q, not %q", shell, got, to, words)
			}
			if shell == "bash" && stacked.MatchString(line) {
				continue
			}
			// The client's own line had these words too.
			before := shellWords(t, shell, line)[0]
			if i := slices.Index(before, "--"); i >= 0 && len(before) > len(words) {
				before = slices.Delete(before, i, i+1)
			}
			if len(before) != len(words) {
				t.Fatalf("%s found %q in %q, and finds %q in %q", shell, before, line, words, to)
			}
			for i, w := range words {
				if w != before[i] && w != "./"+before[i] {
					t.Fatalf("%s found %q in %q, and finds %q in %q", shell, before, line, words, to)
				}
			}
		}
	})
}
