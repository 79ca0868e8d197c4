package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strings"
	"time"
)

// Read yields the events of the log in dir, in order, in bounded memory. It
// needs no key and proves nothing: that is Verify's. It may run beside a
// writer. Lines that the checkpoint doesn't cover are left out: they are still
// being written, or never were a part of the log. A line that isn't an
// event is yielded as a *BadRecord and reading goes on after it; any other
// error ends the sequence.
func Read(dir string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f, size, err := openEvents(dir)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer f.Close()
		r := &eventReader{lines: newLineReader(f), size: size}
		r.each(yield)
	}
}

// openEvents opens the log in dir to be read up to the record that its checkpoint
// covers: see covered.
func openEvents(dir string) (f *os.File, size uint64, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("open audit log: %w", err)
	}
	defer root.Close()
	size = covered(root) // before the events, which a writer syncs first
	if f, err = root.Open(eventsName); err != nil {
		return nil, 0, fmt.Errorf("open audit log %s: %w", dir, err)
	}
	return f, size, nil
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
	lines *lineReader
	line  uint64 // of the last complete line
	off   int64  // where that ends
	size  uint64
	last  bool // the record size was read
	buf   []byte
}

// next returns the next complete line, as it is valid until the next call. Errors are
// io.EOF where there is none within size, errLong for one that it went past, and those
// of reading.
func (r *eventReader) next() ([]byte, error) {
	if r.last {
		return nil, io.EOF
	}
	line, err := r.lines.next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errCut):
		return nil, io.EOF
	case errors.Is(err, errLong):
		if r.lines.skip() != nil {
			return nil, io.EOF // it has no end yet
		}
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", eventsName, err)
	default:
		seq := statedSeq(line)
		if seq > r.size {
			r.last = true
			return nil, io.EOF
		}
		r.last = seq == r.size
	}
	r.line++
	r.off = r.lines.off
	return line, err
}

// each yields until the end; false if yield ended it or reading failed.
func (r *eventReader) each(yield func(Event, error) bool) bool {
	for {
		line, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return true
		case errors.Is(err, errLong):
			if !yield(Event{}, badLine(r.line, 0, "%s", err)) {
				return false
			}
			continue
		case err != nil:
			yield(Event{}, err)
			return false
		}
		var e Event
		e, r.buf, err = decode(line, r.buf)
		if err != nil {
			e, err = Event{}, badLine(r.line, statedSeq(line), "%s", err)
		}
		if !yield(e, err) {
			return false
		}
	}
}

// followEvery is how often Tail looks for new events: soon enough for a person
// who watches, too seldom to be seen in a profile.
const followEvery = 250 * time.Millisecond

// Tail yields the last n events of the log in dir and then, with follow, each
// new one until ctx ends, which ends the sequence without an error. Errors are
// as Read's; a log that becomes shorter while it is followed is one that ends
// it.
func Tail(ctx context.Context, dir string, n int, follow bool) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			yield(Event{}, fmt.Errorf("open audit log: %w", err))
			return
		}
		defer root.Close()
		f, size, err := openEvents(dir)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer f.Close()
		r := &eventReader{lines: newLineReader(f), size: size}
		start, line, err := lastLines(r, max(n, 0))
		if err != nil {
			yield(Event{}, err)
			return
		}
		tick := time.NewTicker(followEvery)
		defer tick.Stop()
		for {
			info, err := f.Stat()
			if err == nil && info.Size() < start {
				err = errors.New("became shorter while it was followed")
			}
			if err != nil {
				yield(Event{}, fmt.Errorf("read %s: %w", eventsName, err))
				return
			}
			r = &eventReader{lines: newLineReader(io.NewSectionReader(f, start, info.Size()-start)), line: line, size: size, buf: r.buf}
			if !r.each(yield) || !follow {
				return
			}
			start, line = start+r.off, r.line
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			size = covered(root)
		}
	}
}

// lastLines returns where the last n lines of r begin, and how many are before them.
func lastLines(r *eventReader, n int) (start int64, before uint64, err error) {
	var ends []int64 // of the last n+1 lines, a ring once there are so many
	for {
		if len(ends) <= n {
			ends = append(ends, r.off)
		} else {
			ends[r.line%uint64(n+1)] = r.off
		}
		_, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			before = r.line - min(r.line, uint64(n))
			return ends[before%uint64(n+1)], before, nil
		case err != nil && !errors.Is(err, errLong):
			return 0, 0, err
		}
	}
}
