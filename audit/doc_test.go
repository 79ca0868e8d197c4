package audit

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// The package's documentation names every file, once, and none that isn't there. Files that
// are of one system each count as one.
func TestEveryFileIsNamed(t *testing.T) {
	t.Parallel()
	_, doc, _ := strings.Cut(testkit.ReadFile(t, "doc.go"), "# The files")
	doc, _, _ = strings.Cut(doc, "# Where it runs")
	named := map[string]int{}
	for _, name := range regexp.MustCompile(`[a-z]+\.go`).FindAllString(doc, -1) {
		named[name]++
	}
	there := map[string]bool{}
	for _, name := range testkit.Must(filepath.Glob("*.go"))(t) {
		if strings.HasSuffix(name, "_test.go") || name == "doc.go" {
			continue
		}
		if i := strings.IndexByte(name, '_'); i > 0 {
			name = name[:i] + ".go"
		}
		if there[name] = true; named[name] != 1 {
			t.Errorf("%s is named %d times", name, named[name])
		}
	}
	for name := range named {
		if !there[name] {
			t.Errorf("%s is named and not there", name)
		}
	}
	if !there["event.go"] {
		t.Errorf("looked at %d files, and not at event.go", len(there))
	}
}
