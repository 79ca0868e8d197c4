package policy_test

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"entry/e2e/testkit"
	"entry/policy"
	"entry/policy/compare"
	"entry/policy/strict"
)

var update = flag.Bool("update", false, "rewrite testdata/*.bad.txt")

// Each testdata/NAME.bad.yaml pins, in NAME.bad.txt, every word that its reader
// gets to see.
func TestBadFilesPinTheirText(t *testing.T) {
	testkit.BadFiles(t, *update, func(t *testing.T, path string) string {
		_, err := policy.LoadFiles([]string{path}, compare.Warnings)
		var problems strict.Problems
		if !errors.As(err, &problems) {
			t.Fatalf("error %v of type %T, want Problems", err, err)
		}
		if len(problems.Fatal()) == 0 {
			t.Fatal("only warnings")
		}
		return strings.ReplaceAll(err.Error(), "testdata/", "")
	})
}
