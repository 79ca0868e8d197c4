package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// What --json prints may be read on a terminal, and has what peers chose in it: every verb
// makes it by plain.JSON, or as lines of the audit log, which are ASCII.
func TestVerbsPrintPlainJSON(t *testing.T) {
	files := testkit.Must(filepath.Glob("*.go"))(t)
	looked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		tree := testkit.Must(parser.ParseFile(set, file, nil, parser.SkipObjectResolution))(t)
		looked++
		ast.Inspect(tree, func(n ast.Node) bool {
			use, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := use.X.(*ast.Ident); ok && of.Name == "json" && (use.Sel.Name == "NewEncoder" || strings.HasPrefix(use.Sel.Name, "Marshal")) {
				t.Errorf("%s: json.%s: print by plain.JSON, which escapes what a terminal obeys", set.Position(use.Pos()), use.Sel.Name)
			}
			return true
		})
	}
	if looked < 50 {
		t.Errorf("only %d files looked at", looked)
	}
}
