package testkit

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BuildEntry builds the program into dir, as a user would build it, and gives its path.
func BuildEntry(dir string) (path string, err error) {
	path = filepath.Join(dir, "entry")
	if out, err := exec.Command("go", "build", "-o", path, "entry/cmd/entry").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build entry/cmd/entry: %w\n%s", err, out)
	}
	return path, nil
}

// LookAtTree looks at every file of the module at root that the program may be made of:
// what a test has looked at is what go test remembers its result by, and it knows
// nothing of a program that was built in between. It has to be called within a test.
func LookAtTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return filepath.SkipDir
		case d.Type().IsRegular() && path != filepath.Join(root, "entry"):
			_, err := os.Stat(path)
			return err
		}
		return nil
	})
}
