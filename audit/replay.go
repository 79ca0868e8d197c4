package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"entry/audit/segment"
)

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
	witness *witnessReader   // nil without witness
	next    witnessed        // not reached yet; number 0 at the end
	agreed  witnessed        // the last that agreed; number 0 for none
	cut     bool             // the witness ends in an incomplete entry
	knowing                  // of the database
	since   knowing          // of who verified it before
	absent  []segment.Absent // lines that hashes stood in for
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

func (p *replay) add(leaf tlog.Hash, store func(tlog.Hash)) error {
	p.tree.add(leaf, store)
	p.look(&p.tree)
	p.since.look(&p.tree)
	return p.compare()
}

// walk adds the lines that c covers, which r is about to read, and compares the root at
// the end. It has each block judged first, and calls each with every line before that is
// added. It returns a *BadRecord, or errRoot where a checkpoint is contradicted, which
// explain can turn into one.
//
// For lines that are absent the hashes that dir's file has of them stand in: that all
// together give c's root proves them.
func (p *replay) walk(dir *os.Root, r *segment.Reader, c checkpoint, judge func(*block), each func(b *block, i int) error, store func(tlog.Hash)) error {
	err := sweep(r, c.size, judge, func(b *block) error {
		for i := range b.ends {
			if err := each(b, i); err != nil {
				return err
			}
			if err := p.add(b.leaves[i], store); err != nil {
				return err
			}
		}
		var absent *segment.Absent
		var unreadable *segment.Unreadable
		var stranger *segment.Stranger
		switch n := p.tree.size + 1; {
		case b.err == nil:
			return nil
		case errors.As(b.err, &absent) && absent.To >= c.size: // nobody moves away what is written
			return badLine(n, 0, "is missing: the log ends before it, %d records were signed; if its segment was moved away, put it back", c.size)
		case errors.As(b.err, &absent):
			return p.stand(dir, *absent, store)
		case errors.Is(b.err, io.EOF):
			if _, err := dir.Stat(segment.Current); errors.Is(err, os.ErrNotExist) {
				return &BadRecord{File: segment.Current, Line: n, beyond: true, Why: fmt.Sprintf("is missing: there is no such file, %d records were signed; if it was rotated, put it back", c.size)}
			}
			if info, err := dir.Stat(segment.Current); err == nil && info.Size() == 0 && b.file == segment.Current {
				return badLine(n, 0, "is missing: the log ends before it, %d records were signed, and %s has none yet; if the segment before it was moved away, put it back", c.size, segment.Current)
			}
			return badLine(n, 0, "is missing: the log ends before it, %d records were signed", c.size)
		case errors.As(b.err, &unreadable):
			why := unreadable.Why()
			if unreadable.Compressed {
				why = fmt.Sprintf("%s (%v)", why, errors.Unwrap(unreadable))
			}
			return b.bad(n, why)
		case errors.As(b.err, &stranger):
			return &BadRecord{File: stranger.File, Line: stranger.First, before: stranger.First - 1, Why: stranger.Why()}
		case errors.Is(b.err, segment.ErrCut), errors.Is(b.err, segment.ErrLong), errors.Is(b.err, segment.ErrBeyond), errors.Is(b.err, segment.ErrEmpty):
			return b.bad(n, b.err.Error())
		default:
			return b.err
		}
	})
	if err != nil {
		return err
	}
	if p.tree.root() != c.root {
		return errRoot
	}
	return nil
}

// bad is of what stands in the place of line n, where the block ends.
func (b *block) bad(n uint64, why string) *BadRecord {
	if b.head == 0 {
		return badLine(n, 0, "%s", why)
	}
	return &BadRecord{File: b.file, Line: n, before: b.head - 1, Why: why}
}

// stand adds the hashes of lines that are absent.
func (p *replay) stand(dir *os.Root, a segment.Absent, store func(tlog.Hash)) error {
	p.absent = append(p.absent, a)
	f, ok, err := openHashes(dir)
	if err != nil {
		return err
	}
	if ok {
		defer f.Close()
		for l := leavesFrom(f, a.From); ok && l.n <= a.To; {
			var leaf tlog.Hash
			if leaf, ok = l.next(); !ok {
				break
			}
			if err := p.add(leaf, store); err != nil {
				return err
			}
		}
	}
	if !ok {
		return &BadRecord{File: hashesName, Line: a.From, Through: a.To, Why: "hasn't got their hashes, by which the rest could be proven: put it or their segments back"}
	}
	return nil
}

