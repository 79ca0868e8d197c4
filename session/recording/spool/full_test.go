//go:build linux

package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"filippo.io/age"

	"entry/session/recording"
)

// fillUp makes one recording a session until the next list of changes needs
// more than a page, and gives each something to list.
func fillUp(b *bench) []*Writer {
	b.t.Helper()
	all := make([]*Writer, 50)
	for n := range all {
		all[n] = b.create(n + 1)
		b.must(all[n].Frame(recording.Output, 0, []byte("x")))
	}
	return all
}

// A full disk once ended the whole server: the list of what a tick changed
// found no room, and a tick that fails ends every session.
func TestListHasItsRoomOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can mount a small file system; nothing was tested")
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("spool", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size=4m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b := newBench(t, func(o *Options) { o.Dir, o.Reserve = dir, 1<<20 })
	all := fillUp(b)
	b.must(b.tick())
	for _, w := range all {
		b.must(w.Frame(recording.Output, 0, []byte("y"))) // has room on the last page of its file
	}
	// Another program takes all that is left, within one second.
	filler, err := os.Create(filepath.Join(dir, "filler"))
	b.must(err)
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	b.must(filler.Close())
	b.must(b.tick())
	if b.Err() != nil || len(b.ticks) != 2 || b.ticks[1].Changed != len(all) {
		t.Fatalf("%v after %d ticks", b.Err(), len(b.ticks))
	}
	if _, err := b.Create(recording.Header{ID: id(99)}, []age.Recipient{auditor().Recipient()}); !errors.Is(err, ErrFull) {
		t.Errorf("a new recording on the full disk: %v", err)
	}
	for n, w := range all {
		if err := w.Frame(recording.Output, 0, nil); !errors.Is(err, ErrFull) {
			t.Errorf("Frame on the full disk: %v", err)
		}
		if _, err := w.Close(); err != nil {
			t.Errorf("recording %d: %v", n+1, err)
		}
	}
	b.must(b.tick())
	last, err := recording.ReadTick(dir, b.ticks[2])
	b.must(err)
	for i, c := range last {
		if info, err := recording.Verify(dir, c.ID, recording.Expect{Segments: c.Segments, Head: c.Head, Final: true}); err != nil || c.ID != id(i+1) {
			t.Errorf("%s: %v, %v", c.ID, info.State, err)
		}
	}
	b.must(os.Remove(filler.Name()))
	_, err = b.create(99).Close()
	b.must(err)
	b.must(b.Close())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Where space can't be taken ahead, the recordings in the list end, and are
// listed later.
func TestListWithoutRoomEndsWhatIsInIt(t *testing.T) {
	b := newBench(t, nil)
	b.disk.set(func() { b.disk.sparse = true })
	all := fillUp(b)
	idle := b.create(99)
	b.must(b.tick())
	for _, w := range all {
		b.must(w.Frame(recording.Output, 0, []byte("y")))
	}
	b.disk.set(func() { b.disk.full = true })
	for range 2 {
		if err := b.tick(); !errors.Is(err, ErrFull) {
			t.Fatalf("tick = %v", err)
		}
	}
	if b.Err() != nil || len(b.ticks) != 1 {
		t.Fatalf("the spool's end: %v, after %d ticks", b.Err(), len(b.ticks))
	}
	for _, w := range all {
		if !errors.Is(w.Err(), ErrFull) {
			t.Fatalf("a recording whose changes have no room goes on: %v", w.Err())
		}
		_, err := w.Close()
		b.must(err)
	}
	if idle.Err() != nil {
		t.Errorf("one without changes was ended: %v", idle.Err())
	}
	b.disk.set(func() { b.disk.full = false })
	b.must(b.tick())
	list, err := recording.ReadTick(b.dir, b.ticks[1])
	b.must(err)
	if len(list) != len(all) {
		t.Errorf("%d changes were committed late, want %d", len(list), len(all))
	}
	for _, c := range list {
		if info, err := recording.Verify(b.dir, c.ID, recording.Expect{Segments: c.Segments, Head: c.Head, Final: true}); err != nil {
			t.Errorf("%s: %v, %v", c.ID, info.State, err)
		}
	}
	_, err = idle.Close()
	b.must(err)
	b.must(b.Close())
}

func TestCloseTellsOfAListWithoutRoom(t *testing.T) {
	b := newBench(t, nil)
	b.disk.set(func() { b.disk.sparse = true })
	w := b.create(1)
	b.disk.set(func() { b.disk.full = true })
	_, err := w.Close()
	b.must(err)
	if err := b.Close(); !errors.Is(err, ErrFull) {
		t.Errorf("Close = %v", err)
	}
}

// Bulk can write more than half of a reserve within one second.
func TestReserveIsLookedAtBetweenTicks(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Reserve = 4 << 20 })
	var left atomic.Int64
	left.Store(5 << 20)
	b.disk.set(func() {
		b.disk.write = func(f file, p []byte) (int, error) {
			if left.Add(-int64(len(p))) < 0 {
				return 0, syscall.ENOSPC
			}
			b.disk.set(func() { b.disk.frees = left.Load() })
			return f.Write(p)
		}
		b.disk.frees = left.Load()
	})
	w := b.create(1)
	var err error
	var taken int
	for block := noise(streamFrame); err == nil && taken < 16<<20; taken += len(block) {
		err = w.Frame(recording.Output, 0, block)
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("Frame = %v after %d bytes", err, taken)
	}
	if _, err := w.Close(); err != nil || left.Load() < 1<<20 {
		t.Errorf("Close = %v with %d bytes left", err, left.Load())
	}
	if info, err := recording.Verify(b.dir, id(1)); err != nil || info.State != recording.Complete {
		t.Errorf("Verify = %v, %v", info.State, err)
	}
}

func TestListsTakeNoMoreThanTheyNeedAfterwards(t *testing.T) {
	b := newBench(t, nil)
	w := b.create(1)
	b.must(w.Frame(recording.Output, 0, bytes.Repeat([]byte("x"), 10)))
	b.must(b.tick())
	name := filepath.Join(b.dir, recording.ListFile(recording.ListDay(b.clock.Now())))
	blocks := func() int64 {
		var st syscall.Stat_t
		b.must(syscall.Stat(name, &st))
		return st.Blocks * 512
	}
	if n := blocks(); n < listAhead {
		t.Logf("this file system takes no space ahead: %d bytes", n)
	}
	_, err := w.Close()
	b.must(err)
	b.must(b.Close())
	if n := blocks(); n > 8<<10 {
		t.Errorf("a closed list of two lines takes %d bytes", n)
	}
}
