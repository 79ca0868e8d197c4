package audit

import (
	"context"
	"errors"
	"runtime"

	"golang.org/x/mod/sumdb/tlog"

	"entry/audit/segment"
	"entry/session/group"
)

// blockSize is about how many bytes of lines are judged at once on one core: enough that
// handing them over costs nothing, few enough that a log of any size takes little memory.
const blockSize = 1 << 20

// block is some lines of a log that follow each other, or in their place an error.
type block struct {
	first  uint64 // number of the first line
	data   []byte
	ends   []int        // of the lines in data, newlines left out
	begins map[int]bool // indexes of the lines with which a file begins
	err    error        // what came instead of another line; *segment.Absent is one
	file   string       // in which err came
	head   uint64       // number of the first line of file; 0 where nothing says it

	leaves []tlog.Hash
	judged judgement
}

// line is the block's line at index i.
func (b *block) line(i int) []byte {
	if i == 0 {
		return b.data[:b.ends[0]]
	}
	return b.data[b.ends[i-1]:b.ends[i]]
}

// sweep reads the records from the reader's next one to the one called last, has every
// block hashed and judged, on all cores, and gives them to each in order. It ends with the
// first error of each, with one of reading, or where last was read.
func sweep(r *segment.Reader, last uint64, judge func(*block), each func(*block) error) error {
	workers := runtime.GOMAXPROCS(0)
	g := group.New(context.Background(), nil)
	defer g.Wait()
	defer g.Cancel(errSwept)
	todo, order := make(chan *work, workers), make(chan *work, 2*workers)
	for range workers {
		g.Go("judging the audit log", func() {
			for w := range todo {
				w.b.hash()
				if judge != nil {
					judge(w.b)
				}
				close(w.done)
			}
		})
	}
	g.Go("reading the audit log", func() {
		defer close(order)
		defer close(todo)
		for r.N() < last {
			w := &work{b: nextBlock(r, last), done: make(chan struct{})}
			for _, c := range []chan *work{todo, order} {
				select {
				case c <- w:
				case <-g.Context().Done():
					return
				}
			}
			if w.b.err != nil && !passable(w.b.err) {
				return
			}
		}
	})
	for w := range order {
		select {
		case <-w.done:
		case <-g.Context().Done():
			return context.Cause(g.Context()) // one of them panicked
		}
		if err := each(w.b); err != nil {
			return err
		}
	}
	if cause := context.Cause(g.Context()); cause != nil {
		return cause
	}
	return nil
}

// work is a block that is judged.
type work struct {
	b    *block
	done chan struct{}
}

// errSwept ends what a sweep has running.
var errSwept = errors.New("the log is read")

// passable tells whether reading goes on behind err.
func passable(err error) bool {
	var absent *segment.Absent
	return errors.As(err, &absent)
}

// nextBlock reads lines up to the record last.
func nextBlock(r *segment.Reader, last uint64) *block {
	b := &block{first: r.N() + 1}
	for len(b.data) < blockSize && r.N() < last {
		line, err := r.Next()
		if err != nil {
			b.err = err
			b.file, b.head = r.File()
			break
		}
		if r.Begins() {
			if b.begins == nil {
				b.begins = map[int]bool{}
			}
			b.begins[len(b.ends)] = true
		}
		b.data = append(b.data, line...)
		b.ends = append(b.ends, len(b.data))
	}
	return b
}

func (b *block) hash() {
	b.leaves = make([]tlog.Hash, len(b.ends))
	for i := range b.ends {
		b.leaves[i] = tlog.RecordHash(b.line(i))
	}
}
