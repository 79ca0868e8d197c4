package e2e

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// eachFile hands every regular file below dir to f.
func eachFile(t testing.TB, dir string, f func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f(path, readFile(t, path))
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

// descendants lists the processes below pid, children after parents.
func descendants(t testing.TB, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	children := make(map[int][]int)
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended since
		}
		// "pid (name) state ppid …"; the name may hold anything.
		text := string(b)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		id, err1 := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent, err2 := strconv.Atoi(fields[1])
		if err1 == nil && err2 == nil {
			children[parent] = append(children[parent], id)
		}
	}
	var all []int
	for next := []int{pid}; len(next) > 0; {
		next = slices.Concat(children[next[0]], next[1:])
		if len(next) > 0 {
			all = append(all, next[0])
		}
	}
	return all
}
