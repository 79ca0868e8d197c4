//go:build linux

package names_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entry/audit/names"
)

// TestContent appends pieces of many lengths, and then does to the file, at once
// and to the same length, what dates can't tell apart from the last write.
func TestContent(t *testing.T) {
	piece := func(n, length int) []byte {
		return bytes.Repeat([]byte(fmt.Sprintf("%03d.", n)), length/4+1)[:length]
	}
	over := func(path string, b []byte) error { return os.WriteFile(path, b, 0o600) } // truncates in place
	for _, c := range []struct {
		name string
		do   func(path string, b []byte, last int) error
		says string
	}{
		{"nothing", func(string, []byte, int) error { return nil }, ""},
		{"copied back", func(p string, b []byte, _ int) error { return over(p, b) }, ""},
		{"more appended", func(p string, b []byte, _ int) error { return over(p, append(bytes.Clone(b), "more"...)) }, ""},
		{"cut", func(p string, b []byte, _ int) error { return os.Truncate(p, int64(len(b)-1)) }, "was cut; "},
		{"cut, and a hole in its place", func(p string, b []byte, _ int) error {
			return errors.Join(os.Truncate(p, 0), os.Truncate(p, int64(len(b))))
		}, "was overwritten: "},
		{"a hole before the last write", func(p string, b []byte, last int) error {
			return over(p, append(make([]byte, len(b)-last), b[len(b)-last:]...))
		}, "was overwritten: "},
		{"another file copied over it", func(p string, b []byte, _ int) error {
			return over(p, bytes.Repeat([]byte("x"), len(b)))
		}, "was overwritten: "},
		{"its last byte changed", func(p string, b []byte, _ int) error {
			b = bytes.Clone(b)
			b[len(b)-1]++
			return over(p, b)
		}, "was overwritten: "},
	} {
		for _, lengths := range [][]int{{4}, {1, 1, 1}, {100, 100, 100, 100}, {255, 1, 1}, {256, 256}, {1000, 3}, {3, 1000}, {5000, 5000, 10}} {
			for _, reopened := range []bool{false, true} {
				t.Run(fmt.Sprint(c.name, lengths, reopened), func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "f")
					f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					var content names.Content
					var all []byte
					for n, length := range lengths {
						if reopened && n == 1 {
							if content, err = names.ContentOf(f, int64(len(all))); err != nil {
								t.Fatal(err)
							}
						}
						if err := content.Check(f, path); err != nil {
							t.Fatal(err)
						}
						p := piece(n, length)
						if _, err := f.Write(p); err != nil {
							t.Fatal(err)
						}
						content.Wrote(p)
						all = append(all, p...)
					}
					last := lengths[len(lengths)-1]
					if last == len(all) && c.name == "a hole before the last write" {
						return // there is nothing before it
					}
					if err := c.do(path, all, last); err != nil {
						t.Fatal(err)
					}
					err = content.Check(f, path)
					var gone *names.Gone
					switch {
					case c.says == "" && err == nil:
					case c.says == "" || !errors.As(err, &gone) || !strings.HasPrefix(err.Error(), path+" "+c.says):
						t.Errorf("Check = %v, want %q", err, c.says)
					}
				})
			}
		}
	}
}
