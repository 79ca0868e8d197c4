package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"entry/audit/segment"
)

// storedHashes are tlog's, as the file of hashes has them.
type storedHashes struct{ io.ReaderAt }

// ReadHashes is tlog.HashReader's.
func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if _, err := s.ReadAt(out[i][:], at*tlog.HashSize); err != nil {
			return nil, fmt.Errorf("read %s: %w", hashesName, err)
		}
	}
	return out, nil
}

// edge is the tree over the first size records, as the file has it. It proves nothing
// until a signed root does.
func (s storedHashes) edge(size uint64) (t tree, err error) {
	t.size = size
	var start uint64
	for level := 63; level >= 0; level-- {
		if size>>level&1 == 0 {
			continue
		}
		h, err := s.ReadHashes([]int64{tlog.StoredHashIndex(level, int64(start>>level))})
		if err != nil {
			return t, err
		}
		t.edge[level] = h[0]
		start += 1 << level
	}
	return t, nil
}

// rootAt is what the root was of the first size records of the log with the signed root;
// ok is false where the file can't prove it.
func (s storedHashes) rootAt(size uint64, signed checkpoint) (root tlog.Hash, ok bool) {
	switch {
	case size > signed.size:
		return root, false
	case size == signed.size:
		return signed.root, true
	case size == 0:
		return new(tree).root(), true
	}
	t, err := s.edge(size)
	if err != nil {
		return root, false
	}
	root = t.root()
	proof, err := tlog.ProveTree(int64(signed.size), int64(size), s)
	return root, err == nil && tlog.CheckTree(proof, int64(signed.size), signed.root, int64(size), root) == nil
}

// hashesSize is how many bytes the file has for the first size records: two hashes for
// each, but for what isn't a complete subtree yet.
func hashesSize(size uint64) int64 {
	return int64(2*size-uint64(bits.OnesCount64(size))) * tlog.HashSize
}

// leafReader reads the leaf hashes that the file of hashes has, one after the other.
type leafReader struct {
	r *bufio.Reader
	n uint64 // of the next one's record
}

// leavesFrom reads from record n on.
func leavesFrom(f io.ReaderAt, n uint64) *leafReader {
	at := hashesSize(n - 1)
	return &leafReader{bufio.NewReaderSize(io.NewSectionReader(f, at, math.MaxInt64-at), 64<<10), n}
}

// next is the next record's leaf; ok is false where the file hasn't got it.
func (l *leafReader) next() (leaf tlog.Hash, ok bool) {
	if _, err := io.ReadFull(l.r, leaf[:]); err != nil {
		return leaf, false
	}
	_, err := l.r.Discard((storedFor(l.n) - 1) * tlog.HashSize)
	l.n++
	return leaf, err == nil
}

// openHashes opens the file of hashes; ok is false where there is none.
func openHashes(dir *os.Root) (f *os.File, ok bool, err error) {
	f, err = segment.OpenIn(dir, hashesName)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	return f, err == nil, err
}

// hashesAgree says whether the leaf hashes in the file alone give c's root, which makes
// each of them as good as signed.
func hashesAgree(f io.ReaderAt, c checkpoint) bool {
	var t tree
	for l := leavesFrom(f, 1); t.size < c.size; {
		leaf, ok := l.next()
		if !ok {
			return false
		}
		t.add(leaf, nil)
	}
	return t.root() == c.root
}

// hashesCheck compares the hashes that a replay stores with those in the file.
type hashesCheck struct {
	r     *bufio.Reader
	n     uint64 // records whose hashes were compared
	left  int    // hashes of the record after them
	wrong uint64 // the first record with one that isn't in the file; 0 for none
	short bool   // the file ended
}

// hashesFrom compares from behind the first size records on.
func hashesFrom(f io.ReaderAt, size uint64) *hashesCheck {
	at := hashesSize(size)
	return &hashesCheck{r: bufio.NewReaderSize(io.NewSectionReader(f, at, math.MaxInt64-at), 64<<10), n: size, left: storedFor(size + 1)}
}

// store compares the next hash, until one differs.
func (c *hashesCheck) store(h tlog.Hash) {
	if c.wrong != 0 || c.short {
		return
	}
	c.differs(h)
}

// differs tells whether the next hash in the file isn't h.
func (c *hashesCheck) differs(h tlog.Hash) bool {
	var have tlog.Hash
	if _, err := io.ReadFull(c.r, have[:]); err != nil {
		c.short = true
		return false
	}
	if have != h && c.wrong == 0 {
		c.wrong = c.n + 1
	}
	if c.left--; c.left == 0 {
		c.n++
		c.left = storedFor(c.n + 1)
	}
	return have != h
}

// unproven are the first records of a range that is absent, of size at least one, whose
// hashes in the file aren't those that c signs; ok is false where all are. Of two records
// with one node one is meant.
func (s storedHashes) unproven(a segment.Absent, c checkpoint) (bad segment.Absent, ok bool) {
	const level = 10 // of the node over a block: few proofs where all are right
	for n := a.From - 1; n < a.To; {
		block := n >> level
		end := min((block+1)<<level, a.To)
		if (block+1)<<level <= c.size && s.provesBlock(level, block, c) {
			n = end
			continue
		}
		for ; n < end; n++ {
			switch proven := s.provesRecord(n, c); {
			case !proven && !ok:
				bad, ok = segment.Absent{From: n + 1, To: n + 1}, true
			case !proven:
				bad.To = n + 1
			case ok:
				return bad, true
			}
		}
	}
	return bad, ok
}

// provesBlock tells whether the leaves under a node, and the node, are those that c signs.
func (s storedHashes) provesBlock(level int, block uint64, c checkpoint) bool {
	var t tree
	for l := leavesFrom(s, block<<level+1); t.size < 1<<level; {
		leaf, ok := l.next()
		if !ok {
			return false
		}
		t.add(leaf, nil)
	}
	node, err := s.ReadHashes([]int64{tlog.StoredHashIndex(level, int64(block))})
	return err == nil && node[0] == t.root() && s.provesRecord(block<<level, c)
}

// provesRecord tells whether the leaf at index n is the one that c signs.
func (s storedHashes) provesRecord(n uint64, c checkpoint) bool {
	proof, err := tlog.ProveRecord(int64(c.size), int64(n), s)
	if err != nil {
		return false
	}
	leaf, err := s.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(n))})
	return err == nil && tlog.CheckRecord(proof, int64(c.size), c.root, int64(n), leaf[0]) == nil
}
