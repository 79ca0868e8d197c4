//go:build linux

package spool

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// noise is data that doesn't compress.
func noise(n int) []byte {
	var seed [32]byte
	r := rand.NewChaCha8(seed)
	b := make([]byte, n)
	_, _ = r.Read(b) // never fails
	return b
}

func TestShortWritesGoOnWithTheSameBytes(t *testing.T) {
	b := newBench(t, nil)
	w := b.create(1)
	b.disk.set(func() {
		b.disk.write = func(f file, p []byte) (int, error) {
			n := min(len(p), 7)
			m, err := f.Write(p[:n])
			if err == nil && n < len(p) && n%2 == 1 {
				err = io.ErrShortWrite
			}
			return m, err
		}
	})
	want := noise(100 << 10)
	b.must(w.Frame(recording.Output, 0, want))
	sum, err := w.Close()
	b.must(err)
	var got []byte
	frames, err := readAll(t, b.dir, id(1))
	for _, f := range frames {
		got = append(got, f.Data...)
	}
	if !errors.Is(err, io.EOF) || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if _, err := recording.Verify(b.dir, id(1), recording.Expect{Segments: sum.Segments, Head: sum.Head, Final: true}); err != nil {
		t.Error(err)
	}
}

func TestWriteErrorsEndTheRecordingForGood(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC, io.ErrNoProgress} {
		t.Run(cause.Error(), func(t *testing.T) {
			b := newBench(t, nil)
			good, bad := b.create(1), b.create(2)
			b.must(bad.Frame(recording.Output, 0, []byte("kept")))
			b.must(b.tick())
			b.disk.set(func() {
				b.disk.write = func(f file, p []byte) (int, error) {
					n, err := f.Write(p[:len(p)/2]) // half a segment reaches the disk
					if errors.Is(cause, io.ErrNoProgress) {
						return 0, nil
					}
					return n, errors.Join(err, cause)
				}
			})
			b.must(bad.Frame(recording.Output, 0, []byte("lost")))
			b.must(b.tick())
			b.disk.set(func() { b.disk.write = nil })
			<-bad.Failed()
			first := bad.Frame(recording.Output, 0, []byte("never"))
			for _, err := range []error{first, bad.Frame(recording.Output, 0, nil), bad.Err()} {
				if !errors.Is(err, cause) || err.Error() != first.Error() {
					t.Errorf("%v, want always the same %v", err, cause)
				}
			}
			sum, err := bad.Close()
			if !errors.Is(err, cause) || sum.Segments != 1 {
				t.Errorf("Close = %+v, %v", sum, err)
			}
			b.must(good.Frame(recording.Output, 0, []byte("others go on")))
			_, err = good.Close()
			b.must(err)
			frames, err := readAll(t, b.dir, id(2))
			if !errors.Is(err, recording.ErrTruncated) || len(frames) != 1 {
				t.Errorf("%d frames, %v; want what was durable, then ErrTruncated", len(frames), err)
			}
		})
	}
}

func TestSyncAndCommitErrorsEndEverySession(t *testing.T) {
	for name, breakIt := range map[string]func(*bench){
		"sync":   func(b *bench) { b.disk.set(func() { b.disk.sync = func() error { return syscall.EIO } }) },
		"commit": func(b *bench) { b.mu.Lock(); b.fail = syscall.EIO; b.mu.Unlock() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			one, idle := b.create(1), b.create(2)
			b.must(one.Frame(recording.Output, 0, []byte("x")))
			breakIt(b)
			if err := b.tick(); !errors.Is(err, syscall.EIO) {
				t.Fatalf("tick = %v", err)
			}
			<-b.Failed()
			for _, w := range []*Writer{one, idle} {
				<-w.Failed()
				if _, err := w.Close(); !errors.Is(err, syscall.EIO) {
					t.Errorf("Close = %v", err)
				}
			}
			if _, err := b.Create(recording.Header{ID: id(3)}, []age.Recipient{auditor().Recipient()}); !errors.Is(err, syscall.EIO) {
				t.Errorf("Create = %v", err)
			}
			// For a moment it passes as live, while a child that another test starts has its
			// lock, from fork to exec.
			testkit.Eventually(t, "a recording whose sync failed doesn't pass", func() bool {
				info, err := recording.Verify(b.dir, id(1))
				if err == nil && info.State != recording.Live {
					t.Errorf("a recording whose sync failed passes as %s", info.State)
				}
				return err != nil || t.Failed()
			})
			if err := b.Close(); !errors.Is(err, syscall.EIO) {
				t.Errorf("Close = %v", err)
			}
		})
	}
}

func TestCloseFailsWhenItsSyncFails(t *testing.T) {
	b := newBench(t, nil)
	w := b.create(1)
	b.disk.set(func() { b.disk.fsync = func() error { return syscall.EIO } })
	if _, err := w.Close(); !errors.Is(err, syscall.EIO) || !isClosed(w.Failed()) {
		t.Errorf("Close = %v", err)
	}
}

