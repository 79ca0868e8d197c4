package index

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"

	"entry/audit"
	"entry/audit/segment"
)

// Find is audit.Index's.
func (x *Index) Find(p segment.Part, q audit.Query, most uint64, yield func(audit.Event) bool) (through uint64, end int64, more bool) {
	x.part, x.chain, x.next = p, nil, nil
	through = p.First - 1
	lists, ok := wanted(q)
	if !ok || x.db == nil {
		return through, 0, true
	}
	x.state = ""
	if !p.Last() { // of one that is written the state is a moment's
		x.state = x.stateOf(p)
	}
	chain, err := x.known(p, most)
	if err != nil {
		x.fail(err)
		return through, 0, true
	}
	file := &content{part: p, close: func() {}}
	defer func() { file.close() }()
	for _, s := range chain {
		if selects(s, q) {
			hits, err := x.hits(file, s, lists, q)
			if err != nil {
				x.mistrust(s, err)
				if errors.Is(err, errContent) { // it was changed a moment ago
					return through, -1, true
				}
				break
			}
			for _, e := range hits {
				if !yield(e) {
					return through, end, false
				}
			}
		}
		x.chain = append(x.chain, s)
		through, end = s.end-1, s.to
	}
	if through+1 != p.Next {
		x.next = x.chunk(p.First, through+1, end)
	}
	return through, end, true
}

// selects tells whether a chunk may have records of q, by where and when they are.
func selects(s span, q audit.Query) bool {
	return s.end-1 > q.After &&
		(q.Since.IsZero() || s.until >= q.Since.Unix()) &&
		(q.Until.IsZero() || s.since <= q.Until.Unix())
}

// known are the chunks that are, in a row from the part's first record on, what the part has
// now, and nothing beyond record most.
func (x *Index) known(p segment.Part, most uint64) (chain []span, err error) {
	from, next := int64(0), p.First
	for {
		s, ok := x.spans[next]
		if !ok || s.segment != p.First || s.from != from || s.end <= s.first || s.end > p.Next || s.end-1 > most {
			break
		}
		chain = append(chain, s)
		next, from = s.end, s.to
	}
	if len(chain) == 0 {
		return nil, nil
	}
	if x.state != "" && next == p.Next {
		if ok, err := x.db.isFile(chain, x.state); ok || err != nil {
			return chain, err
		}
	}
	chain, ends, err := x.compare(p, chain)
	if err != nil || next != p.Next || len(chain) == 0 || chain[len(chain)-1].end != p.Next {
		return chain, err
	}
	if !ends { // what follows, or can't be read, is for the reader to tell
		return chain[:len(chain)-1], nil
	}
	return chain, x.same(p, chain)
}

// same notes that the part has just these chunks, if it is still in the state in which it
// was when that was found.
func (x *Index) same(p segment.Part, chain []span) error {
	if x.state == "" || x.stateOf(p) != x.state {
		return nil
	}
	return x.db.keepFile(chain, x.state)
}

// compare reads the part and returns the chunks that are what it has, and whether nothing
// follows them.
func (x *Index) compare(p segment.Part, chain []span) (is []span, ends bool, err error) {
	src, closeIt, err := p.Open()
	if err != nil {
		return nil, false, nil // its reader says so
	}
	defer closeIt()
	buf := make([]byte, 256<<10)
	for i, s := range chain {
		h := sha256.New()
		n, err := io.CopyBuffer(h, struct{ io.Reader }{io.LimitReader(src, s.to-s.from)}, buf)
		if err != nil || n != s.to-s.from || !bytes.Equal(h.Sum(nil), s.sum[:]) {
			return chain[:i], false, x.drop(chain[i:])
		}
	}
	_, err = io.ReadFull(src, buf[:1])
	return chain, errors.Is(err, io.EOF), nil
}

// drop forgets chunks.
func (x *Index) drop(all []span) error {
	for _, s := range all {
		if err := x.db.drop(s.first); err != nil {
			return err
		}
		delete(x.spans, s.first)
	}
	return nil
}

// mistrust deals with a chunk of which something isn't what was written.
func (x *Index) mistrust(s span, err error) {
	switch {
	case errors.Is(err, errSeal), errors.Is(err, errForm):
		x.damaged = true
		err = x.drop([]span{s})
	case errors.Is(err, errContent):
		err = x.drop([]span{s})
	}
	if err != nil {
		x.fail(err)
	}
}

// errContent says that a part doesn't have what it had.
var errContent = errors.New("the log isn't what was indexed")

// hits are a chunk's events that q selects.
func (x *Index) hits(file *content, s span, lists [][]string, q audit.Query) (hits []audit.Event, err error) {
	places, err := x.places(s, lists)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	data, err := x.db.blocks(s)
	if err != nil {
		return nil, err
	}
	blocks, err := s.blocksOf(data)
	if err != nil {
		return nil, err
	}
	var lines [][]byte
	at := -1
	for _, place := range places {
		seq := s.first + uint64(place) - 1
		if seq <= q.After {
			continue
		}
		if seq >= s.end {
			return nil, errForm
		}
		if b := int(place-1) / blockLines; b != at {
			text, err := file.read(blocks[b].from, blocks[b].size)
			if err != nil || !blocks[b].is(text) {
				return nil, errContent
			}
			at, lines = b, bytes.Split(text, []byte{'\n'})
		}
		in := int(place-1) % blockLines
		if in >= len(lines) {
			return nil, errContent
		}
		e, err := audit.ParseEvent(lines[in])
		if err != nil || e.Seq != seq {
			return nil, errContent
		}
		if q.Matches(e) {
			hits = append(hits, e)
		}
	}
	return hits, nil
}

// places are those of the chunk's records that have a term of each list: all, where there
// is none.
func (x *Index) places(s span, lists [][]string) (places []uint32, err error) {
	if len(lists) == 0 {
		for place := range s.end - s.first {
			places = append(places, uint32(place)+1)
		}
		return places, nil
	}
	for i, list := range lists {
		var any []uint32
		for _, term := range list {
			key := x.hasher.of(term)
			bucket, err := x.db.terms(s, key.bucket())
			if err != nil {
				return nil, err
			}
			found, err := find(bucket, key)
			if err != nil {
				return nil, err
			}
			any = append(any, found...)
		}
		slices.Sort(any)
		if any = slices.Compact(any); i > 0 {
			any = slices.DeleteFunc(any, func(place uint32) bool {
				_, ok := slices.BinarySearch(places, place)
				return !ok
			})
		}
		if places = any; len(places) == 0 {
			return nil, nil
		}
	}
	return places, nil
}

// content reads a part here and there, further and further on.
type content struct {
	part  segment.Part
	src   io.Reader // nil before anything is read
	at    int64     // bytes that were read of it
	buf   []byte
	close func()
}

// read returns so many bytes, valid until the next call.
func (c *content) read(from, size int64) ([]byte, error) {
	if c.src == nil {
		src, closeIt, err := c.part.Open()
		if err != nil {
			return nil, err
		}
		c.src, c.close = src, closeIt
	}
	if int64(cap(c.buf)) < size {
		c.buf = make([]byte, size)
	}
	b := c.buf[:size]
	if at, ok := c.src.(io.ReaderAt); ok {
		_, err := at.ReadAt(b, from)
		return b, err
	}
	if _, err := io.CopyN(io.Discard, c.src, from-c.at); err != nil {
		return nil, err
	}
	c.at = from + size
	_, err := io.ReadFull(c.src, b)
	return b, err
}
