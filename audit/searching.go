package audit

import (
	"errors"
	"io"
	"iter"

	"entry/audit/segment"
)

// Index may know which records of a log's file a query selects, so that the others needn't
// be read. It is told of what had to be read, for the next time.
type Index interface {
	// Find yields the events of the part that q selects, in order, up to a record which it
	// returns with the byte behind that one's line, -1 where it doesn't know that any more;
	// one before p.First where it knows nothing. Nothing beyond record most is a part of the log. What it yields it has
	// read from the part. more is false once yield was.
	Find(p segment.Part, q Query, most uint64, yield func(Event) bool) (through uint64, end int64, more bool)
	// Learn is told the next record of that part, which had to be read, by its line, valid
	// during the call, and what it says.
	Learn(line []byte, e Event)
	// Leave ends the part. Whole says that it was read to its end, which nothing follows,
	// and that nothing in it isn't an event.
	Leave(whole bool)
}

// Search yields the events of the log in dir that q selects, in order. Errors
// are as ReadAfter's. An index, which may be nil, changes nothing but how fast that is,
// and that what isn't shown isn't read: nothing is said of a line there that is no event.
func Search(dir string, q Query, index Index) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		r, err := openEvents(dir, q.After+1)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer r.Close()
		s := &searching{r: r, q: q, index: index, yield: yield}
		defer s.leave(false)
		if !s.known() {
			return
		}
		if r.N() < q.After {
			s.leave(false)
			if err := r.pass(q.After); err != nil {
				yield(Event{}, err)
				return
			}
		}
		if n := min(r.N(), r.size); n < q.After {
			yield(Event{}, &Behindhand{n, q.After})
			return
		}
		for s.known() && s.read() {
		}
	}
}

// searching is one search of a log.
type searching struct {
	r     *eventReader
	q     Query
	index Index
	part  *segment.Part // that the index was asked about, and is told of
	yield func(Event, error) bool
}

// known yields what the index knows of the files ahead; false if yield ended that.
func (s *searching) known() bool {
	if s.index == nil {
		return true
	}
	for !s.r.last {
		p, ok := s.r.Ahead()
		if !ok {
			break
		}
		s.leave(true)
		through, end, more := s.index.Find(p, s.q, s.r.size, func(e Event) bool { return s.yield(e, nil) })
		if !more {
			return false
		}
		s.part = &p
		switch {
		case through+1 == p.Next:
			s.r.Over(p)
		case through >= p.First && end >= 0:
			s.r.From(p, through, end)
		}
		if s.r.N() != through { // the file is gone or another one meanwhile, or can't be read from there
			s.leave(false)
			if err := s.r.pass(through); err != nil {
				return s.yield(Event{}, err) && false
			}
			return true
		}
		s.r.last = through > 0 && through >= s.r.size
		if through+1 != p.Next {
			return true
		}
		s.part = nil
	}
	return true
}

// read yields one record that has to be read; false at the end, or if yield ended it.
func (s *searching) read() bool {
	line, err := s.r.next()
	if errors.Is(err, io.EOF) {
		return false
	}
	var e Event
	if err == nil {
		if e, s.r.buf, err = decode(line, s.r.buf); err != nil {
			e, err = Event{}, s.r.bad(s.r.N(), statedSeq(line), err)
		}
	}
	if s.part != nil {
		if path, _ := s.r.File(); err != nil || e.Seq != s.r.N() || path != s.part.Path {
			s.leave(false)
		} else {
			s.index.Learn(line, e)
		}
	}
	if (err != nil || s.q.Matches(e)) && !s.yield(e, err) {
		return false
	}
	return err == nil || Told(err)
}

// leave has the index know that what is read isn't of the part any more.
func (s *searching) leave(whole bool) {
	if s.part != nil {
		s.index.Leave(whole)
	}
	s.part = nil
}