func TestReserve(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Reserve = 1000 })
	busy, idle := b.create(1), b.create(2)
	b.must(busy.Frame(recording.Output, 0, []byte("x")))
	b.disk.set(func() { b.disk.frees = 999 })
	if _, err := b.Create(recording.Header{ID: id(3)}, []age.Recipient{auditor().Recipient()}); !errors.Is(err, ErrFull) {
		t.Errorf("Create under the reserve = %v", err)
	}
	b.must(b.tick())
	b.must(busy.Frame(recording.Output, 0, []byte("still")))
	b.disk.set(func() { b.disk.frees = 499 })
	b.must(b.tick())
	if err := busy.Frame(recording.Output, 0, []byte("no")); !errors.Is(err, ErrFull) {
		t.Errorf("Frame under half of the reserve = %v", err)
	}
	if idle.Err() != nil {
		t.Error("an idle session was ended for want of space")
	}
	for _, w := range []*Writer{busy, idle} {
		_, err := w.Close()
		b.must(err)
	}
	if info, err := recording.Verify(b.dir, id(1)); err != nil || info.State != recording.Complete {
		t.Errorf("the recording that ended for want of space: %v, %v", info.State, err)
	}
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	b := newBench(t, nil)
	b.disk.set(func() { b.disk.write = func(file, []byte) (int, error) { return 0, syscall.ENOSPC } })
	if _, err := b.Create(recording.Header{ID: id(1)}, []age.Recipient{auditor().Recipient()}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Create = %v", err)
	}
	for _, ext := range []string{recording.Ext, recording.KeyExt} {
		if _, err := os.Stat(strings.TrimSuffix(b.path(1), recording.Ext) + ext); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", ext, err)
		}
	}
}

// hang makes an operation wait until the returned function is called.
func hang() (wait func() error, release func()) {
	c := make(chan struct{})
	return func() error { <-c; return nil }, sync.OnceFunc(func() { close(c) })
}

func TestStalledWritesBlockThenEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Now = nil })
		w := b.create(1)
		wait, release := hang()
		defer release()
		b.disk.set(func() {
			b.disk.write = func(f file, p []byte) (int, error) { _ = wait(); return f.Write(p) }
		})
		var err error
		start := time.Now()
		var accepted int
		for err == nil {
			if err = w.Frame(recording.Output, 0, noise(streamFrame)); err == nil {
				accepted += streamFrame
			}
		}
		if took := time.Since(start); !errors.Is(err, ErrStalled) || took != defaultStall {
			t.Errorf("Frame = %v after %v; want ErrStalled after %v", err, took, defaultStall)
		}
		if accepted > recording.SegmentSize+(maxWaiting+2)*bulkBuffer {
			t.Errorf("%d bytes were taken into memory", accepted)
		}
		release()
		if _, err := w.Close(); err != nil {
			t.Errorf("Close once the disk is back = %v", err)
		}
		if info, err := recording.Verify(b.dir, id(1)); err != nil || info.State != recording.Complete {
			t.Errorf("Verify = %v, %v", info.State, err)
		}
		b.must(b.Close())
	})
}

func TestStalledTickEndsTypists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Now = nil })
		before, after, idle := b.create(1), b.create(2), b.create(3)
		wait, release := hang()
		b.disk.set(func() { b.disk.sync = wait })
		b.must(before.Frame(recording.Output, 0, []byte("a")))
		done := make(chan error)
		go func() { done <- b.tick() }()
		synctest.Wait()
		b.must(after.Frame(recording.Output, 0, []byte("b")))
		start := time.Now()
		<-before.Failed()
		<-after.Failed()
		if took := time.Since(start); took != defaultStall || !errors.Is(after.Err(), ErrStalled) {
			t.Errorf("ended with %v after %v", after.Err(), took)
		}
		if idle.Err() != nil {
			t.Error("a session without unsaved data was ended")
		}
		if _, err := b.Create(recording.Header{ID: id(4)}, []age.Recipient{auditor().Recipient()}); !errors.Is(err, ErrStalled) {
			t.Errorf("Create meanwhile = %v", err)
		}
		release()
		b.must(<-done)
		b.disk.set(func() { b.disk.sync = nil })
		_, err := b.create(5).Close()
		b.must(err)
		b.must(b.Close())
	})
}

func TestStalledCreateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Now = nil })
		wait, release := hang()
		b.disk.set(func() { b.disk.fsync = wait })
		start := time.Now()
		if _, err := b.Create(recording.Header{ID: id(1)}, []age.Recipient{auditor().Recipient()}); !errors.Is(err, ErrStalled) || time.Since(start) != defaultStall {
			t.Errorf("Create = %v after %v", err, time.Since(start))
		}
		release()
		b.must(b.Close())
	})
}

func TestStalledCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Now = nil })
		w := b.create(1)
		wait, release := hang()
		b.disk.set(func() {
			b.disk.write = func(f file, p []byte) (int, error) { _ = wait(); return f.Write(p) }
		})
		start := time.Now()
		if _, err := w.Close(); !errors.Is(err, ErrStalled) || time.Since(start) != defaultStall {
			t.Errorf("Close = %v after %v", err, time.Since(start))
		}
		release()
		b.must(b.Close())
	})
}
