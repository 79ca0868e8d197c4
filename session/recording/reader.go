package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// ErrTruncated is returned by Next at the end of a recording that has no final
// segment: it was aborted, or is still written, or was cut.
var ErrTruncated = errors.New("the recording is cut")

// Reader reads a recording's frames. It isn't safe for concurrent use.
type Reader struct {
	file   *os.File
	header Header
	id     string
	walk   *walker
	open   chain
	dec    *zstd.Decoder
	plain  []byte // the segment's buffer
	rest   []byte // its frames that are still to come
	at     time.Duration
	err    error // sticky
}

// OpenRecording opens a recording for reading its frames. It returns an error
// that wraps fs.ErrNotExist if there is no such recording, ErrShredded if its
// key was removed, ErrKey if none of ids opens it, and *BadSegment for a
// damaged header.
func OpenRecording(dir, id string, ids ...age.Identity) (*Reader, error) {
	f, err := openFile(dir, id, Ext)
	if err != nil {
		return nil, err
	}
	r := &Reader{file: f, id: id}
	if err := r.start(dir, ids); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

func (r *Reader) start(dir string, ids []age.Identity) (err error) {
	var hash [32]byte
	if r.walk, r.header, hash, err = walk(r.file, r.id); err != nil {
		return err
	}
	k, err := openFile(dir, r.id, KeyExt)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open recording %s: %w", r.id, ErrShredded)
	}
	if err != nil {
		return err
	}
	key, err := unwrapKey(k, r.header, ids)
	if err = errors.Join(err, k.Close()); err != nil {
		return fmt.Errorf("open recording %s: %w", r.id, err)
	}
	return r.begin(key, hash)
}

// begin has segments opened with the recording's key, which it clears.
func (r *Reader) begin(key []byte, hash [32]byte) (err error) {
	r.open = chain{header: hash, head: hash}
	if r.open.keys, err = newRatchet(key, hash); err != nil {
		return fmt.Errorf("open recording %s: %w", r.id, err)
	}
	if r.dec, err = newDecoder(); err != nil {
		return fmt.Errorf("open recording %s: %w", r.id, err)
	}
	return nil
}

// Header returns the recording's header.
func (r *Reader) Header() Header { return r.header }

// Segments returns how many segments were read so far.
func (r *Reader) Segments() uint32 { return r.walk.next }

// Next returns the next frame, whose Data is valid until the next call. It
// returns io.EOF at the true end of the recording, ErrTruncated at an end
// without final segment, and *BadSegment for a segment that isn't what was
// written.
func (r *Reader) Next() (Frame, error) {
	for r.err == nil && len(r.rest) == 0 {
		r.err = r.segment()
	}
	if r.err != nil {
		return Frame{}, r.err
	}
	delta, f, rest, err := cutFrame(r.rest)
	if err == nil && r.at > maxDelta {
		err = fmt.Errorf("%w: time", errFrame)
	}
	if err != nil {
		r.err = &BadSegment{ID: r.id, Segment: int(r.walk.next) - 1, Fault: Broken, Why: err.Error()}
		return Frame{}, r.err
	}
	r.at += time.Duration(delta) * time.Microsecond
	r.rest = rest
	f.At = r.at
	return f, nil
}

// Resume lets Next go on after ErrTruncated, with what was written meanwhile.
func (r *Reader) Resume() {
	if errors.Is(r.err, ErrTruncated) {
		r.walk.r.Reset(io.NewSectionReader(r.file, r.walk.size, 1<<62-r.walk.size))
		r.err = nil
	}
}

// segment opens the next segment.
func (r *Reader) segment() error {
	s, err := r.walk.step()
	switch {
	case errors.Is(err, io.EOF) && r.walk.final:
		return io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, errTorn):
		return fmt.Errorf("recording %s: %w after segment %d", r.id, ErrTruncated, int(r.walk.next)-1)
	case err != nil:
		return &BadSegment{ID: r.id, Segment: int(r.walk.next), Fault: Broken, Why: err.Error()}
	}
	b, err := r.open.open(s)
	if err == nil {
		b, err = decompress(r.dec, b, r.plain)
	}
	if err != nil {
		return &BadSegment{ID: r.id, Segment: int(s.index), Fault: Broken, Why: err.Error()}
	}
	r.plain, r.rest = b, b
	return nil
}

// Close releases the reader.
func (r *Reader) Close() error {
	r.dec.Close()
	clear(r.open.keys.state[:])
	return r.file.Close()
}
