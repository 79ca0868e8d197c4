package fastconn

import "sync"

// Sizes of chunks.
const (
	// MaxChunk is what is relayed at once. An inner packet of 32,640 bytes and
	// its framing (9 bytes of header, 4+1 of lengths, up to 19 of padding, up
	// to 64 of MAC) fits one outer packet of 32,768.
	MaxChunk    = 32640        // bytes
	BulkChunk   = 4 * MaxChunk // bytes read at once in a transfer; see Chunk
	MiddleChunk = 8 << 10      // bytes: a screenful
	smallChunk  = 1 << 10      // bytes: typing and its echo
)

var (
	bulkChunks   = sync.Pool{New: func() any { b := make([]byte, BulkChunk); return &b }}
	maxChunks    = sync.Pool{New: func() any { b := make([]byte, MaxChunk); return &b }}
	middleChunks = sync.Pool{New: func() any { b := make([]byte, MiddleChunk); return &b }}
	smallChunks  = sync.Pool{New: func() any { b := make([]byte, smallChunk); return &b }}
)

// Chunk is a buffer for the next read of a channel whose last read gave n
// bytes; it has at most most bytes, one of the constants. Give it to PutChunk
// afterwards.
//
// A channel's Read can't be asked whether it will block, so a goroutine waits
// with its buffer in hand: after typing with a small one, so that ten thousand
// idle sessions don't hold 32 KiB three times each. Where the source is ahead,
// everything that is there is read at once: x/crypto answers each Read of a
// channel that lags behind with a packet that opens the window.
func Chunk(n, most int) *[]byte {
	switch {
	case n < smallChunk:
		return smallChunks.Get().(*[]byte)
	case n < MiddleChunk && n != smallChunk, most == MiddleChunk:
		return middleChunks.Get().(*[]byte)
	case n < MaxChunk, most == MaxChunk:
		return maxChunks.Get().(*[]byte)
	}
	return bulkChunks.Get().(*[]byte)
}

// PutChunk gives back a buffer of Chunk.
func PutChunk(b *[]byte) {
	switch cap(*b) {
	case smallChunk:
		smallChunks.Put(b)
	case MiddleChunk:
		middleChunks.Put(b)
	case BulkChunk:
		bulkChunks.Put(b)
	case MaxChunk:
		maxChunks.Put(b)
	}
}
