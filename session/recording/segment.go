package recording

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	segmentMagic = "ERS1"
	segmentHead  = 4 + 1 + 4 + 8 + 4 // magic, flags, index, time, length
	segmentTail  = 4 + 32            // length again, hash
	gcmTag       = 16

	maxPlain  = MaxFrame + SegmentSize // bytes of frames in any segment: one outsize frame and what came with it
	maxSealed = maxPlain + maxPlain/128 + 1<<10 + gcmTag

	flagFinal = 1
)

// SegmentSize is how many bytes of frames a segment holds: it is cut before the
// frame that would make more, so that only one outsize frame makes a larger one.
const SegmentSize = 64 << 10

// segment is one unit of durability as it stands in the file.
type segment struct {
	index  uint32
	final  bool
	at     uint64 // µs from Start to the cut
	head   []byte // the clear bytes in front of sealed
	sealed []byte // ciphertext and tag
	hash   [32]byte
}

// putSegmentHead fills b, which has segmentHead bytes.
func putSegmentHead(b []byte, index uint32, final bool, at uint64, sealed int) {
	copy(b, segmentMagic)
	b[4] = 0
	if final {
		b[4] = flagFinal
	}
	binary.BigEndian.PutUint32(b[5:], index)
	binary.BigEndian.PutUint64(b[9:], at)
	binary.BigEndian.PutUint32(b[17:], uint32(sealed))
}

// parseSegmentHead checks everything that can be checked without the rest.
func parseSegmentHead(b []byte) (s segment, length int, err error) {
	if string(b[:4]) != segmentMagic {
		return s, 0, errors.New("no segment starts here")
	}
	if b[4]&^flagFinal != 0 {
		return s, 0, errors.New("unknown flags")
	}
	s.final = b[4] == flagFinal
	s.index = binary.BigEndian.Uint32(b[5:])
	s.at = binary.BigEndian.Uint64(b[9:])
	n := binary.BigEndian.Uint32(b[17:])
	if n < gcmTag || n > maxSealed {
		return s, 0, errors.New("impossible length")
	}
	if s.at > uint64(maxDelta.Microseconds()) {
		return s, 0, errors.New("impossible time")
	}
	return s, int(n), nil
}

