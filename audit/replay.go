package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// BadRecord names the first thing in a log that can't be what was written.
type BadRecord struct {
	File    string // "events.jsonl", "checkpoint", or "checkpoints" (the witness directory's)
	Line    uint64 // events.jsonl: line; checkpoints: number of the entry; from 1
	Through uint64 // last line of the range, where nothing tells more precisely; else 0
	Seq     uint64 // sequence number that the line itself states; 0 if it states none
	Why     string // predicate of a sentence
	err     error
}

func (b *BadRecord) Error() string {
	switch {
	case b.File == checkpointName:
		return "checkpoint " + b.Why
	case b.File == witnessName:
		return fmt.Sprintf("witness checkpoint %d %s", b.Line, b.Why)
	case b.Through > b.Line:
		return fmt.Sprintf("%s lines %d to %d: %s", b.File, b.Line, b.Through, b.Why)
	case b.Seq != 0:
		return fmt.Sprintf("%s line %d (seq %d) %s", b.File, b.Line, b.Seq, b.Why)
	default:
		return fmt.Sprintf("%s line %d %s", b.File, b.Line, b.Why)
	}
}

func (b *BadRecord) Unwrap() error { return b.err }

func badLine(line, seq uint64, format string, a ...any) *BadRecord {
	return &BadRecord{File: eventsName, Line: line, Seq: seq, Why: fmt.Sprintf(format, a...)}
}

// notSigned is said of a record whose hash differs from the signed one.
const notSigned = "is not the record that was signed: it was changed, moved or replaced"

// errBack says that a line is earlier than the one before it: either of them
// may be the one that was changed.
var errBack = errors.New("is more than 60 s earlier than the record before it")

// errRoot says that the tree so far contradicts a checkpoint of its size.
var errRoot = errors.New("root differs")

// replay recomputes a log's tree and holds it against every witnessed
// checkpoint on the way.
type replay struct {
	tree    tree
	witness *witnessReader // nil without witness
	next    witnessed      // not reached yet; number 0 at the end
	agreed  witnessed      // the last that agreed; number 0 for none
	cut     bool           // the witness ends in an incomplete entry
	knowing
}

// begin reads the first witnessed checkpoint.
func (p *replay) begin() error {
	if p.witness == nil {
		return nil
	}
	if err := p.advance(); err != nil {
		return err
	}
	return p.compare()
}

