package session

import "sync"

const (
	// maxChunk is what is relayed at once. An inner packet of 32,640 bytes and
	// its framing (9 bytes of header, 4+1 of lengths, up to 19 of padding, up
	// to 64 of MAC) fits one outer packet of 32,768.
	maxChunk    = 32640        // bytes
	bulkChunk   = 4 * maxChunk // bytes read at once in a transfer; see chunkAfter
	middleChunk = 8 << 10      // bytes: a screenful
	smallChunk  = 1 << 10      // bytes: typing and its echo
)

var (
	bulkChunks   = sync.Pool{New: func() any { b := make([]byte, bulkChunk); return &b }}
	maxChunks    = sync.Pool{New: func() any { b := make([]byte, maxChunk); return &b }}
	middleChunks = sync.Pool{New: func() any { b := make([]byte, middleChunk); return &b }}
	smallChunks  = sync.Pool{New: func() any { b := make([]byte, smallChunk); return &b }}
)

// chunkAfter is a buffer of at most most bytes for the next read of a stream
// whose last read gave n bytes. A channel's Read can't be asked whether it will block, so a goroutine
// waits with its buffer in hand: after typing with a small one, so that ten
// thousand idle sessions don't hold 32 KiB three times each. Where the source
// is ahead, everything that is there is read at once: x/crypto answers each
// Read of a channel that lags behind with a packet that opens the window.
func chunkAfter(n, most int) *[]byte {
	switch {
	case n < smallChunk:
		return smallChunks.Get().(*[]byte)
	case n < middleChunk && n != smallChunk, most == middleChunk:
		return middleChunks.Get().(*[]byte)
	case n < maxChunk, most == maxChunk:
		return maxChunks.Get().(*[]byte)
	}
	return bulkChunks.Get().(*[]byte)
}

// putChunk gives back a buffer of chunkAfter.
func putChunk(b *[]byte) {
	switch cap(*b) {
	case smallChunk:
		smallChunks.Put(b)
	case middleChunk:
		middleChunks.Put(b)
	case bulkChunk:
		bulkChunks.Put(b)
	case maxChunk:
		maxChunks.Put(b)
	}
}
