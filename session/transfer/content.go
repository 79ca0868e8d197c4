package transfer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
)

const (
	// maxAhead is how much is held, of all files of one channel together, of
	// what came before the bytes that stand in front of it. OpenSSH's sftp has 64
	// requests of 32 KiB under way.
	maxAhead    = 4 << 20 // bytes
	maxSegments = 4096    // of one channel

	// maxMarks is how many places are remembered, of a file and of a channel, from
	// which bytes that pass again can be compared. paramiko asks twice for a block
	// with any number of requests in between.
	maxMarks, maxChannelMarks = 1024, 2048
)

// pool is what the files of a channel hold together.
type pool struct {
	ahead, segments int
	marks           int
	counting        bool // without hashing, to measure what that costs
	// largest gives the file that holds most.
	largest func() *content
}

// content follows the bytes of a file in one direction. It hashes them in the
// order in which they stand in the file, and holds for a while what comes ahead.
type content struct {
	pool *pool

	moved int64     // bytes that passed
	next  int64     // hashed up to here, without a gap
	top   int64     // no byte came from here on
	sum   hash.Hash // nil until the first byte
	held  []segment // by offset, each beyond next, none overlapping
	marks []mark    // where the latest packets began, ascending
	lost  string    // why there will be no hash; "" so far

	// Of the packet that is passing.
	direct bool   // its bytes stand at next
	into   int    // else the index in held, -1 for none
	again  *again // else what they are compared with
}

// mark is the hash of what stands before a place in the file.
type mark struct {
	at  int64
	sum hash.Hash // nil for nothing
}

// again compares bytes that passed before with those that pass now.
type again struct {
	from, at, to int64
	sum          hash.Hash // of the file up to at, if they are alike
	want         []byte    // up to to
}

// segment is the content of one packet.
type segment struct {
	offset int64
	length int
	data   []byte // grows to length
}

func (s segment) end() int64 { return s.offset + int64(s.length) }

// begin says that n bytes for the offset follow.
func (c *content) begin(offset int64, n int) {
	c.direct, c.into, c.again = false, -1, nil
	if n == 0 || c.lost != "" {
		return
	}
	end := offset + int64(n)
	c.top = max(c.top, end)
	i, _ := slices.BinarySearchFunc(c.held, offset, func(s segment, o int64) int { return cmp.Compare(s.offset, o) })
	switch {
	case i > 0 && c.held[i-1].end() > offset, i < len(c.held) && c.held[i].offset < end:
		c.lose(fmt.Sprintf("bytes from %d on passed more than once", offset))
	case offset == c.next:
		c.direct = true
		c.mark()
	case offset > c.next:
		c.hold(i, offset, n)
	case !c.compares(offset, n):
		c.lose(fmt.Sprintf("bytes from %d on passed more than once", offset))
	default:
		to := min(end, c.next)
		c.again = &again{from: offset, at: offset, to: to, sum: clone(c.before(offset).sum), want: c.digested()}
		if to < c.next {
			c.again.want = clone(c.before(to).sum).Sum(nil)
		}
	}
}

// mark remembers next.
func (c *content) mark() {
	if c.pool.counting {
		return
	}
	if len(c.marks) > 0 && (len(c.marks) == maxMarks || c.pool.marks == maxChannelMarks) {
		n := (len(c.marks) + 3) / 4 // the oldest
		c.marks = slices.Delete(c.marks, 0, n)
		c.pool.marks -= n
	}
	if c.pool.marks < maxChannelMarks {
		c.marks = append(c.marks, mark{c.next, clone(c.sum)})
		c.pool.marks++
	}
}

// before is the mark at a place; nil if there is none.
func (c *content) before(at int64) *mark {
	if i, ok := slices.BinarySearchFunc(c.marks, at, func(m mark, at int64) int { return cmp.Compare(m.at, at) }); ok {
		return &c.marks[i]
	}
	return nil
}

// compares says whether n bytes at the offset, which passed before, can be
// compared with those.
func (c *content) compares(offset int64, n int) bool {
	end := offset + int64(n)
	return c.before(offset) != nil && (end >= c.next || c.before(end) != nil)
}

// clone copies a hash; that of nothing is nil.
func clone(h hash.Hash) hash.Hash {
	if h, ok := h.(hash.Cloner); ok {
		if h, err := h.Clone(); err == nil {
			return h
		}
	}
	return sha256.New()
}

func (c *content) hold(i int, offset int64, n int) {
	p := c.pool
	for p.ahead+n > maxAhead || p.segments == maxSegments {
		most := p.largest()
		if most == nil || len(most.held) == 0 {
			most = c
		}
		most.lose(fmt.Sprintf("more than %d MiB came ahead of byte %d", maxAhead>>20, most.next))
		if most == c {
			return
		}
	}
	p.ahead, p.segments = p.ahead+n, p.segments+1
	c.held = slices.Insert(c.held, i, segment{offset, n, make([]byte, 0, n)})
	c.into = i
}

// holds is how many bytes are held.
func (c *content) holds() (n int) {
	for _, s := range c.held {
		n += s.length
	}
	return n
}

// write takes the next bytes of the packet.
func (c *content) write(b []byte) {
	c.moved += int64(len(b))
	if c.again != nil {
		b = c.compare(b)
	}
	switch {
	case c.direct:
		c.digest(b)
	case c.into >= 0:
		s := &c.held[c.into]
		s.data = append(s.data, b...)
	}
}

// compare takes what passed before from the front of b and returns the rest.
func (c *content) compare(b []byte) []byte {
	a := c.again
	n := min(int64(len(b)), a.to-a.at)
	a.sum.Write(b[:n])
	if a.at += n; a.at < a.to {
		return nil
	}
	c.again = nil
	if !bytes.Equal(a.sum.Sum(nil), a.want) {
		c.lose(fmt.Sprintf("bytes from %d on passed more than once, and not alike", a.from))
		return nil
	}
	c.direct = a.to == c.next
	return b[n:]
}

// end says that all of the packet came.
func (c *content) end() {
	if c.direct {
		n := 0
		for n < len(c.held) && c.held[n].offset == c.next {
			c.mark()
			c.digest(c.held[n].data)
			n++
		}
		c.drop(n)
	}
	c.direct, c.into, c.again = false, -1, nil
}

func (c *content) digest(b []byte) {
	c.next += int64(len(b))
	if c.pool.counting {
		return
	}
	if c.sum == nil {
		c.sum = sha256.New()
	}
	c.sum.Write(b)
}

// drop forgets the first n of what is held.
func (c *content) drop(n int) {
	for _, s := range c.held[:n] {
		c.pool.ahead -= s.length
		c.pool.segments--
	}
	c.held = slices.Delete(c.held, 0, n)
}

// lose says why there will be no hash; the first reason stays.
func (c *content) lose(why string) {
	if c.lost == "" {
		c.lost = why
	}
	c.free()
	c.sum, c.direct, c.into, c.again = nil, false, -1, nil
}

// restart begins with an empty file.
func (c *content) restart() {
	c.free()
	*c = content{pool: c.pool, into: -1}
}

// free forgets all that is held.
func (c *content) free() {
	c.drop(len(c.held))
	c.held = nil
	c.forget()
}

// forget gives up the places from which bytes that pass again can be compared.
func (c *content) forget() {
	c.pool.marks -= len(c.marks)
	c.marks = nil
}

// digested is the hash of all bytes up to next.
func (c *content) digested() []byte {
	if c.sum == nil {
		empty := sha256.Sum256(nil)
		return empty[:]
	}
	return c.sum.Sum(nil)
}
