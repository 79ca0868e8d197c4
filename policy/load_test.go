package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"entry/policy/strict"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadReadsAllFilesInOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "20-rules.yml", "rules: [{name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell]}]")
	write(t, dir, "10-labs.yaml", labsYAML)
	write(t, dir, "30-more.yaml", "rules: [{name: b, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [exec]}]\n"+
		"tests: [{user: alice, target: home.tinker, may: [shell, exec]}]")
	write(t, dir, ".hidden.yaml", "nonsense")
	write(t, dir, "README.md", "# nonsense")
	if err := os.Mkdir(filepath.Join(dir, "old"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	g, no := decide(t, p, "alice", "home.tinker", "")
	if no != nil {
		t.Fatal(no)
	}
	if got := g.Rule().String() + ", " + g.RuleFor(Exec).String(); got != "a (20-rules.yml:1), b (30-more.yaml:1)" {
		t.Error(got)
	}
	if w := p.Warnings(); !strings.Contains(w.Error(), "old: warning: folders inside the policy directory aren't read [P106]") {
		t.Errorf("warnings: %v", w)
	}
	// The hash speaks of names and contents, not of where they lie.
	data := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	same, err := Parse(strict.File{Name: "/x/30-more.yaml", Data: data("30-more.yaml")}, strict.File{Name: "/x/10-labs.yaml", Data: data("10-labs.yaml")}, strict.File{Name: "20-rules.yml", Data: data("20-rules.yml")})
	if err != nil {
		t.Fatal(err)
	}
	if same.Hash() != p.Hash() || !strings.HasPrefix(p.Hash(), "sha256:") {
		t.Errorf("hashes %s and %s", p.Hash(), same.Hash())
	}
}

func TestLoadOfNothingDeniesAll(t *testing.T) {
	p, err := Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Resolve("alice", "home", "", Groups{}); err == nil {
		t.Error("resolved a target of no policy")
	}
	if _, err := p.Decide(Request{User: "alice", Target: &Target{Name: "home", Lab: "tinker"}}); err == nil {
		t.Error("granted something")
	}
}

func TestLoadReportsAcrossFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", labsYAML+"rules: [{name: same, deny: true}]")
	write(t, dir, "b.yaml", "labs: {tinker: {}}\ndefault_lab: {bob: tinker}\nrules: [{name: same, deny: true}]")
	write(t, dir, "c.yaml", "nonsense: [")
	write(t, dir, "d.yaml", "")
	if err := syscall.Mkfifo(filepath.Join(dir, "e.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "f.yaml", "rules: []")
	if err := os.Chmod(filepath.Join(dir, "f.yaml"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "g.yaml")); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir)
	var problems strict.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error %v", err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, strings.SplitN(strings.TrimPrefix(p.Error(), dir+"/"), "\n", 2)[0])
	}
	want := []string{
		`b.yaml:1:8: lab "tinker" is already defined at a.yaml:3 [P003]`,
		`b.yaml:2:15: the default lab of "bob" is already given at a.yaml:14 [P003]`,
		`b.yaml:3:16: rule "same" is already defined at a.yaml:15 [P003]`,
		`c.yaml:1:12: not valid YAML: did not find expected node content while parsing a flow node [Y004]`,
		`d.yaml: the file is empty [Y005]`,
		`e.yaml: not a regular file [Y001]`,
		`f.yaml: every account may write to this file; take that away (chmod o-w) [Y001]`,
		`g.yaml: no such file or directory [Y001]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLoadIsBounded(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "big.yaml", "# "+strings.Repeat("x", strict.MaxFileSize))
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "larger than 4 MiB [Y002]") {
		t.Errorf("a large file: %v", err)
	}
	dir = t.TempDir()
	for i := range maxFiles + 1 {
		write(t, dir, fmt.Sprintf("%04d.yaml", i), "rules: []")
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Errorf("many files: %v", err)
	}
	// A file full of mistakes is reported, not multiplied.
	_, err := Parse(strict.File{Name: "x.yaml", Data: bytes.Repeat([]byte("- [\n"), 100_000)})
	if err == nil || len(err.Error()) > 1<<20 {
		t.Errorf("%d bytes of report", len(fmt.Sprint(err)))
	}
	_, err = Parse(strict.File{Name: "x.yaml", Data: []byte("rules: [" + strings.Repeat("x, ", 60_000) + "x]")})
	var problems strict.Problems
	if !errors.As(err, &problems) || len(problems) > 500 || len(err.Error()) > 1<<20 {
		t.Errorf("%d problems", len(problems))
	}
}

func TestLoadOfNoDirectory(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	write(t, dir, "file", "")
	if _, err := Load(filepath.Join(dir, "file")); err == nil {
		t.Error("a file was read as a directory")
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "every account may write to this directory") {
		t.Errorf("error %v", err)
	}
}

// The trees of the files are many times the policy's size.
func TestPolicyLetsGoOfItsFiles(t *testing.T) {
	p := parse(t, labsYAML)
	for _, l := range p.labs {
		if l.at != (strict.Value{}) {
			t.Errorf("lab %s holds on to its file", l.name)
		}
	}
}
