//go:build linux

package spool

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// TestBulkIsCutIntoLargerSegments: what follows a segment that was full before the tick is
// cut at 512 KiB, byte for byte what came; two ticks later keystrokes have small ones again.
func TestBulkIsCutIntoLargerSegments(t *testing.T) {
	b := newBench(t, nil)
	w := b.create(1)
	data := noise(8 << 20)
	for part := data; len(part) > 0; part = part[streamFrame:] {
		b.must(w.Frame(recording.Output, 0, part[:streamFrame]))
	}
	for range 2 { // what the second one cuts is no bulk
		b.must(b.tick())
		b.must(w.Frame(recording.Output, 0, []byte("$ ")))
	}
	if cap(w.buf) != smallBuffer {
		t.Errorf("two bytes after two ticks are in a buffer of %d", cap(w.buf))
	}
	sum, err := w.Close()
	b.must(err)
	if most := uint32(len(data)/(bulkBuffer-streamFrame) + 4); sum.Segments > most {
		t.Errorf("%d bytes are in %d segments, want at most %d", len(data), sum.Segments, most)
	}
	frames, err := readAll(t, b.dir, id(1))
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	var got []byte
	for _, f := range frames {
		got = append(got, f.Data...)
	}
	if !bytes.Equal(got, append(data, "$ $ "...)) {
		t.Errorf("%d bytes came back, other than what was recorded", len(got))
	}
	testkit.Eventually(t, "buffers of bulk given back", func() bool { return b.bulky.Load() == 0 })
	b.must(b.Close())
}

// TestBulkIsBounded: while the disk hangs, many recordings of bulk use so many of the large
// buffers and no more, and give them back.
func TestBulkIsBounded(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Now = nil })
	var all []*Writer
	for n := range 40 {
		all = append(all, b.create(n))
	}
	wait, release := hang()
	defer release()
	b.disk.set(func() {
		b.disk.write = func(f file, p []byte) (int, error) { _ = wait(); return f.Write(p) }
	})
	part := noise(streamFrame)
	for _, w := range all {
		// One segment goes to a worker or the queue, two wait, and one is open.
		for range (recording.SegmentSize + 2*bulkBuffer) / (streamFrame + recording.FrameOverhead) / 2 {
			b.must(w.Frame(recording.Output, 0, part))
		}
	}
	if n := b.bulky.Load(); n < 40 || n > maxBulk {
		t.Errorf("%d buffers of bulk are in use, want 40 to %d", n, maxBulk)
	}
	release()
	for _, w := range all {
		_, err := w.Close()
		b.must(err)
	}
	testkit.Eventually(t, "buffers of bulk given back", func() bool { return b.bulky.Load() == 0 })
	b.must(b.Close())
}

// TestNarrowBoundsHaveNoBulk: what waits to be sealed isn't counted, so that whoever has
// little left of a share, a quota or the reserve has the smaller segments.
func TestNarrowBoundsHaveNoBulk(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Options)
		want bool
	}{
		"share":   {func(o *Options) { o.Share = bulkHeld + 1<<20 }, true},
		"reserve": {func(o *Options) { o.Reserve = 4 * bulkHeld }, true},
		"quota":   {func(o *Options) { o.Quota = 4 * bulkHeld }, true},

		"narrow share":   {func(o *Options) { o.Share = bulkHeld }, false},
		"narrow reserve": {func(o *Options) { o.Reserve = 4*bulkHeld - 1 }, false},
		"narrow quota":   {func(o *Options) { o.Quota = 4*bulkHeld - 1 }, false},
	} {
		b := newBench(t, c.edit)
		b.shares.size = 0 // whatever the disk has
		b.shares.part.Store(math.MaxInt64)
		w := b.create(1)
		most := 0
		for range 64 {
			b.must(w.Frame(recording.Output, 0, noise(streamFrame)))
			most = max(most, cap(w.buf))
		}
		if got := most == bulkBuffer; got != c.want {
			t.Errorf("%s: segments of up to %d bytes", name, most)
		}
	}
}
