package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"
)

// Read yields the events of the log in dir, in order, in bounded memory. It
// needs no key and proves nothing: that is Verify's. It may run beside a
// writer; a last line still being written is left out. A line that isn't an
// event is yielded as a *BadRecord and reading goes on after it; any other
// error ends the sequence.
func Read(dir string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f, err := openEvents(dir)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer f.Close()
		r := &eventReader{lines: newLineReader(f)}
		r.each(yield)
	}
}

func openEvents(dir string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	defer root.Close()
	f, err := root.Open(eventsName)
	if err != nil {
		return nil, fmt.Errorf("open audit log %s: %w", dir, err)
	}
	return f, nil
}

// eventReader decodes line after line.
type eventReader struct {
	lines *lineReader
	line  uint64 // of the last complete line; counted from where reading began
	tail  bool   // reading began within the file, so that line numbers aren't known
	buf   []byte
}

// each yields until the end of the complete lines; false if yield ended it or
// reading failed.
func (r *eventReader) each(yield func(Event, error) bool) bool {
	for {
		line, err := r.lines.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errCut):
			return true
		case errors.Is(err, errLong):
			r.line++
			if !yield(Event{}, r.bad(0, err)) {
				return false
			}
			if err := r.lines.skip(); err != nil {
				return true // a line that has no end yet
			}
			continue
		case err != nil:
			yield(Event{}, fmt.Errorf("read %s: %w", eventsName, err))
			return false
		}
		r.line++
		var e Event
		e, r.buf, err = decode(line, r.buf)
		if err != nil {
			e, err = Event{}, r.bad(statedSeq(line), err)
		}
		if !yield(e, err) {
			return false
		}
	}
}

func (r *eventReader) bad(seq uint64, err error) error {
	line := r.line
	if r.tail {
		line = seq // what it states is the best that is known
	}
	return badLine(line, seq, "%s", err)
}

// tailBlock is how much Tail reads at a time while it looks for where to begin,
// in bytes.
const tailBlock = 64 << 10

// followEvery is how often Tail looks for new events: soon enough for a person
// who watches, too seldom to be seen in a profile.
const followEvery = 250 * time.Millisecond

// Tail yields the last n events of the log in dir and then, with follow, each
// new one until ctx ends, which ends the sequence without an error. Errors are
// as Read's; a log that becomes shorter while it is followed is one that ends
// it. It reads from the end, so that its cost doesn't grow with the log.
func Tail(ctx context.Context, dir string, n int, follow bool) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f, err := openEvents(dir)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer f.Close()
		start, err := lastLines(f, n)
		if err != nil {
			yield(Event{}, fmt.Errorf("read %s: %w", eventsName, err))
			return
		}
		r := &eventReader{tail: start > 0}
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
			r.lines = newLineReader(io.NewSectionReader(f, start, info.Size()-start))
			if !r.each(yield) {
				return
			}
			start += r.lines.off
			if !follow {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// lastLines returns where the last n complete lines begin.
func lastLines(f *os.File, n int) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end := info.Size()
	block := make([]byte, tailBlock)
	seen := -1 // newlines; the first one met ends the last complete line
	if n <= 0 {
		n = 0
	}
	for end > 0 {
		b := block[:min(end, tailBlock)]
		if _, err := f.ReadAt(b, end-int64(len(b))); err != nil {
			return 0, err
		}
		for i := len(b) - 1; i >= 0; i-- {
			if b[i] != '\n' {
				continue
			}
			if seen++; seen == n {
				return end - int64(len(b)) + int64(i) + 1, nil
			}
		}
		end -= int64(len(b))
	}
	return 0, nil
}
