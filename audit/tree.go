package audit

import (
	"crypto/sha256"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is the right edge of the Merkle tree over the first size lines: enough
// to add a leaf and to compute the root, without reading a stored hash. It is
// a plain value; a copy can be extended and thrown away.
type tree struct {
	size uint64
	edge [64]tlog.Hash // edge[l]: the last complete subtree of 2^l leaves, valid where bit l of size is set
}

// add appends a leaf. It calls store, if not nil, with each hash that becomes
// final, in the order of tlog.StoredHashes (which a test compares it with).
func (t *tree) add(leaf tlog.Hash, store func(tlog.Hash)) {
	h, level := leaf, 0
	for {
		if store != nil {
			store(h)
		}
		if t.size>>level&1 == 0 {
			break
		}
		h = tlog.NodeHash(t.edge[level], h)
		level++
	}
	t.edge[level] = h
	t.size++
}

// root returns the RFC 6962 tree head.
func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	level := bits.TrailingZeros64(t.size)
	h := t.edge[level]
	for level++; level < 64; level++ {
		if t.size>>level&1 == 1 {
			h = tlog.NodeHash(t.edge[level], h)
		}
	}
	return h
}

// storedFor is the number of hashes that adding line n (from 1) stores: the
// leaf and every subtree it completes.
func storedFor(n uint64) int { return 1 + bits.TrailingZeros64(n) }
