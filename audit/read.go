package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strings"

	"entry/audit/segment"
)

// Read yields the events of the log in dir, in order, in bounded memory. It
// needs no key and proves nothing: that is Verify's. It may run beside a
// writer. Lines that the checkpoint doesn't cover are left out: they are still
// being written, or never were a part of the log. A line that isn't an
// event is yielded as a *BadRecord, and records of which no segment is there as a
// *segment.Absent, and reading goes on after them; any other error ends the sequence.
func Read(dir string) iter.Seq2[Event, error] { return ReadAfter(dir, 0) }

// Behindhand says that a log has fewer records than somebody has read of it: it isn't the
// one that they read, or was put back.
type Behindhand struct{ Has, After uint64 }

func (b *Behindhand) Error() string {
	return fmt.Sprintf("the log has %d records, and none after %d: it isn't the log that was read so far, or it was put back to an older state", b.Has, b.After)
}

// ReadAfter is Read for the events after the record called seq; segments before it aren't
// read. The sequence is one *Behindhand where the log has no such record itself.
func ReadAfter(dir string, seq uint64) iter.Seq2[Event, error] { return readAfter(dir, seq, true) }

// readAfter is ReadAfter; one that needn't have that record yields nothing where it hasn't.
func readAfter(dir string, seq uint64, has bool) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		r, err := openEvents(dir, seq+1)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer r.Close()
		if err := r.pass(seq); err != nil {
			yield(Event{}, err)
			return
		}
		if n := min(r.N(), r.size); has && n < seq {
			yield(Event{}, &Behindhand{n, seq})
			return
		}
		r.each(yield)
	}
}

// Told tells whether err, of a sequence of events, is of some records alone, behind which
// it goes on: of a line that is none, or of segments that aren't there.
func Told(err error) bool {
	var bad *BadRecord
	var absent *segment.Absent
	return errors.As(err, &bad) || errors.As(err, &absent)
}

// openEvents opens the log in dir to be read from the segment that has record from, up to
// the record that its checkpoint covers: see covered.
func openEvents(dir string, from uint64) (*eventReader, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	defer root.Close()
	size := covered(root) // before the events, which a writer syncs first
	r, err := openSegments(root, from)
	if err != nil {
		return nil, fmt.Errorf("open audit log %s: %w", dir, err)
	}
	return &eventReader{Reader: r, size: size}, nil
}

// covered is how many records the checkpoint in dir says that it covers: all, where it
// says nothing, as where somebody has only the events. Its signature isn't looked at.
func covered(dir *os.Root) uint64 {
	text, err := readSmall(dir, checkpointName, maxCheckpoint)
	if err == nil {
		origin, _, _ := strings.Cut(string(text), "\n")
		body, _, _ := strings.Cut(string(text), "\n\n")
		var c checkpoint
		if c, err = parseCheckpoint(body+"\n", origin); err == nil {
			return c.size
		}
	}
	return math.MaxUint64
}

// eventReader decodes line after line, up to the one that states to be the record size.
type eventReader struct {
	*segment.Reader
	size uint64
	last bool   // the record size was read
	held []byte // a line that is behind it
	buf  []byte
}

// next returns the next complete line, as it is valid until the next call. Errors are
// io.EOF where there is none within size, those that are Told, and those of reading.
func (r *eventReader) next() ([]byte, error) {
	if r.last {
		return nil, io.EOF
	}
	line, err := r.held, error(nil)
	if line == nil {
		line, err = r.Next()
	}
	r.held = nil
	var absent *segment.Absent
	var unreadable *segment.Unreadable
	var stranger *segment.Stranger
	switch {
	case err == nil:
		seq := statedSeq(line)
		if seq > r.size {
			r.held = bytes.Clone(line)
			return nil, io.EOF
		}
		r.last = seq == r.size
		return line, nil
	case errors.Is(err, segment.ErrLong):
		if r.Skip() != nil {
			return nil, io.EOF // it has no end yet
		}
		return nil, r.bad(r.N(), 0, err)
	case errors.Is(err, io.EOF), errors.Is(err, segment.ErrCut) && r.Last():
		if 0 < r.N() && r.N() < r.size && r.size != math.MaxUint64 {
			r.last = true
			return nil, r.bad(r.N()+1, 0, fmt.Errorf("is missing: the log ends before it, %d records were signed", r.size))
		}
		return nil, io.EOF
	case errors.As(err, &unreadable):
		bad := r.bad(r.N()+1, 0, errors.New(unreadable.Why()))
		r.Leave()
		return nil, bad
	case errors.As(err, &stranger):
		return nil, &BadRecord{File: stranger.File, Line: stranger.First, before: stranger.First - 1, Why: stranger.Why()}
	case errors.Is(err, segment.ErrCut), errors.Is(err, segment.ErrBeyond), errors.Is(err, segment.ErrEmpty):
		bad := r.bad(r.N()+1, 0, err)
		r.Leave()
		return nil, bad
	case errors.As(err, &absent) && absent.To > r.size:
		r.last = true
		return nil, &segment.Absent{From: absent.From, To: r.size}
	}
	return nil, err
}

// bad is of line n, in the file that is read.
func (r *eventReader) bad(n, seq uint64, err error) error {
	file, first := r.File()
	return &BadRecord{File: file, Line: n, before: max(first, 1) - 1, Seq: seq, Why: err.Error()}
}

// each yields until the end; false if yield ended it or reading failed.
func (r *eventReader) each(yield func(Event, error) bool) bool {
	for {
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			return true
		}
		var e Event
		if err == nil {
			if e, r.buf, err = decode(line, r.buf); err != nil {
				e, err = Event{}, r.bad(r.N(), statedSeq(line), err)
			}
		}
		if !yield(e, err) || err != nil && !Told(err) {
			return false
		}
	}
}

// pass goes on behind record n, which may be the last one.
func (r *eventReader) pass(n uint64) error {
	err := r.Pass(n)
	r.last = n > 0 && r.N() >= r.size
	return err
}

// Origin is the name of the log in dir, as its checkpoint says it; "" where nothing does.
// It proves nothing: that is Verify's.
func Origin(dir string) string {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ""
	}
	defer root.Close()
	text, err := readSmall(root, checkpointName, maxCheckpoint)
	if err != nil {
		return ""
	}
	origin, _, _ := strings.Cut(string(text), "\n")
	return origin
}
