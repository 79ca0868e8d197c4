//go:build linux

package room

import (
	"os"
	"testing"
)

func TestFree(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		what                       string
		bytes, free, files, unused uint64
		want                       int64
		said                       string
	}{
		{"bytes are fewer", 100 * mib, 10 * mib, 1000, 900, 10 * mib, "10485760 bytes are free"},
		{"files are fewer", 100 * mib, 90 * mib, 1000, 100, 10 * mib, "100 more files (inodes) can be made"},
		{"no file is left", 100 * mib, 90 * mib, 1000, 0, 0, "0 more files (inodes) can be made"},
		{"files aren't counted", 100 * mib, 90 * mib, 0, 0, 90 * mib, "94371840 bytes are free"},
		{"more free files than there are", 100 * mib, 90 * mib, 10, 11, 90 * mib, "94371840 bytes are free"},
		{"both are gone", 100 * mib, 0, 1000, 0, 0, "0 bytes are free"},
		{"a large one", 1 << 60, 1 << 59, 1 << 40, 1 << 30, 1 << 50, "1073741824 more files (inodes) can be made"},
	} {
		if got := of(c.bytes, c.free, c.files, c.unused); got.Bytes != c.want || got.String() != c.said {
			t.Errorf("%s: %d, %s; want %d, %s", c.what, got.Bytes, got, c.want, c.said)
		}
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if f, err := Of(dir); err != nil || f.Bytes <= 0 {
		t.Errorf("%+v, %v", f, err)
	}
}
