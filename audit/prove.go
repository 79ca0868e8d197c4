package audit

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entry/audit/segment"
)

// Position is how much of a log there is, and what it is.
type Position struct {
	Size uint64 // records
	Root [32]byte
}

// SignedHead is the newest signed tree head of a log.
type SignedHead struct {
	Position
	Signed []byte // the signed note: C2SP tlog-checkpoint with the log's one signature
}

// ReadHead reads the checkpoint of the log in dir, whose key, or one of whose keys, key is. The
// error wraps os.ErrNotExist where there is no log. It may run beside a writer.
func ReadHead(dir, key string) (SignedHead, error) {
	if _, err := note.NewVerifier(strings.TrimSpace(key)); err != nil {
		return SignedHead{}, errors.New("malformed public key")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return SignedHead{}, err
	}
	defer root.Close()
	_, k, err := readSigned(root, key)
	if err != nil {
		return SignedHead{}, err
	}
	return readHead(root, k)
}

func readHead(dir *os.Root, k *Keys) (SignedHead, error) {
	if _, err := readCheckpoint(dir, k); err != nil { // says more than what follows
		return SignedHead{}, err
	}
	signed, err := readSmall(dir, checkpointName, maxCheckpoint)
	if err != nil {
		return SignedHead{}, err
	}
	c, err := openCheckpoint(signed, k) // a writer may have replaced it in between
	if err != nil {
		return SignedHead{}, &BadRecord{File: checkpointName, Why: err.Error()}
	}
	return SignedHead{Position{c.size, c.root}, signed}, nil
}

// Prove is the RFC 6962 consistency proof between the first from and the first to
// records of the log in dir, 0 < from ≤ to, out of its cache of hashes. The cache may
// be wrong, so a proof is worth something only to whoever checks it (tlog.CheckTree).
func Prove(dir string, from, to uint64) ([]tlog.Hash, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return prove(root, from, to)
}

func prove(dir *os.Root, from, to uint64) ([]tlog.Hash, error) {
	f, err := segment.OpenIn(dir, hashesName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return tlog.ProveTree(int64(to), int64(from), storedHashes{f})
}

// RootsAt are the roots over the first lines of the log in dir, as they stand in it, at
// each of these sizes, which rise. For lines that are absent their hashes stand in, as the
// log keeps them.
func RootsAt(dir string, sizes ...uint64) ([]tlog.Hash, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return rootsAt(root, sizes...)
}

func rootsAt(dir *os.Root, sizes ...uint64) ([]tlog.Hash, error) {
	r, err := openSegments(dir, 1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var roots []tlog.Hash
	var p replay
	for _, size := range sizes {
		if p.tree.size < size {
			err := p.walk(dir, r, checkpoint{size: size}, nil, func(*block, int) error { return nil }, nil)
			if err != nil && !errors.Is(err, errRoot) { // no root is asked for
				return nil, err
			}
		}
		roots = append(roots, p.tree.root())
	}
	return roots, nil
}

// EventAt reads one event of the log in dir. The error is a *segment.Absent where its
// segment isn't there.
func EventAt(dir string, seq uint64) (e Event, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return e, err
	}
	defer root.Close()
	err = linesAt(root, []uint64{seq}, func(_ uint64, line []byte) error {
		e, err = ParseEvent(line)
		return err
	})
	return e, err
}
