//go:build linux

package names

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// sample is how many bytes are remembered at each place: more than one line of
// the log, or the end of one, has in common with another's.
const sample = 256 // bytes

// Content remembers of a file that is only appended to its beginning, its end, and
// what was its end before the last write. So a file that was cut and has grown
// again to its old length, by somebody else's bytes, by zeros or by the next write
// at an offset, is noticed by three short reads, however fast that went; dates
// can't tell, which stand still for some milliseconds. What was changed in the
// middle isn't noticed: that is for hashes.
//
// The zero Content is of an empty file. It is a plain value, and isn't safe for
// concurrent use while Wrote is called.
type Content struct {
	size int64
	// Samples: the first bytes, the last ones, and those that were last before the
	// last write, which ended at edge.
	head, tail, before [sample]byte
	edge               int64
}

// ContentOf reads what is to be remembered of the first size bytes of r.
func ContentOf(r io.ReaderAt, size int64) (Content, error) {
	c := Content{size: size, edge: size}
	n := min(size, sample)
	if _, err := r.ReadAt(c.head[:n], 0); err != nil {
		return c, fmt.Errorf("read back: %w", err)
	}
	if _, err := r.ReadAt(c.tail[:n], size-n); err != nil {
		return c, fmt.Errorf("read back: %w", err)
	}
	c.before = c.tail
	return c, nil
}

// Size is how many bytes were written.
func (c *Content) Size() int64 { return c.size }

// Wrote notes that p was appended.
func (c *Content) Wrote(p []byte) {
	if len(p) == 0 {
		return
	}
	c.edge, c.before = c.size, c.tail
	if c.size < sample {
		copy(c.head[c.size:], p)
	}
	if len(p) >= sample {
		copy(c.tail[:], p[len(p)-sample:])
	} else {
		kept := int(min(c.size, sample)) // bytes of tail
		drop := max(0, kept+len(p)-sample)
		copy(c.tail[:], c.tail[drop:kept])
		copy(c.tail[kept-drop:], p)
	}
	c.size += int64(len(p))
}

// Check returns nil where r, the file called path, still has the bytes that are
// remembered; it may have more. Else it returns a *Gone, or that it can't be read.
func (c *Content) Check(r io.ReaderAt, path string) error {
	var buf [sample]byte
	for _, s := range []struct {
		want *[sample]byte
		end  int64
	}{{&c.head, min(c.size, sample)}, {&c.before, c.edge}, {&c.tail, c.size}} {
		n := min(s.end, sample)
		got, err := r.ReadAt(buf[:n], s.end-n)
		switch {
		case errors.Is(err, io.EOF):
			return &Gone{path, fmt.Sprintf("was cut; %d bytes were written", c.size)}
		case err != nil:
			return fmt.Errorf("read back %s: %w", path, err)
		case !bytes.Equal(buf[:got], s.want[:n]):
			return &Gone{path, fmt.Sprintf("was overwritten: what stands before byte %d isn't what was written", s.end)}
		}
	}
	return nil
}
