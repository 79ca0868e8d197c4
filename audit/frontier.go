package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Where not the whole log is read, what comes before is the file of hashes' to say: from
// the right edge of the tree that it has there, the lines behind have to lead to the root
// that is signed. Another edge doesn't.

// from takes a replay up behind the first size records: it goes on from what hashes has
// of them, and has passed the newest checkpoint that was witnessed of them, and what the
// database knows. ok is false where one of them isn't proven to be of the log whose root
// is signed: then the whole has to be read. w is the witness's file of checkpoints, up to
// end; nil for none.
func (p *replay) from(size uint64, hashes io.ReaderAt, signed checkpoint, w io.ReaderAt, end int64, origin string) (ok bool, err error) {
	stored := storedHashes{hashes}
	if p.tree, err = stored.edge(size); err != nil {
		return false, nil // the file is too short
	}
	if root, ok := stored.rootAt(size, signed); !ok || root != p.tree.root() {
		return false, nil
	}
	if p.known.Size > 0 && p.known.Size < size {
		root, ok := stored.rootAt(p.known.Size, signed)
		if !ok || root != tlog.Hash(p.known.Root) {
			return false, nil
		}
		p.met = true
	}
	p.look(&p.tree)
	if w == nil {
		return true, nil
	}
	at, err := witnessedBefore(w, end, origin, size)
	if err != nil {
		return false, err
	}
	p.witness = newWitnessReader(io.NewSectionReader(w, at, end-at), origin)
	p.witness.off = at
	if err := p.advance(); err != nil {
		return false, badAsNot(err)
	}
	for p.next.number != 0 && p.next.size < size {
		if root, ok := stored.rootAt(p.next.size, signed); !ok || root != p.next.root {
			return false, nil
		}
		p.agreed = p.next
		if err := p.advance(); err != nil {
			return false, badAsNot(err)
		}
	}
	if err := p.compare(); err != nil {
		return false, badAsNot(err)
	}
	return true, nil
}

// badAsNot is nil for an error that reading the whole log names better.
func badAsNot(err error) error {
	var bad *BadRecord
	if errors.As(err, &bad) || errors.Is(err, errRoot) {
		return nil
	}
	return err
}

// witnessedBefore finds, in a witness's file of checkpoints up to end, where one begins
// of fewer than size records, or the first of all, with few of them between it and the
// next one that isn't.
func witnessedBefore(f io.ReaderAt, end int64, origin string, size uint64) (int64, error) {
	const few = 64 << 10 // bytes
	low, high := int64(0), end
	head := []byte("\n" + origin + "\n")
	buf := make([]byte, 2*maxCheckpoint)
	for high-low > few {
		middle := low + (high-low)/2
		n, err := f.ReadAt(buf[:min(int64(len(buf)), end-middle)], middle)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("read witness: %w", err)
		}
		at := bytes.Index(buf[:n], head)
		if at < 0 {
			high = middle
			continue
		}
		digits, _, _ := strings.Cut(string(buf[at+len(head):n]), "\n")
		if has, err := strconv.ParseUint(digits, 10, 63); err != nil || has >= size {
			high = middle
			continue
		}
		low = middle + int64(at) + 1
	}
	return low, nil
}

// incremental verifies what came after VerifyOptions.Since. ok is false where the hashes
// don't lead there from it: then the whole log is to be read, and held against it as well.
func (w *verification) incremental() (rep Report, ok bool, err error) {
	since, err := openCheckpoint(w.o.Since, w.keys)
	if err != nil {
		return rep, false, fmt.Errorf("the checkpoint to go on from %w", err)
	}
	if since.size > w.signed.size {
		return rep, false, badLine(w.signed.size+1, 0, "is missing: the log was put back to an older state, the checkpoint to go on from covers %d records", since.size)
	}
	w.replay.since = knowing{known: Position{since.size, since.root}}
	whole := w.replay // to begin with again
	f, ok, err := openHashes(w.dir)
	if err != nil || !ok {
		return rep, false, err
	}
	defer f.Close()
	p := &w.replay
	p.since.met = true
	var witness io.ReaderAt
	end := int64(0)
	if w.witness != nil {
		info, err := w.witness.Stat()
		if err != nil {
			return rep, false, err
		}
		witness, end = w.witness, info.Size()
	}
	if ok, err = p.from(since.size, f, w.signed, witness, end, w.keys.Name()); err != nil {
		return rep, false, err
	}
	if ok && p.tree.root() == since.root {
		rep, err = w.runFrom()
		if badAsNot(err) != nil {
			return rep, false, err
		}
		if err == nil {
			rep.Since = since.size
			return rep, true, nil
		}
	}
	w.replay, w.judging, w.agreed, w.aside = whole, judging{}, time.Time{}, nil
	return rep, false, nil
}
