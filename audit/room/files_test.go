//go:build linux

package room

import (
	"os"
	"testing"
)

// Files that are opened take the lowest numbers, so that the last ones tell how many there
// are.
func TestFilesLeft(t *testing.T) {
	f, err := FilesNow()
	if err != nil {
		t.Fatal(err)
	}
	if f.Kept < leastKept || f.Kept > mostKept || f.Usable()+f.Kept != f.Most {
		t.Errorf("%+v", f)
	}
	if !f.Left(0) || f.Left(f.Most) {
		t.Errorf("%+v: none left, or more than there are", f)
	}
	next, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	spare := f.Most - int(next.Fd()) // as if only next's number, and those above, were kept
	if f.Left(spare) {
		t.Error("a number that is kept counts as free")
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if !f.Left(spare - 1) {
		t.Error("the number below those that are kept doesn't count as free")
	}
}
