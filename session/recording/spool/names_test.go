//go:build linux

package spool

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// TestNamesAreLookedAfter does to the files of recordings that write and of idle
// ones what other programs do. Within two seconds that recording has ended, and
// no other.
func TestNamesAreLookedAfter(t *testing.T) {
	for what, do := range map[string]func(t *testing.T, path string) error{
		"renamed": func(_ *testing.T, p string) error { return os.Rename(p, p+".1") },
		"removed": func(_ *testing.T, p string) error { return os.Remove(p) },
		"made again": func(_ *testing.T, p string) error {
			b, err := os.ReadFile(p)
			return errors.Join(err, os.Remove(p), os.WriteFile(p, b, 0o600))
		},
		"another one put over it": func(_ *testing.T, p string) error {
			b, err := os.ReadFile(p)
			return errors.Join(err, os.WriteFile(p+".new", b, 0o600), os.Rename(p+".new", p))
		},
		"a link": func(_ *testing.T, p string) error { return errors.Join(os.Rename(p, p+".1"), os.Symlink(p+".1", p)) },
		"cut":    func(_ *testing.T, p string) error { return os.Truncate(p, 10) },
		// Within the tick of its last write, so that no date tells.
		"cut and grown again": func(_ *testing.T, p string) error {
			info, err := os.Stat(p)
			return errors.Join(err, os.Truncate(p, 0), os.Truncate(p, info.Size()))
		},
		"overwritten": func(_ *testing.T, p string) error {
			info, err := os.Stat(p)
			return errors.Join(err, os.WriteFile(p, bytes.Repeat([]byte("x"), int(info.Size())), 0))
		},
		"mounted over": func(t *testing.T, p string) error {
			other := filepath.Join(t.TempDir(), "other")
			b, err := os.ReadFile(p)
			if err := errors.Join(err, os.WriteFile(other, b, 0o600), syscall.Mount(other, p, "", syscall.MS_BIND, "")); err != nil {
				return err
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(p, syscall.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			return nil
		},
	} {
		if what == "mounted over" && os.Geteuid() != 0 {
			t.Log("only root can mount; it wasn't tested")
			continue
		}
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := newTicking(t)
			other := b.create(9)
			b.must(other.Frame(recording.Output, 0, []byte("x")))
			stop, written := make(chan struct{}), make(chan struct{})
			cases := []struct {
				name, ext string
				*Writer
			}{{"idle", recording.Ext, b.create(1)}, {"idle", recording.KeyExt, b.create(2)}, {"busy", recording.Ext, b.create(3)}, {"busy", recording.KeyExt, b.create(4)}}
			for _, c := range cases {
				b.must(c.Frame(recording.Output, 0, []byte("some output, so that there is something to cut")))
			}
			go func() {
				defer close(written)
				for {
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
						for _, c := range cases[2:] {
							_ = c.Frame(recording.Output, 0, []byte("x")) // it is about to fail
						}
					}
				}
			}()
			for _, c := range cases {
				testkit.Eventually(t, "a tick", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.segments > 0 })
			}
			for n, c := range cases {
				b.must(do(t, filepath.Join(b.dir, id(n+1)+c.ext)))
			}
			late := time.After(testkit.Bound(2 * time.Second))
			for _, c := range cases {
				select {
				case <-c.Failed():
				case <-late:
					t.Fatalf("%s %s: not noticed", c.name, c.ext)
				}
			}
			close(stop)
			<-written
			for _, c := range cases {
				if _, err := c.Close(); !errors.Is(c.Err(), ErrGone) || !errors.Is(err, ErrGone) {
					t.Errorf("%s %s: Err %v, Close %v", c.name, c.ext, c.Err(), err)
				}
			}
			if other.Err() != nil || b.Err() != nil {
				t.Errorf("another recording: %v; the spool: %v", other.Err(), b.Err())
			}
		})
	}
}

// TestSpoolIsLookedAfter: where the folder or the day's lists aren't where they
// were, nothing in it is promised any more.
func TestSpoolIsLookedAfter(t *testing.T) {
	for what, do := range map[string]func(t *testing.T, dir string) error{
		"folder renamed": func(_ *testing.T, d string) error { return os.Rename(d, d+".1") },
		"lists removed": func(_ *testing.T, d string) error {
			return os.Remove(filepath.Join(d, recording.ListFile(recording.ListDay(time.Now()))))
		},
		"mounted over": func(t *testing.T, d string) error {
			if err := syscall.Mount("other", d, "tmpfs", 0, "size=1m"); err != nil {
				return err
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(d, syscall.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			return nil
		},
	} {
		if what == "mounted over" && os.Geteuid() != 0 {
			t.Log("only root can mount; it wasn't tested")
			continue
		}
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := newTicking(t)
			w := b.create(1)
			b.must(w.Frame(recording.Output, 0, []byte("x")))
			testkit.Eventually(t, "a tick", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.segments > 0 })
			b.must(do(t, b.dir))
			select {
			case <-b.Failed():
			case <-time.After(testkit.Bound(2 * time.Second)):
				t.Error("not noticed")
			}
			testkit.Receive(t, "the recording's end", w.Failed()) // which the spool's brings
			if err := w.Err(); !errors.Is(err, ErrGone) || !errors.Is(b.Err(), ErrGone) {
				t.Errorf("the recording's end: %v; the spool's: %v", err, b.Err())
			}
		})
	}
}

// TestCutBeforeMore: what is written after a recording was cut neither hides that,
// as a write at the old offset would, nor does the end of the recording.
func TestCutBeforeMore(t *testing.T) {
	for name, do := range map[string]func(w *Writer) error{
		"one more segment": func(w *Writer) error { return w.Frame(recording.Output, 0, []byte("more")) },
		"the end":          func(w *Writer) error { _, err := w.Close(); return err },
	} {
		for what, size := range map[string]int64{"to nothing": 0, "to a hole": -1} {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				b := newTicking(t)
				w := b.create(1)
				b.must(w.Frame(recording.Output, 0, []byte("x")))
				testkit.Eventually(t, "a tick", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.segments > 0 })
				path := filepath.Join(b.dir, id(1)+recording.Ext)
				info, err := os.Stat(path)
				b.must(err)
				b.must(os.Truncate(path, 0))
				if size < 0 {
					b.must(os.Truncate(path, info.Size()))
				}
				_ = do(w) // it fails now or within two seconds
				select {
				case <-w.Failed():
				case <-time.After(testkit.Bound(2 * time.Second)):
					t.Fatal("not noticed")
				}
				if _, err := w.Close(); !errors.Is(err, ErrGone) {
					t.Errorf("Close: %v", err)
				}
			})
		}
	}
}

// TestListsOverwritten: the day's lists of another day's length end the spool.
func TestListsOverwritten(t *testing.T) {
	b := newTicking(t)
	w := b.create(1)
	b.must(w.Frame(recording.Output, 0, []byte("x")))
	path := filepath.Join(b.dir, recording.ListFile(recording.ListDay(time.Now())))
	var size int64
	testkit.Eventually(t, "a tick", func() bool {
		info, err := os.Stat(path)
		if err == nil {
			size = info.Size()
		}
		return size > 0
	})
	b.must(errors.Join(os.Truncate(path, 0), os.Truncate(path, size)))
	select {
	case <-b.Failed():
	case <-time.After(testkit.Bound(2 * time.Second)):
		t.Error("not noticed")
	}
	if !errors.Is(b.Err(), ErrGone) {
		t.Errorf("the spool's end: %v", b.Err())
	}
}
