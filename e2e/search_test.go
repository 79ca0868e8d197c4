package e2e

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// eachFile hands every regular file below dir to f.
func eachFile(t testing.TB, dir string, f func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f(path, testkit.ReadFile(t, path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// disguises are the forms in which a secret may hide in a file.
func disguises(secret string) []string {
	out := []string{
		secret,
		hex.EncodeToString([]byte(secret)),
		strings.ToUpper(hex.EncodeToString([]byte(secret))),
		base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(secret)),
	}
	// In base64 a text looks different at each of three offsets; what is left
	// after cutting the first and last group is the same.
	for pad := range 3 {
		enc := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", pad) + secret))
		if end := len(enc) - len(enc)%4 - 4; end-4 >= 8 {
			out = append(out, enc[4:end])
		}
	}
	return out
}
