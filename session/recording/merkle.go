package recording

import (
	"crypto/sha256"
	"math/bits"
)

// merkleRoot is the Merkle tree hash of RFC 6962, section 2.1, over leaves.
// It stands here because a recording's package doesn't import the audit log's
// tree; both are checked against the RFC's vectors.
func merkleRoot(leaves [][]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1 << (bits.Len(uint(len(leaves)-1)) - 1) // largest power of two below their number
	l, r := merkleRoot(leaves[:k]), merkleRoot(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
}
