package testkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BadFiles reads every testdata/NAME.bad.yaml and holds what is said of it to the
// words in NAME.bad.txt, of which none may change unseen. With update it writes
// them instead.
func BadFiles(t *testing.T, update bool, said func(t *testing.T, path string) string) {
	t.Helper()
	for _, path := range glob(t, "testdata/*.bad.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			got := said(t, path) + "\n"
			pinned := strings.TrimSuffix(path, ".yaml") + ".txt"
			if update {
				WriteFile(t, pinned, got)
			}
			if want := ReadFile(t, pinned); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// Seeds adds the content of the files that patterns name to a fuzz test's
// corpus; each names some.
func Seeds(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		for _, path := range glob(f, pattern) {
			data, err := os.ReadFile(path)
			Check(f, err)
			f.Add(data)
		}
	}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	paths := Must(filepath.Glob(pattern))(t)
	if len(paths) == 0 {
		t.Fatal("no file is ", pattern)
	}
	return paths
}
