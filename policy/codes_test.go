package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"entry/policy/strict"
)

// declaredCodes are the constants of both files of codes.
func declaredCodes(t *testing.T) []string {
	t.Helper()
	var codes []string
	for _, path := range []string{"strict/codes.go", "codes.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				codes = append(codes, strings.Trim(lit.Value, `"`))
			}
			return true
		})
	}
	return codes
}

func TestEveryCodeIsDocumented(t *testing.T) {
	var documented []string
	for _, d := range Codes() {
		documented = append(documented, d.Code)
		if d.Meaning == "" || d.Advice == "" || d.Warning != strings.HasPrefix(d.Code, "P1") {
			t.Errorf("%+v", d)
		}
	}
	if declared := declaredCodes(t); !slices.Equal(declared, documented) {
		t.Errorf("declared:   %v\ndocumented: %v", declared, documented)
	}
}

// Every code stands in a pinned text, but for those that no file can give.
func TestEveryCodeIsPinned(t *testing.T) {
	elsewhere := map[string]string{
		strict.CodeUnreadable: "TestLoadReportsAcrossFiles",
		codeIgnoredContent:    "TestLoadReadsAllFilesInOrder",
		codeLapsed:            "TestLapsed",
		codeAmbiguous:         "TestNamesThatSomebodyOpensTwice",
		codeOwnApproval:       "TestApprovalsThatOnlyTheAskerCouldGive",
	}
	paths, err := filepath.Glob("testdata/*.bad.txt")
	if err != nil {
		t.Fatal(err)
	}
	pinned := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\[([YP]\d{3})\]`).FindAllStringSubmatch(string(text), -1) {
			pinned[m[1]] = true
		}
	}
	for _, code := range declaredCodes(t) {
		if !pinned[code] && elsewhere[code] == "" {
			t.Errorf("%s isn't pinned", code)
		}
	}
}

func TestLapsed(t *testing.T) {
	p := parse(t, labsYAML, `
rules:
  - {name: old, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [agent], valid: {until: 2026-03-08, zone: Europe/Oslo}}
  - {name: new, who: {users: [alice]}, where: {targets: [home.tailor]}, may: [agent], valid: {from: 2026-03-08, zone: Europe/Oslo}}
`)
	if got := p.Lapsed(at(t, "2026-03-08T22:59:59Z")); len(got) != 0 {
		t.Errorf("too early: %v", got)
	}
	want := `b.yaml:3:94: warning: rule old is over since 2026-03-09 00:00 CET [P109]`
	if got, _, _ := strings.Cut(p.Lapsed(at(t, "2026-03-08T23:00:00Z")).Error(), "\n"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
