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
	f, err = dir.Open(hashesName)
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
