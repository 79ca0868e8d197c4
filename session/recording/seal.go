package recording

import (
	"crypto/sha256"
	"errors"
	"runtime"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// Sealer makes the bytes of one recording's files; writing them is its caller's
// part. It isn't safe for concurrent use.
type Sealer struct {
	chain chain
}

// NewSealer starts a recording whose key only the holders of to can open. It
// sets the header's Version, KeyCommitment and RewrapKey, and cuts Start to the format's
// microseconds. record is what ID.rec starts with, key is all of ID.key.
func NewSealer(h Header, to []age.Recipient) (s *Sealer, record, key []byte, err error) {
	h.Version = Version
	h.Start = h.Start.UTC().Truncate(time.Microsecond)
	k := newKey()
	defer clear(k)
	if key, err = wrapKey(k, to); err != nil {
		return nil, nil, nil, err
	}
	if h.KeyCommitment, err = commitment(k, h.ID); err != nil {
		return nil, nil, nil, err
	}
	if h.RewrapKey, err = rewrapKey(k, h.ID); err != nil {
		return nil, nil, nil, err
	}
	line, err := h.line()
	if err != nil {
		return nil, nil, nil, err
	}
	hash := sha256.Sum256(line)
	s = &Sealer{chain: chain{header: hash, head: hash}}
	if s.chain.keys, err = newRatchet(k, hash); err != nil {
		return nil, nil, nil, err
	}
	return s, append(line, hash[:]...), key, nil
}

// HeaderHash is the SHA-256 of the recording's first line.
func (s *Sealer) HeaderHash() [32]byte { return s.chain.header }

// Head is the hash of the chain up to the last segment sealed, at first
// HeaderHash.
func (s *Sealer) Head() [32]byte { return s.chain.head }

// Seal makes the next segment of frames; at is the time of the cut in µs since
// the recording's start, and never falls. The result is in the memory of
// scratch, or in more if need be. Its number and its key are spent whatever
// happens: the same one is never sealed twice.
func (s *Sealer) Seal(c *Compressor, scratch, frames []byte, at uint64, final bool) ([]byte, error) {
	scratch = slices.Grow(scratch[:0], segmentHead+len(frames)+len(frames)/128+1<<10) // also for noise
	return s.chain.seal(c.compress(grown(scratch, segmentHead), frames), at, final)
}

// Compressor is what many sealers share: it keeps nothing of a recording
// between calls. It is safe for concurrent use.
type Compressor struct{ enc *zstd.Encoder }

// compressWindow is how much is compressed at once, which the encoder does without a
// history that it would copy: zstd's largest block.
const compressWindow = 128 << 10 // bytes

// compress appends frames to b as zstd frames of compressWindow bytes.
func (c *Compressor) compress(b, frames []byte) []byte {
	for part := range slices.Chunk(frames, compressWindow) {
		b = c.enc.EncodeAll(part, b)
	}
	return b
}

// NewCompressor returns a compressor that as many calls can use at once as Go
// runs on cores.
func NewCompressor() (*Compressor, error) {
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithWindowSize(compressWindow),
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false)) // the seal covers every byte
	if err != nil {
		return nil, err
	}
	return &Compressor{enc: enc}, nil
}

// Close releases the compressor.
func (c *Compressor) Close() error { return c.enc.Close() }

// decompress undoes the compressor, within maxPlain bytes.
func decompress(dec *zstd.Decoder, b, into []byte) ([]byte, error) {
	out, err := dec.DecodeAll(b, into[:0])
	if err != nil || len(out) > maxPlain {
		return nil, errors.New("its contents don't decompress")
	}
	return out, nil
}

func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPlain),
		zstd.WithDecoderLowmem(true))
}
