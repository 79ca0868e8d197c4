package e2e

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestUsersKnowNoOperators: what lab users read says whom to ask in one way, which a site's
// guides.contact takes the place of.
func TestUsersKnowNoOperators(t *testing.T) {
	beside(t)
	for _, dir := range []string{"../session", "../bastion", "../policy", "../audit/refusal"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			for _, words := range []string{"your operator", "the operator ", "your administrator"} {
				for n, line := range strings.Split(testkit.ReadFile(t, path), "\n") {
					code, _, _ := strings.Cut(line, "// ")
					if i := strings.Index(code, `"`); i >= 0 && strings.Contains(strings.ToLower(code[i:]), words) && !strings.HasSuffix(path, "_test.go") {
						t.Errorf("%s:%d: %q: users know %q", path, n+1, words, "your lab's administrator")
					}
				}
			}
			return nil
		})
		testkit.Check(t, err)
	}
}
