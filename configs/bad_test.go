package configs_test

import (
	"errors"
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"entry/configs"
	"entry/e2e/testkit"
	"entry/policy/strict"
)

var update = flag.Bool("update", false, "rewrite testdata/*.bad.txt")

// Each testdata/NAME.bad.yaml pins, in NAME.bad.txt, every word that its reader
// gets to see.
func TestBadFilesPinTheirText(t *testing.T) {
	here := testkit.Must(filepath.Abs("testdata"))(t)
	testkit.BadFiles(t, *update, func(t *testing.T, path string) string {
		c, err := configs.Load(path)
		var problems strict.Problems
		if !errors.As(err, &problems) || c != nil {
			t.Fatalf("%v, error %v of type %T, want Problems", c, err, err)
		}
		return strings.ReplaceAll(err.Error(), here+"/", "")
	})
}
