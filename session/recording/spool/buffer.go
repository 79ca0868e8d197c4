//go:build linux

package spool

import (
	"slices"
	"sync"

	"entry/session/recording"
)

const smallBuffer = 4 << 10

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, 0, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, recording.SegmentSize); return &b }}
)

// buffer returns an empty slice with room for n bytes.
func buffer(n int) []byte {
	switch {
	case n <= smallBuffer:
		return (*smallBuffers.Get().(*[]byte))[:0]
	case n <= recording.SegmentSize:
		return (*largeBuffers.Get().(*[]byte))[:0]
	}
	return slices.Grow([]byte(nil), n)
}

// recycle gives b back to where buffer got it.
func recycle(b []byte) {
	switch cap(b) {
	case smallBuffer:
		smallBuffers.Put(&b)
	case recording.SegmentSize:
		largeBuffers.Put(&b)
	}
}
