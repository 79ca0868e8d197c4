//go:build linux

package index

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"entry/e2e/testkit"
)

// foreign are files that somebody could find in the place of one of the index's: those that
// are no regular file, lead elsewhere, or that others may read or write. put makes one at
// path; outside is a place elsewhere.
var foreign = map[string]func(t *testing.T, path, outside string){
	"a pipe": func(t *testing.T, path, _ string) { testkit.Check(t, syscall.Mkfifo(path, 0o600)) },
	"a link to a file without an end": func(t *testing.T, path, _ string) {
		testkit.Check(t, os.Symlink("/dev/zero", path))
	},
	"a link to a file elsewhere": func(t *testing.T, path, outside string) {
		testkit.Check(t, os.Rename(path, outside))
		testkit.Check(t, os.Symlink(outside, path))
	},
	"a link that leads nowhere": func(t *testing.T, path, outside string) {
		testkit.Check(t, os.Symlink(outside, path))
	},
	"a file that others may read": func(t *testing.T, path, outside string) {
		testkit.Check(t, os.Rename(outside, path))
		testkit.Check(t, os.Chmod(path, 0o644))
	},
}

// Whatever is found in the place of the key or of a database, nothing waits, nothing
// elsewhere is made or changed, what is shown is right, and the index is made anew.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	for name, put := range foreign {
		for _, what := range []string{"key", "*.db", "*.db-wal"} {
			t.Run(name+" for "+what, func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, 1)
				p.settle()
				x := p.index()
				p.warm(x)
				testkit.Check(t, x.Close())
				outside := filepath.Join(t.TempDir(), "outside")
				path := filepath.Join(p.folder, "key")
				if what != "key" {
					dbs := testkit.Must(filepath.Glob(filepath.Join(p.folder, "*.db")))(t)
					path = dbs[0] + what[len("*.db"):]
				}
				if _, err := os.Lstat(path); err != nil {
					testkit.Check(t, os.WriteFile(path, nil, 0o600)) // a log that is gone with the last connection
				}
				if name == "a file that others may read" {
					testkit.Check(t, os.Rename(path, outside))
				} else if name != "a link to a file elsewhere" {
					testkit.Check(t, os.Remove(path))
				}
				put(t, path, outside)
				before, had := os.ReadFile(outside)

				x = p.index()
				p.same(name, x, p.query())
				p.warm(x)
				if what != "key" && x.Note() == "" {
					t.Error("nothing is said of it")
				}
				after, has := os.ReadFile(outside)
				if (had == nil) != (has == nil) || !bytes.Equal(before, after) {
					t.Errorf("what is elsewhere was changed: %d bytes, %v, and now %d, %v", len(before), had, len(after), has)
				}
				testkit.Check(t, x.Close())
				if info, err := os.Lstat(path); err == nil && (!info.Mode().IsRegular() || info.Mode().Perm() != 0o600) {
					t.Errorf("it is still %v", info.Mode())
				}
			})
		}
	}
}
