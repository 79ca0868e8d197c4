package audit

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
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

// ReadHead reads the checkpoint of the log in dir, which key must have signed. The
// error wraps os.ErrNotExist where there is no log. It may run beside a writer.
func ReadHead(dir, key string) (SignedHead, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return SignedHead{}, errors.New("malformed public key")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return SignedHead{}, err
	}
	defer root.Close()
	return readHead(root, v)
}

func readHead(dir *os.Root, v note.Verifier) (SignedHead, error) {
	if _, err := readCheckpoint(dir, v); err != nil { // says more than what follows
		return SignedHead{}, err
	}
	signed, err := readSmall(dir, checkpointName, maxCheckpoint)
	if err != nil {
		return SignedHead{}, err
	}
	c, err := openCheckpoint(signed, v) // a writer may have replaced it in between
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
	f, err := dir.Open(hashesName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return tlog.ProveTree(int64(to), int64(from), tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, n := range at {
			if _, err := f.ReadAt(out[i][:], n*tlog.HashSize); err != nil {
				return nil, fmt.Errorf("read %s: %w", hashesName, err)
			}
		}
		return out, nil
	}))
}

// RootsAt are the roots over the first lines of the log in dir, as they stand in it, at
// each of these sizes, which rise.
func RootsAt(dir string, sizes ...uint64) ([]tlog.Hash, error) {
	f, _, err := openEvents(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var roots []tlog.Hash
	var t tree
	lines := newLineReader(f)
	for _, size := range sizes {
		for t.size < size {
			line, err := lines.next()
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", eventsName, err)
			}
			t.add(tlog.RecordHash(line), nil)
		}
		roots = append(roots, t.root())
	}
	return roots, nil
}

// EventAt reads one event of the log in dir.
func EventAt(dir string, seq uint64) (Event, error) {
	f, _, err := openEvents(dir)
	if err != nil {
		return Event{}, err
	}
	defer f.Close()
	lines := newLineReader(f)
	for n := uint64(1); ; n++ {
		line, err := lines.next()
		if err != nil {
			return Event{}, fmt.Errorf("read %s: %w", eventsName, err)
		}
		if n == seq {
			e, _, err := decode(line, nil)
			return e, err
		}
	}
}