// chainHash is the hash of a recording up to and including one segment: over
// the hash before it and all the segment's bytes but the hash itself. The
// leading byte keeps it apart from a header's hash, whose input starts with {.
func chainHash(before [32]byte, parts ...[]byte) (sum [32]byte) {
	h := sha256.New()
	h.Write([]byte{1})
	h.Write(before[:])
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// chain is where a recording's chain of segments stands. It isn't safe for
// concurrent use.
type chain struct {
	header, head [32]byte
	index        uint32
	keys         ratchet
}

// additional is what a segment's seal covers beside its frames.
func additional(header, before [32]byte, head []byte) []byte {
	b := make([]byte, 0, 32+32+segmentHead)
	b = append(b, header[:]...)
	b = append(b, before[:]...)
	return append(b, head...)
}

// nonce is STREAM's: an 11-byte counter and the final flag (as age has it).
// Each segment has its own key, too, so no pair of both ever comes twice.
func nonce(index uint32, final bool) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint32(b[7:], index)
	if final {
		b[11] = 1
	}
	return b
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal turns b into a segment. b holds segmentHead free bytes and then the
// compressed frames; the result reuses its memory. The counter and the key
// are spent whatever happens: there is no way to seal the same index twice.
func (s *chain) seal(b []byte, at uint64, final bool) ([]byte, error) {
	if s.index == math.MaxUint32 {
		return nil, errors.New("seal segment: out of numbers")
	}
	index := s.index
	s.index++
	key, err := s.keys.next()
	if err != nil {
		return nil, fmt.Errorf("seal segment: %w", err)
	}
	aead, err := newAEAD(key)
	clear(key)
	if err != nil {
		return nil, fmt.Errorf("seal segment: %w", err)
	}
	n := len(b) - segmentHead + gcmTag
	putSegmentHead(b, index, final, at, n)
	b = aead.Seal(b[:segmentHead], nonce(index, final), b[segmentHead:], additional(s.header, s.head, b[:segmentHead]))
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	s.head = chainHash(s.head, b)
	return append(b, s.head[:]...), nil
}

// open undoes seal. The result reuses the segment's memory.
func (s *chain) open(seg segment) ([]byte, error) {
	if seg.index != s.index {
		return nil, errors.New("not the next segment")
	}
	s.index++
	key, err := s.keys.next()
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	clear(key)
	if err != nil {
		return nil, err
	}
	before := s.head
	s.head = seg.hash
	b, err := aead.Open(seg.sealed[:0], nonce(seg.index, seg.final), seg.sealed, additional(s.header, before, seg.head))
	if err != nil {
		return nil, errors.New("the seal is broken")
	}
	return b, nil
}

// errTorn says that the file ends inside a segment.
var errTorn = errors.New("torn segment")

// walker reads segments and checks their chain. It needs no key.
type walker struct {
	r     *bufio.Reader
	head  [32]byte // hash up to the last good segment
	next  uint32   // index of the next segment = how many were good
	size  int64    // bytes up to the end of the last good segment
	at    uint64   // time of the last good segment
	final bool
	buf   []byte
}

// newWalker reads what follows a header of the given hash and size.
func newWalker(r io.Reader, hash [32]byte, size int64) *walker {
	return &walker{r: bufio.NewReaderSize(r, 32<<10), head: hash, size: size}
}

// step returns the next segment, valid until the next call. It returns io.EOF
// where the file ends between segments, errTorn where it ends inside one and
// any other error for a segment that isn't what was written.
func (w *walker) step() (segment, error) {
	if w.final {
		if _, err := w.r.ReadByte(); !errors.Is(err, io.EOF) {
			return segment{}, errors.New("bytes after the final segment")
		}
		return segment{}, io.EOF
	}
	w.buf = grown(w.buf[:0], segmentHead)
	if n, err := io.ReadFull(w.r, w.buf); err != nil {
		return segment{}, torn(n, err)
	}
	s, length, err := parseSegmentHead(w.buf)
	if err != nil {
		return segment{}, err
	}
	if s.index != w.next {
		return segment{}, fmt.Errorf("segment %d stands here", s.index)
	}
	if s.at < w.at {
		return segment{}, errors.New("it is older than the one before")
	}
	// The length is a claim until the bytes are there: read by pieces, so that
	// a lie costs no more memory than the file has bytes.
	for have := segmentHead; have < segmentHead+length+segmentTail; {
		piece := min(segmentHead+length+segmentTail-have, 256<<10)
		w.buf = grown(w.buf, piece)
		n, err := io.ReadFull(w.r, w.buf[have:])
		if err != nil {
			return segment{}, torn(have+n, err)
		}
		have += piece
	}
	body := w.buf[:len(w.buf)-32]
	if again := binary.BigEndian.Uint32(body[len(body)-4:]); int(again) != length {
		return segment{}, errors.New("its two lengths differ")
	}
	s.hash = chainHash(w.head, body)
	if s.hash != [32]byte(w.buf[len(w.buf)-32:]) {
		return segment{}, errors.New("its hash doesn't match")
	}
	s.head, s.sealed = body[:segmentHead], body[segmentHead:len(body)-4]
	w.head, w.at, w.final = s.hash, s.at, s.final
	w.next++
	w.size += int64(len(w.buf))
	return s, nil
}

// torn sorts out what the end of a read means.
func torn(n int, err error) error {
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errTorn
	}
	return fmt.Errorf("read segment: %w", err)
}

// grown returns b with n more bytes, of any value.
func grown(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		b = append(make([]byte, 0, max(2*cap(b), len(b)+n)), b...)
	}
	return b[:len(b)+n]
}
