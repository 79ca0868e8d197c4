package policy_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entry/policy"
	"entry/policy/compare"
	"entry/policy/strict"
)

var update = flag.Bool("update", false, "rewrite testdata/*.bad.txt")

// Each testdata/NAME.bad.yaml pins, in NAME.bad.txt, every word that its reader
// gets to see.
func TestBadFilesPinTheirText(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, err := policy.LoadFiles([]string{path}, compare.Warnings)
			var problems strict.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("error %v of type %T, want Problems", err, err)
			}
			if len(problems.Fatal()) == 0 {
				t.Fatal("only warnings")
			}
			got := strings.ReplaceAll(err.Error(), "testdata/", "") + "\n"
			pinned := strings.TrimSuffix(path, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(pinned, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(pinned)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
