package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayStart are the packages whose code may start goroutines by itself:
// session/group, which gives every other one an owner; the demo's home machine,
// which dies with the demo; and what only tests use.
var mayStart = []string{"session/group", "cmd/entry/demohome", "e2e"}

// TestGoroutinesHaveOwners: whoever starts a goroutine does it with
// session/group, so that it has a name, a panic in it ends what it belongs to,
// and somebody waits for it.
func TestGoroutinesHaveOwners(t *testing.T) {
	beside(t)
	seen := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		folder := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(path, "../")))
		if slices.ContainsFunc(mayStart, func(p string) bool { return inside(folder, p) }) {
			return nil
		}
		seen++
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range ownerless(t, path, source) {
			t.Error(found)
		}
		return nil
	})
	if err != nil || seen < 100 {
		t.Fatalf("looked at %d files: %v", seen, err)
	}
}

// ownerless names what starts a goroutine that has no owner. The ways are told
// apart by name, build tags or not: a go statement; a method Go with one
// argument, which is sync.WaitGroup's and errgroup's (group's has a name before
// it), and one that isn't called on the spot, whatever is done with it; and
// errgroup at all.
func ownerless(t *testing.T, path string, source []byte) (found []string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	say := func(at ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s: %s: start goroutines with session/group", fset.Position(at.Pos()), what))
	}
	owned := map[ast.Node]bool{} // selectors of calls that are as they should be
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			say(n, "a bare go statement")
		case *ast.ImportSpec:
			if n.Path.Value == `"golang.org/x/sync/errgroup"` {
				say(n, "errgroup")
			}
		case *ast.CallExpr:
			if len(n.Args) == 2 {
				owned[n.Fun] = true
			}
		case *ast.SelectorExpr:
			if n.Sel.Name == "Go" && !owned[n] {
				say(n, "a Go that gives its goroutine no name, as sync.WaitGroup's")
			}
		}
		return true
	})
	return found
}

// The check can fail.
func TestOwnerlessGoroutinesAreFound(t *testing.T) {
	beside(t)
	const head = "package x\n\nimport (\n\t\"sync\"\n)\n\nfunc f(all *sync.WaitGroup, g *group.Group, run func(func())) {\n\t"
	for name, c := range map[string]struct {
		source string
		want   string // the place and what is there; "" is nothing
	}{
		"a go statement":           {head + "go f(nil, nil, nil)\n}\n", "8:2: a bare go statement"},
		"in a function literal":    {head + "defer func() {\n\t\tfor {\n\t\t\tgo func() {}()\n\t\t}\n\t}()\n}\n", "10:4: a bare go statement"},
		"a WaitGroup's":            {head + "all.Go(func() {})\n}\n", "8:2: a Go that gives"},
		"of a field":               {head + "s.all.Go(func() {})\n}\n", "8:2: a Go that gives"},
		"as a value":               {head + "run2(all.Go)\n}\n", "8:7: a Go that gives"},
		"as a method expression":   {head + "start := (*sync.WaitGroup).Go\n\tstart(all, nil)\n}\n", "8:11: a Go that gives"},
		"errgroup":                 {"package x\n\nimport eg \"golang.org/x/sync/errgroup\"\n\nvar all eg.Group\n", "3:8: errgroup"},
		"behind a build tag":       {"//go:build windows\n\npackage x\n\nfunc f() {\n\tgo f()\n}\n", "6:2: a bare go statement"},
		"a group's":                {head + "g.Go(\"reader\", func() {})\n}\n", ""},
		"a group's Run, a comment": {head + "g.Run(\"here\", func() {}) // go now\n}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			found := ownerless(t, "x.go", []byte(c.source))
			if c.want == "" && len(found) == 0 {
				return
			}
			if len(found) != 1 || c.want == "" || !strings.HasPrefix(found[0], "x.go:"+c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}