func (p *replay) advance() error {
	w, err := p.witness.next()
	switch {
	case errors.Is(err, errWitnessCut):
		p.cut = true
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	p.next = w
	return nil
}

// compare passes every witnessed checkpoint of the tree's present size.
func (p *replay) compare() error {
	for p.next.number != 0 && p.next.size == p.tree.size {
		if p.next.root != p.tree.root() {
			return errRoot
		}
		p.agreed = p.next
		if err := p.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (p *replay) add(line []byte, store func(tlog.Hash)) error {
	p.tree.add(tlog.RecordHash(line), store)
	p.look(&p.tree)
	return p.compare()
}

// walk adds the lines that c covers, calling each with every line first, and
// compares the root at the end. It returns a *BadRecord, or errRoot where a
// checkpoint is contradicted, which explain can turn into one.
func (p *replay) walk(r *lineReader, c checkpoint, each func(n uint64, line []byte) error, store func(tlog.Hash)) error {
	for p.tree.size < c.size {
		n := p.tree.size + 1
		line, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return badLine(n, 0, "is missing: the log ends before it, %d records were signed", c.size)
		case errors.Is(err, errCut), errors.Is(err, errLong):
			return badLine(n, 0, "%s", err)
		case err != nil:
			return fmt.Errorf("read %s: %w", eventsName, err)
		}
		if err := each(n, line); err != nil {
			return err
		}
		if err := p.add(line, store); err != nil {
			return err
		}
	}
	if p.tree.root() != c.root {
		return errRoot
	}
	return nil
}

// finish reads the rest of the witness after walk reached c: an entry beyond c
// means that the log was put back to an older state.
func (p *replay) finish(c checkpoint, v note.Verifier) error {
	if p.witness == nil {
		return nil
	}
	ahead := p.next.number != 0
	for p.next.number != 0 {
		if err := p.advance(); err != nil {
			return err
		}
	}
	last := p.witness.last
	if err := last.verify(v); err != nil {
		return err
	}
	if ahead {
		return badLine(c.size+1, 0, "is missing: the log was put back to an older state, witness checkpoint %d covers %d records", last.number, last.size)
	}
	return nil
}

// explain names the record behind a failure of walk as precisely as the files
// allow: the exact one if the cached leaf hashes are the signed ones, else the
// range between the last witnessed checkpoint that agrees and the first that
// doesn't.
func (p *replay) explain(dir *os.Root, c checkpoint, v note.Verifier, failure error) error {
	var bad *BadRecord
	if errors.As(failure, &bad) && bad.File != eventsName {
		return failure
	}
	if bad == nil && !errors.Is(failure, errRoot) {
		return failure
	}
	line, known, err := firstChanged(dir, c)
	if err != nil {
		return err
	}
	if line != 0 && (bad == nil || line < bad.Line) {
		return badLine(line, seqAt(dir, line), notSigned)
	}
	if bad != nil {
		if errors.Is(bad, errBack) && !known && bad.Line-1 > p.agreed.size {
			bad.Why = fmt.Sprintf("line %d %s; one of them was changed", bad.Line, bad.Why)
			bad.Line, bad.Through = bad.Line-1, bad.Line
		}
		return bad
	}
	// The checkpoint at fault: the witnessed one if it is reached, else c.
	if err := p.agreed.verify(v); err != nil {
		return err
	}
	from, to := p.agreed.size+1, c.size
	why := "the signed checkpoint contradicts them: at least one was changed"
	if p.next.number != 0 && p.next.size == p.tree.size && p.next.root != p.tree.root() {
		if err := p.next.verify(v); err != nil {
			return err
		}
		to = p.next.size
		why = fmt.Sprintf("witness checkpoint %d contradicts them: at least one was changed", p.next.number)
		if known {
			why += " and the log signed again"
		}
	}
	if from > to { // nothing lies between two checkpoints that differ
		return &BadRecord{File: witnessName, Line: p.next.number, Why: fmt.Sprintf("contradicts another signed checkpoint of %d records: two histories were signed", to)}
	}
	if from == to {
		return badLine(from, seqAt(dir, from), notSigned)
	}
	return &BadRecord{File: eventsName, Line: from, Through: to, Why: why}
}

// cachedLeaves calls each with the leaf hashes that the cache holds for the
// first size lines, until each returns false; ok says whether it had them all.
func cachedLeaves(dir *os.Root, size uint64, each func(n uint64, leaf tlog.Hash) bool) (ok bool, err error) {
	f, err := dir.Open(hashesName)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for n := uint64(1); n <= size; n++ {
		var leaf tlog.Hash
		if _, err := io.ReadFull(r, leaf[:]); err != nil {
			return false, nil
		}
		if !each(n, leaf) {
			return true, nil
		}
		if _, err := r.Discard((storedFor(n) - 1) * tlog.HashSize); err != nil {
			return false, nil
		}
	}
	return true, nil
}

// cacheAgrees says whether the cached leaf hashes alone give c's root, which
// makes each of them as good as signed.
func cacheAgrees(dir *os.Root, c checkpoint) (bool, error) {
	var t tree
	ok, err := cachedLeaves(dir, c.size, func(_ uint64, leaf tlog.Hash) bool {
		t.add(leaf, nil)
		return true
	})
	return ok && t.root() == c.root, err
}

// firstChanged returns the first line whose leaf hash isn't the signed one, 0
// if none differs; known says whether the cache could tell.
func firstChanged(dir *os.Root, c checkpoint) (changed uint64, known bool, err error) {
	known, err = cacheAgrees(dir, c)
	if err != nil || !known {
		return 0, false, err
	}
	f, err := dir.Open(eventsName)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	lines := newLineReader(f)
	_, err = cachedLeaves(dir, c.size, func(n uint64, leaf tlog.Hash) bool {
		line, err := lines.next()
		if err != nil || tlog.RecordHash(line) != leaf {
			changed = n
			return false
		}
		return true
	})
	return changed, true, err
}

// seqAt returns the sequence number that line n states, 0 if it states none.
func seqAt(dir *os.Root, n uint64) uint64 {
	f, err := dir.Open(eventsName)
	if err != nil {
		return 0
	}
	defer f.Close()
	for r := newLineReader(f); ; n-- {
		line, err := r.next()
		if err != nil {
			return 0
		}
		if n == 1 {
			return statedSeq(line)
		}
	}
}

// statedSeq returns the sequence number that stands at its place in a line
// whatever follows it, 0 for none.
func statedSeq(line []byte) uint64 {
	rest, ok := strings.CutPrefix(string(line[:min(len(line), len(lineHead)+21)]), lineHead)
	digits, _, comma := strings.Cut(rest, ",")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || !comma || err != nil {
		return 0
	}
	return n
}
