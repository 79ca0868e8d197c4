package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// Every test is in one of two groups, and says in which with its first
// statement. Go runs those that are alone first, one after the other, and then
// the others side by side, as many at a time as -parallel says (TestMain): so
// many servers and sshds live at once, and no more.

// beside is for a test that shares the machine: its servers, ports, folders and
// accounts are its own.
func beside(t *testing.T) {
	t.Helper()
	testkit.Check(t, lookAtProgram())
	t.Parallel()
}

// alone is for a test that needs something of the machine of which there is one
// (its accounts, its mounts, a tracer of system calls), that uses all of both
// processors, or that compares times with a promise.
func alone(t *testing.T) {
	t.Helper()
	testkit.Check(t, lookAtProgram())
}

// TestGroups: no test is left to chance.
func TestGroups(t *testing.T) {
	beside(t)
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || f.Name.Name == "TestMain" {
				continue
			}
			if !says(f, "beside") && !says(f, "alone") {
				t.Errorf("%s: %s doesn't begin with beside(t) or alone(t)", fset.Position(f.Pos()), f.Name.Name)
			}
		}
	}
}

// says tells whether f begins with a call of group.
func says(f *ast.FuncDecl, group string) bool {
	if len(f.Body.List) == 0 {
		return false
	}
	s, ok := f.Body.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := s.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	id, ok := call.Fun.(*ast.Ident)
	return ok && id.Name == group
}
