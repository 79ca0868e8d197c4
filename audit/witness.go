package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// witnessed is one entry of the witness directory.
type witnessed struct {
	checkpoint
	number uint64 // of the entry, from 1
	signed []byte
}

// verify checks the signature, which reading the entry doesn't. An entry that
// agrees with the log needs no proof of origin; one that is taken as evidence
// (the last one, or one that contradicts the log) does. That keeps verifying
// a million entries a matter of hashing.
func (w witnessed) verify(k *Keys) error {
	if w.number == 0 {
		return nil
	}
	if _, err := openCheckpoint(w.signed, k); err != nil {
		return &BadRecord{File: witnessName, Line: w.number, Why: err.Error()}
	}
	return nil
}

// witnessReader reads the witness directory's file: signed notes of five lines,
// one after the other.
type witnessReader struct {
	r      *bufio.Reader
	origin string
	last   witnessed
	off    int64  // end of the last whole entry
	cut    []byte // what next found of an incomplete one behind it
}

// errWitnessCut is returned for an incomplete entry at the end.
var errWitnessCut = errors.New("is cut short")

func newWitnessReader(r io.Reader, origin string) *witnessReader {
	return &witnessReader{r: bufio.NewReaderSize(r, 64<<10), origin: origin}
}

// on reads on behind the last whole entry of w, up to where f ends; w may be nil.
func (w *witnessReader) on(f io.ReaderAt, end int64, origin string) *witnessReader {
	var from witnessReader
	if w != nil {
		from = *w
	}
	r := newWitnessReader(io.NewSectionReader(f, from.off, end-from.off), origin)
	r.last, r.off = from.last, from.off
	return r
}

// next returns the next entry, with its signature unchecked. Errors are io.EOF
// at a clean end and *BadRecord (wrapping errWitnessCut for an incomplete last
// entry).
func (w *witnessReader) next() (witnessed, error) {
	e := witnessed{number: w.last.number + 1}
	bad := func(err error) error {
		return &BadRecord{File: witnessName, Line: e.number, Why: err.Error(), err: err}
	}
	var text int
	for i := range 5 {
		line, err := w.r.ReadSlice('\n')
		e.signed = append(e.signed, line...)
		switch {
		case errors.Is(err, io.EOF) && len(e.signed) == 0:
			return witnessed{}, io.EOF
		case errors.Is(err, io.EOF):
			w.cut = e.signed
			return witnessed{}, bad(errWitnessCut)
		case errors.Is(err, bufio.ErrBufferFull) || len(e.signed) > maxCheckpoint:
			return witnessed{}, bad(errors.New("is too long"))
		case err != nil:
			return witnessed{}, fmt.Errorf("read witness: %w", err)
		}
		if i == 2 {
			text = len(e.signed)
		}
	}
	if rest := e.signed[text:]; !bytes.HasPrefix(rest, []byte("\n— ")) {
		return witnessed{}, bad(errors.New("is not a signed note"))
	}
	c, err := parseCheckpoint(string(e.signed[:text]), w.origin)
	if err != nil {
		return witnessed{}, bad(err)
	}
	if c.size < w.last.size {
		return witnessed{}, bad(fmt.Errorf("covers %d records, the one before it %d", c.size, w.last.size))
	}
	e.checkpoint = c
	w.off += int64(len(e.signed))
	w.last = e
	return e, nil
}
