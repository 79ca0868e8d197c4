package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/note"
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
func (w witnessed) verify(v note.Verifier) error {
	if w.number == 0 {
		return nil
	}
	if _, err := openCheckpoint(w.signed, v); err != nil {
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
	off    int64 // end of the last whole entry
}

// errWitnessCut is returned for an incomplete entry at the end.
var errWitnessCut = errors.New("is cut short")

func newWitnessReader(r io.Reader, origin string) *witnessReader {
	return &witnessReader{r: bufio.NewReaderSize(r, 64<<10), origin: origin}
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

// witness is the writer's side of the witness directory.
type witness struct {
	file   *os.File
	parent *os.File
	disk   disk
}

// openWitness opens, and for a new log or a newly configured witness makes, the
// file of checkpoints. The directory itself is made only for a new log: where
// it is missing later on, the other disk is more likely not mounted.
func openWitness(dir string, own *os.Root, fresh bool, d disk) (w *witness, started bool, err error) {
	if fresh {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, false, err
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, false, err
	}
	defer root.Close()
	a, err := own.Stat(".")
	if err != nil {
		return nil, false, err
	}
	b, err := root.Stat(".")
	if err != nil {
		return nil, false, err
	}
	if os.SameFile(a, b) {
		return nil, false, errors.New("it is the log's own directory")
	}
	w = &witness{disk: d}
	if w.parent, err = root.Open("."); err != nil {
		return nil, false, err
	}
	_, err = root.Stat(witnessName)
	started = errors.Is(err, os.ErrNotExist)
	w.file, err = root.OpenFile(witnessName, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil && started {
		err = d.sync(w.parent, false)
	}
	if err != nil {
		w.close()
		return nil, false, err
	}
	return w, started, nil
}

// add makes one more signed checkpoint durable.
func (w *witness) add(signed []byte) error {
	if err := w.disk.write(w.file, signed); err != nil {
		return fmt.Errorf("write witness: %w", err)
	}
	if err := w.disk.sync(w.file, true); err != nil {
		return fmt.Errorf("sync witness: %w", err)
	}
	return nil
}

func (w *witness) close() {
	if w == nil {
		return
	}
	for _, f := range []*os.File{w.file, w.parent} {
		if f != nil {
			_ = f.Close() // every write was synced, or the log has failed
		}
	}
}
