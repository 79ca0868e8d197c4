package transfer

import (
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
)

// pool is what the files of a channel hold together.
type pool struct {
	ahead, segments int
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
	lost  string    // why there will be no hash; "" so far

	// Of the packet that is passing.
	direct bool // its bytes stand at next
	into   int  // else the index in held, -1 for none
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
	c.direct, c.into = false, -1
	if n == 0 || c.lost != "" {
		return
	}
	end := offset + int64(n)
	c.top = max(c.top, end)
	i, _ := slices.BinarySearchFunc(c.held, offset, func(s segment, o int64) int {
		switch {
		case s.offset < o:
			return -1
		case s.offset > o:
			return 1
		}
		return 0
	})
	switch {
	case offset < c.next, i > 0 && c.held[i-1].end() > offset, i < len(c.held) && c.held[i].offset < end:
		c.lose(fmt.Sprintf("bytes from %d on passed more than once", offset))
	case offset == c.next:
		c.direct = true
	default:
		c.hold(i, offset, n)
	}
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
	switch {
	case c.direct:
		c.digest(b)
	case c.into >= 0:
		s := &c.held[c.into]
		s.data = append(s.data, b...)
	}
}

// end says that all of the packet came.
func (c *content) end() {
	if c.direct {
		n := 0
		for n < len(c.held) && c.held[n].offset == c.next {
			c.digest(c.held[n].data)
			n++
		}
		c.drop(n)
	}
	c.direct, c.into = false, -1
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
	c.drop(len(c.held))
	c.held, c.sum, c.direct, c.into = nil, nil, false, -1
}

// restart begins with an empty file.
func (c *content) restart() {
	c.drop(len(c.held))
	*c = content{pool: c.pool, into: -1}
}

// digested is the hash of all bytes up to next.
func (c *content) digested() []byte {
	if c.sum == nil {
		empty := sha256.Sum256(nil)
		return empty[:]
	}
	return c.sum.Sum(nil)
}