// finish reads the rest of the witness after walk reached c: an entry beyond c
// means that the log was put back to an older state.
func (p *replay) finish(c checkpoint, k *Keys) error {
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
	if err := last.verify(k); err != nil {
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
func (p *replay) explain(dir *os.Root, c checkpoint, k *Keys, failure error) error {
	var bad *BadRecord
	if errors.As(failure, &bad) && (bad.File == checkpointName || bad.File == witnessName || bad.File == hashesName || bad.File == keysName) {
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
	if !known {
		switch bad, err := p.badHashes(dir, c); {
		case err != nil:
			return err
		case bad != nil:
			return bad
		}
	}
	// The checkpoint at fault: the witnessed one if it is reached, else c.
	if err := p.agreed.verify(k); err != nil {
		return err
	}
	from, to := p.agreed.size+1, c.size
	why := "the signed checkpoint contradicts them: at least one was changed"
	if p.next.number != 0 && p.next.size == p.tree.size && p.next.root != p.tree.root() {
		if err := p.next.verify(k); err != nil {
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
	return &BadRecord{Line: from, Through: to, Why: why}
}

// badHashes names records that aren't here, where it is their hashes in the file that aren't
// those that c signs: then no record that is here is at fault.
func (p *replay) badHashes(dir *os.Root, c checkpoint) (*BadRecord, error) {
	f, ok, err := openHashes(dir)
	if err != nil || !ok {
		return nil, err
	}
	defer f.Close()
	for _, a := range p.absent {
		if bad, ok := (storedHashes{f}).unproven(a, c); ok {
			return &BadRecord{File: hashesName, Line: bad.From, Through: bad.To, Why: "hasn't got the hashes of them that were signed: it was changed; put their segment back, or an earlier copy of that file"}, nil
		}
	}
	return nil, nil
}

// firstChanged returns the first line whose leaf hash isn't the signed one, 0
// if none differs; known says whether the file of hashes could tell.
func firstChanged(dir *os.Root, c checkpoint) (changed uint64, known bool, err error) {
	f, ok, err := openHashes(dir)
	if err != nil || !ok {
		return 0, false, err
	}
	defer f.Close()
	if !hashesAgree(f, c) {
		return 0, false, nil
	}
	r, err := openSegments(dir, 1)
	if errors.Is(err, os.ErrNotExist) {
		return 1, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer r.Close()
	leaves := leavesFrom(f, 1)
	err = sweep(r, c.size, nil, func(b *block) error {
		for i := range b.ends {
			if leaf, ok := leaves.next(); !ok || leaf != b.leaves[i] {
				changed = leaves.n - 1
				return errSwept
			}
		}
		var absent *segment.Absent
		switch {
		case b.err == nil:
			return nil
		case errors.As(b.err, &absent) && absent.To < c.size:
			leaves = leavesFrom(f, absent.To+1)
			return nil
		}
		changed = leaves.n
		return errSwept
	})
	if errors.Is(err, errSwept) {
		err = nil
	}
	return changed, true, err
}

// openSegments reads the log in dir from the segment that has record from.
func openSegments(dir *os.Root, from uint64) (*segment.Reader, error) {
	return segment.Open(dir.Name(), from, opens)
}

// opens is a segment.Opening: of the log's first line, and of one that the writer makes
// when it seals a segment.
func opens(line []byte) uint64 {
	n := statedSeq(line)
	if n > 1 && !bytes.Contains(line, []byte(`,"type":"`+LogSegment+`"`)) { // no text has a quote that isn't escaped
		return 0
	}
	return n
}

// seqAt returns the sequence number that line n states, 0 if it states none.
func seqAt(dir *os.Root, n uint64) uint64 {
	r, err := openSegments(dir, n)
	if err != nil {
		return 0
	}
	defer r.Close()
	if r.Pass(n-1) != nil || r.N() != n-1 {
		return 0
	}
	line, err := r.Next()
	if err != nil {
		return 0
	}
	return statedSeq(line)
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
