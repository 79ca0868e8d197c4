//go:build linux

package names_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"entry/audit/names"
)

// TestCheck does to a file what other programs do, and sees that it is noticed,
// and that nothing is noticed before.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, path string) error
		says string
	}{
		{"nothing", func(*testing.T, string) error { return nil }, ""},
		{"its mode changed", func(_ *testing.T, p string) error { return os.Chmod(p, 0o400) }, ""},
		{"renamed", func(_ *testing.T, p string) error { return os.Rename(p, p+".1") }, "was renamed or removed"},
		{"removed", func(_ *testing.T, p string) error { return os.Remove(p) }, "was renamed or removed"},
		{"made again", func(_ *testing.T, p string) error {
			return errors.Join(os.Remove(p), os.WriteFile(p, []byte("12345678"), 0o600))
		}, "was replaced by another file"},
		{"another one put over it", func(_ *testing.T, p string) error {
			return errors.Join(os.WriteFile(p+".new", []byte("12345678"), 0o600), os.Rename(p+".new", p))
		}, "was replaced by another file"},
		{"a link in its place", func(_ *testing.T, p string) error { return errors.Join(os.Rename(p, p+".1"), os.Symlink(p+".1", p)) }, "was replaced by a symbolic link"},
		{"truncated in place", func(_ *testing.T, p string) error { return os.Truncate(p, 0) }, "was cut to 0 bytes; 8 were written"},
		{"written to", func(_ *testing.T, p string) error { return os.WriteFile(p, []byte("123456789"), 0) }, "has 9 bytes, of which somebody else wrote 1"},
		{"its folder renamed", func(_ *testing.T, p string) error { return os.Rename(filepath.Dir(p), filepath.Dir(p)+".1") }, "was renamed or removed"},
		{"a file in its folder's place", func(_ *testing.T, p string) error {
			d := filepath.Dir(p)
			return errors.Join(os.Rename(d, d+".1"), os.WriteFile(d, nil, 0o600))
		}, "was renamed or removed"},
		{"its folder copied", func(_ *testing.T, p string) error {
			d := filepath.Dir(p)
			return errors.Join(os.Rename(d, d+".1"), os.Mkdir(d, 0o700), os.WriteFile(p, []byte("12345678"), 0o600))
		}, "was replaced by another file"},
		{"mounted over", func(t *testing.T, p string) error {
			if err := syscall.Mount("names", filepath.Dir(p), "tmpfs", 0, "size=1m"); err != nil {
				return err
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(filepath.Dir(p), syscall.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			return os.WriteFile(p, []byte("12345678"), 0o600)
		}, "is on another file system now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "mounted over" && os.Geteuid() != 0 {
				t.Log("only root can mount; nothing was tested")
				return
			}
			path := filepath.Join(t.TempDir(), "folder", "events")
			if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("12345678"), 0o600)); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			open, err := names.Of(path, f)
			if err != nil {
				t.Fatal(err)
			}
			at, err := names.At(path)
			if err != nil || at != open {
				t.Fatalf("At = %v, %v; Of = %v", at, err, open)
			}
			if err := c.do(t, path); err != nil {
				t.Fatal(err)
			}
			err = open.Check(8)
			var gone *names.Gone
			switch {
			case c.says == "" && err == nil:
			case c.says == "" || !errors.As(err, &gone) || !strings.HasSuffix(err.Error(), path+" "+c.says):
				t.Errorf("Check = %v, want %q", err, c.says)
			}
		})
	}
}

// Two files change places with all that they are; one that isn't there is an error.
func TestExchange(t *testing.T) {
	path := t.TempDir()
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done, err := names.Exchange(dir, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "a", "b": "b"}
	if done {
		want = map[string]string{"a": "b", "b": "a"}
	}
	for name, is := range want {
		if b, err := os.ReadFile(filepath.Join(path, name)); err != nil || string(b) != is {
			t.Errorf("%s is %q, %v", name, b, err)
		}
	}
	if done, err := names.Exchange(dir, "a", "c"); done || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("with nothing: %t, %v", done, err)
	}
}
