//go:build linux

package spool

import (
	"sync"

	"entry/session/recording"
)

const (
	smallBuffer = 4 << 10   // bytes
	bulkBuffer  = 512 << 10 // bytes: a segment of bulk

	// maxBulk is how many buffers of bulk a spool uses at once, 32 MiB. A recording has four
	// at most: an open segment, maxWaiting behind it, and one that is being written.
	maxBulk = 64
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, 0, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, recording.SegmentSize); return &b }}
	bulkBuffers  = sync.Pool{New: func() any { b := make([]byte, 0, bulkBuffer); return &b }}
)

// buffer returns an empty slice with room for n bytes.
func buffer(n int) []byte {
	switch {
	case n <= smallBuffer:
		return (*smallBuffers.Get().(*[]byte))[:0]
	case n <= recording.SegmentSize:
		return (*largeBuffers.Get().(*[]byte))[:0]
	}
	return make([]byte, 0, max(n, bulkBuffer+1)) // no frame is that large but a few requests
}

// bulkHeld is what all of them hold: not yet counted against what a user may write, nor
// against the reserve.
const bulkHeld = maxBulk * bulkBuffer // bytes

// bulk returns an empty slice with room for a segment of bulk, or nil where as many are in
// use as may be, or where that much goes too far beyond a bound before it is counted.
func (s *Spool) bulk(w *Writer) []byte {
	for _, bound := range []int64{s.o.Reserve, s.o.Quota} {
		if bound > 0 && bound < 4*bulkHeld {
			return nil
		}
	}
	if !w.share.wide(s.o.Now()) {
		return nil
	}
	if s.bulky.Add(1) > maxBulk {
		s.bulky.Add(-1)
		return nil
	}
	return (*bulkBuffers.Get().(*[]byte))[:0]
}

// recycle gives b back to where buffer or bulk got it.
func (s *Spool) recycle(b []byte) {
	switch cap(b) {
	case smallBuffer:
		smallBuffers.Put(&b)
	case recording.SegmentSize:
		largeBuffers.Put(&b)
	case bulkBuffer:
		s.bulky.Add(-1)
		bulkBuffers.Put(&b)
	}
}
