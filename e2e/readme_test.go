package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestReadmePackages: the package map has each package once, and no other.
func TestReadmePackages(t *testing.T) {
	beside(t)
	_, after, ok := strings.Cut(testkit.ReadFile(t, "../README.md"), "## Packages")
	section, _, ok2 := strings.Cut(after, "\n## ")
	if !ok || !ok2 {
		t.Fatal("README.md has no section Packages")
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\| .").FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	cmd := exec.Command("go", "list", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, p := range strings.Fields(string(out)) {
		there = append(there, strings.TrimPrefix(p, "entry/"))
	}
	slices.Sort(listed)
	slices.Sort(there)
	if !slices.Equal(listed, there) {
		t.Errorf("README.md lists %q, there is %q", listed, there)
	}
}

// TestReadmePolicy: the rules shown are those of the examples, which are
// tested where they are.
func TestReadmePolicy(t *testing.T) {
	beside(t)
	files, err := filepath.Glob("../configs/policy.d/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var all strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	shown := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(testkit.ReadFile(t, "../README.md"), -1)
	if len(shown) < 2 {
		t.Fatalf("%d rules are shown", len(shown))
	}
	for _, m := range shown {
		if !strings.Contains(all.String(), m[1]) {
			t.Errorf("no example has this rule:\n%s", m[1])
		}
	}
}

// TestReadmeOfContributors: what CONTRIBUTING.md names is there.
func TestReadmeOfContributors(t *testing.T) {
	beside(t)
	seen := 0
	for _, m := range regexp.MustCompile("`((?:\\.ci|audit|bastion|cmd|configs|docs|e2e|policy|session)(?:/[a-z0-9_.]+)*)`").FindAllStringSubmatch(testkit.ReadFile(t, "../CONTRIBUTING.md"), -1) {
		seen++
		if !fileExists("../" + m[1]) {
			t.Errorf("there is no %s", m[1])
		}
	}
	if seen < 30 {
		t.Errorf("%d places are named", seen)
	}
}
