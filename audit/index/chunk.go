package index

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"math"
	"slices"

	"entry/audit"
)

const (
	chunkLines = 8192    // records in a chunk at most: what is read of the last file, each time, and kept in memory
	chunkBytes = 8 << 20 // likewise
	blockLines = 32      // records of which one hash is kept, and that are read for one of them
	sumSize    = 16      // bytes of a hash of lines, and of a MAC
)

// span is a chunk: some records of a file, in a row.
type span struct {
	segment    uint64 // the first record of its file
	first, end uint64 // records; end is the one behind the last
	from, to   int64  // bytes of the file
	since      int64  // seconds since 1970 of the earliest record, rounded down
	until      int64  // likewise of the latest one
	sum        [sha256.Size]byte
}

// chunk is a span with what is known of its records.
type chunk struct {
	span
	blocks  []byte           // see block
	buckets [buckets][]byte  // see find
	lists   map[string]*list // of each term, while the chunk is made
	all     hash.Hash        // of its lines
	block   hash.Hash        // of those of a block
	size    int64            // their bytes
	most    uint64           // records that it has room for
}

// list is the records of one term, as differences between their places in the chunk.
type list struct {
	last  uint64 // place, from 1
	bytes []byte // uvarints
}

// chunk begins one.
func (x *Index) chunk(segment, first uint64, from int64) *chunk {
	return &chunk{span: span{segment: segment, first: first, end: first, from: from, to: from, since: math.MaxInt64, until: math.MinInt64},
		lists: map[string]*list{}, all: sha256.New(), block: sha256.New(), most: x.most}
}

// add takes up the next record. It tells whether the chunk has room for another one.
func (c *chunk) add(line []byte, e *audit.Event) bool {
	for _, h := range []hash.Hash{c.all, c.block} {
		_, _ = h.Write(line) // a hash returns no error
		_, _ = h.Write([]byte{'\n'})
	}
	c.end++
	place := c.end - c.first
	size := int64(len(line)) + 1
	c.to, c.size = c.to+size, c.size+size
	c.since, c.until = min(c.since, e.Time.Unix()), max(c.until, e.Time.Unix())
	terms(e, func(term string) {
		l := c.lists[term]
		if l == nil {
			l = &list{}
			c.lists[term] = l
		}
		if l.last != place {
			l.bytes = binary.AppendUvarint(l.bytes, place-l.last)
			l.last = place
		}
	})
	if place%blockLines == 0 {
		c.endBlock()
	}
	return place < c.most && c.to-c.from < chunkBytes
}

func (c *chunk) endBlock() {
	if c.size > 0 {
		c.blocks = binary.AppendUvarint(c.blocks, uint64(c.size))
		c.blocks = append(c.blocks, c.block.Sum(nil)[:sumSize]...)
	}
	c.block.Reset()
	c.size = 0
}

// done gives the chunk the form in which it is kept.
func (c *chunk) done(h hasher) {
	c.endBlock()
	copy(c.sum[:], c.all.Sum(nil))
	for term, l := range c.lists {
		key := h.of(term)
		b := &c.buckets[key.bucket()]
		*b = append(*b, key[:]...)
		*b = binary.AppendUvarint(*b, uint64(len(l.bytes)))
		*b = append(*b, l.bytes...)
	}
	c.lists = nil
}

var errForm = errors.New("a row isn't in the form in which one is written")

// find is the places, from 1, of a term's records in a chunk, by the bucket that would have
// it. They ascend.
func find(bucket []byte, key hashed) (places []uint32, err error) {
	for len(bucket) > 0 {
		if len(bucket) < len(key) {
			return nil, errForm
		}
		same := [8]byte(bucket) == key
		n, used := binary.Uvarint(bucket[len(key):])
		bucket = bucket[len(key):]
		if used <= 0 || n > uint64(len(bucket)-used) {
			return nil, errForm
		}
		list := bucket[used : used+int(n)]
		bucket = bucket[used+int(n):]
		if !same {
			continue
		}
		at := uint64(0)
		for len(list) > 0 {
			step, used := binary.Uvarint(list)
			if used <= 0 || step == 0 || step > chunkLines {
				return nil, errForm
			}
			if at += step; at > chunkLines {
				return nil, errForm
			}
			places, list = append(places, uint32(at)), list[used:]
		}
	}
	slices.Sort(places) // two terms may have one hash
	return slices.Compact(places), nil
}

// block is some records of a chunk.
type block struct {
	from int64 // byte of the file
	size int64
	sum  []byte
}

// blocksOf are a chunk's.
func (s span) blocksOf(b []byte) (all []block, err error) {
	at := s.from
	for len(b) > 0 {
		size, used := binary.Uvarint(b)
		if used <= 0 || len(b)-used < sumSize || size == 0 || size > uint64(s.to-at) {
			return nil, errForm
		}
		all = append(all, block{at, int64(size), b[used : used+sumSize]})
		at, b = at+int64(size), b[used+sumSize:]
	}
	if at != s.to || len(all) != int((s.end-s.first+blockLines-1)/blockLines) {
		return nil, errForm
	}
	return all, nil
}

// is tells whether b is what the block was.
func (k block) is(b []byte) bool {
	sum := sha256.Sum256(b)
	return bytes.Equal(sum[:sumSize], k.sum)
}

// text is what a chunk's MAC is of, but for what else it has.
func (s span) text() []byte {
	b := make([]byte, 0, 7*8+len(s.sum))
	for _, n := range []uint64{s.segment, s.first, s.end, uint64(s.from), uint64(s.to), uint64(s.since), uint64(s.until)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return append(b, s.sum[:]...)
}

// sealer makes the MACs of rows.
type sealer struct{ mac hash.Hash }

func newSealer(key []byte, log string) sealer {
	return sealer{hmac.New(sha256.New, derived(key, "rows of "+log))}
}

// seal is the MAC of a row: of which kind it is, what it belongs to, and what it has.
func (s sealer) seal(kind byte, of span, number int, data []byte) []byte {
	s.mac.Reset()
	head := of.text()
	head = append(head, kind)
	head = binary.BigEndian.AppendUint64(head, uint64(number))
	_, _ = s.mac.Write(head) // a hash returns no error
	_, _ = s.mac.Write(data)
	return s.mac.Sum(nil)[:sumSize]
}

// The kinds of rows.
const (
	ofSpan   = 's'
	ofTerms  = 't' // of one bucket
	ofBlocks = 'b'
	ofFile   = 'f' // by which a file is known again
)
