//go:build linux

package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTermsFileIsBounded: a file that never ends is an error, not the end of the server.
func TestTermsFileIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "terms.txt")
	if err := os.WriteFile(path, []byte("Be kind.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := readTerms(path); err != nil || text != "Be kind.\n" {
		t.Errorf("%q %v", text, err)
	}
	if err := os.Truncate(path, 64<<30); err != nil { // sparse: read whole, it would be memory
		t.Fatal(err)
	}
	if _, err := readTerms(path); err == nil || !strings.Contains(err.Error(), "is larger than 65536 bytes") {
		t.Error(err)
	}
}
