package audit

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"entry/audit/segment"
)

// Included is one record of a log, with what proves to anybody that a tree head has it.
type Included struct {
	Seq   uint64
	Line  []byte // exactly as it stands in the log: the RFC 6962 leaf
	Proof []tlog.Hash
}

// Include proves that the log in dir, as head says it was, has the records called seqs,
// which rise and of which head has all. Each proof holds: it was checked against head's
// root. The error wraps a *segment.Absent where a record isn't here, and is a *BadRecord
// for one that the root doesn't have.
func Include(dir string, head Position, seqs []uint64) ([]Included, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	hashes, err := segment.OpenIn(root, hashesName)
	if err != nil {
		return nil, err
	}
	defer hashes.Close()
	for _, seq := range seqs {
		if seq == 0 || seq > head.Size {
			return nil, fmt.Errorf("the tree head has %d records, and none called %d", head.Size, seq)
		}
	}
	out := make([]Included, 0, len(seqs))
	err = linesAt(root, seqs, func(seq uint64, line []byte) error {
		// The cache of hashes proves nothing by itself, nor need it be right.
		proof, err := tlog.ProveRecord(int64(head.Size), int64(seq-1), storedHashes{hashes})
		if err == nil {
			err = tlog.CheckRecord(proof, int64(head.Size), head.Root, int64(seq-1), tlog.RecordHash(line))
		}
		if err != nil {
			return Bad(dir, seq, 0, "can't be proven to be the record that was signed")
		}
		out = append(out, Included{seq, bytes.Clone(line), proof})
		return nil
	})
	return out, err
}

// Holds tells whether a tree head has that record at that place.
func (i Included) Holds(head Position) bool {
	return i.Seq > 0 && i.Seq <= head.Size &&
		tlog.CheckRecord(i.Proof, int64(head.Size), head.Root, int64(i.Seq-1), tlog.RecordHash(i.Line)) == nil
}

// linesAt calls f with the lines called seqs, which rise; a line is valid until f returns.
// The error wraps a *segment.Absent where one isn't here.
func linesAt(dir *os.Root, seqs []uint64, f func(seq uint64, line []byte) error) error {
	if len(seqs) == 0 {
		return nil
	}
	r, err := openSegments(dir, seqs[0])
	if err != nil {
		return err
	}
	defer r.Close()
	for _, seq := range seqs {
		if err := r.Pass(seq - 1); err != nil {
			return err
		}
		if r.N() >= seq {
			return &segment.Absent{From: seq, To: seq}
		}
		line, err := r.Next()
		if err != nil {
			return err
		}
		if err := f(seq, line); err != nil {
			return err
		}
	}
	return nil
}
