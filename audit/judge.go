package audit

import (
	"errors"
	"slices"
	"time"

	"entry/audit/plain"
	"entry/audit/segment"
)

// judgement is what was found of a block's lines, each by itself and by the one before it.
type judgement struct {
	times   []time.Time   // of the lines before bad
	notable map[int]Event // by index: those that mean something to a verification
	bad     error         // of the line behind them; nil where there is none
}

// judgeBlock judges a block by itself.
func judgeBlock(b *block) {
	j := &b.judged
	j.times, j.notable = make([]time.Time, 0, len(b.ends)), map[int]Event{}
	var o order
	for i := range b.ends {
		n := b.first + uint64(i)
		e, err := o.next(n, b.line(i))
		if err != nil {
			j.bad = err
			return
		}
		j.times = append(j.times, e.Time)
		if n == 1 || b.begins[i] || e.Type == LogRecovered || e.Type == LogKey || e.Type == LogDropped {
			j.notable[i] = e
		}
	}
}

// judging goes through judgements in order.
type judging struct {
	last  time.Time // of the last event
	file  uint64    // number of the first line of the file that has it; 0 where nothing says so
	began bool      // with the log's first record

	met map[uint64]bool // records that changed the log's key

	// misplaced is the first file that isn't a whole segment; nil where all are. It counts
	// once the records are proven: else one of them that was changed may say so.
	misplaced *BadRecord
}

// line takes in what was found of a line.
func (w *verification) line(b *block, i int) error {
	n, j := b.first+uint64(i), &b.judged
	if w.replay.agreed.size == n-1 {
		w.agreed = w.last
	}
	if i == len(j.times) {
		return j.bad
	}
	if i == 0 && j.times[0].Before(w.last.Add(-maxStepBack)) {
		return backward(n, statedSeq(b.line(0)))
	}
	w.last = j.times[i]
	e, ok := j.notable[i]
	if !ok {
		return nil
	}
	if e.Type == LogDropped && e.Count > 0 && uint64(e.Count) < e.Seq {
		d := Dropped{Through: uint64(e.Count), Seq: e.Seq, At: e.Time, Head: e.Hash}
		if e.Until != nil {
			d.Before = *e.Until
		}
		w.dropped = append(w.dropped, d)
		if first, ok := carriedGap(e); ok {
			w.gap = first
		}
		if err := w.carried(e); err != nil {
			return err
		}
	}
	if a, ok := asideOf(e); ok {
		w.aside = append(w.aside, a)
	}
	if e.Type == LogKey {
		if err := w.rekeyed(n, e); err != nil {
			return err
		}
	}
	if b.begins[i] {
		bad := w.begins(n, e)
		if w.misplaced == nil {
			w.misplaced = bad
		}
	}
	if n != 1 {
		return nil
	}
	w.began = true
	own, err := gapOf(e, w.keys.First())
	if err != nil {
		return badLine(n, n, "%s", err)
	}
	w.gaps = gaps(w.path, own, e.Gap)
	return nil
}

// rekeyed judges record n, which says that the log's key changes.
func (w *verification) rekeyed(n uint64, e Event) error {
	c, err := changeOf(e)
	switch {
	case err != nil:
		return badLine(n, n, "%s", err)
	case c.old.Name() != w.keys.Name():
		return badLine(n, n, "changes the key of another log, %s", plain.Word(c.old.Name()))
	case c.at.root != w.replay.tree.root():
		return badLine(n, n, "changes the log's key after other records than those that stand before it: it was copied from another history")
	}
	if known, ok := w.keys.change(n); ok && string(known.signed) == string(c.signed) {
		if w.met == nil {
			w.met = map[uint64]bool{}
		}
		w.met[n] = true
		return nil
	}
	if w.keys.Text(w.signed.size) == c.from {
		return badLine(n, n, "changed the log's key to %s, and the checkpoint is signed by the one before: whoever had that went on with it", nameOf(c.new))
	}
	w.keys.unkept = true
	return nil
}

// carried judges what an event that drops records says of the log's changes of key in them.
func (w *verification) carried(e Event) error {
	all, err := changesIn(e)
	if err != nil {
		return badLine(e.Seq, e.Seq, "%s", err)
	}
	for _, c := range all {
		if known, ok := w.keys.change(c.at.size + 1); !ok || string(known.signed) != string(c.signed) {
			w.keys.unkept = true
		}
	}
	return nil
}

// changed asks for a record of each change of the log's key, and for each in the file.
func (w *verification) changed() error {
	for _, c := range w.keys.changes {
		n := c.at.size + 1
		if n > w.signed.size || n <= w.from || w.met[n] || slices.ContainsFunc(w.replay.absent, func(a segment.Absent) bool { return a.From <= n && n <= a.To }) {
			continue
		}
		return badLine(n, 0, "isn't the change of the log's key that both keys signed, and that the file %s has: whoever had the old key went on without it", keysName)
	}
	if w.keys.unkept {
		return &BadRecord{File: keysName, Why: "isn't there, or lacks a change of the log's key that its records have: it was removed or cut"}
	}
	return nil
}

// allGaps are the log's, as far as its first record is here to say. A log that began anew
// is called so: that its record isn't here counts as a gap, too.
func (w *verification) allGaps() ([]GapReport, error) {
	if w.began || w.signed.size == 0 {
		return w.gaps, nil
	}
	key := w.keys.First()
	anew := numbered.MatchString(w.keys.Name()) // else there is none
	e, ok, err := w.proven(1)
	if err == nil && !ok && w.gap.Seq == 1 { // it was dropped
		e, ok = w.gap, true
	}
	switch {
	case err != nil && anew:
		return nil, err
	case ok:
		own, err := gapOf(e, key)
		if err != nil {
			return nil, badLine(1, 1, "%s", err)
		}
		return gaps(w.path, own, e.Gap), nil
	}
	if anew {
		return []GapReport{{ID: gapID("absent", key), Missing: "the log began anew, and its first record, which says after what, isn't here"}}, nil
	}
	return nil, nil
}

// proven is a record that wasn't read again, because of a checkpoint that covers it. ok is
// false where it isn't here; one that isn't the one that was signed is a *BadRecord.
func (w *verification) proven(n uint64) (e Event, ok bool, err error) {
	all, err := Include(w.path, Position{w.signed.size, w.signed.root}, []uint64{n})
	var absent *segment.Absent
	if errors.As(err, &absent) {
		return e, false, nil
	}
	if err == nil {
		e, err = ParseEvent(all[0].Line)
	}
	var bad *BadRecord
	if err != nil && !errors.As(err, &bad) {
		err = badLine(n, 0, "can't be read: %v", err)
	}
	return e, err == nil, err
}

// timeOf is that of a record which wasn't read again; zero where it isn't here.
func (w *verification) timeOf(n uint64, read time.Time) (time.Time, error) {
	if n == 0 || !read.IsZero() {
		return read, nil
	}
	e, _, err := w.proven(n)
	return e.Time, err
}

// begins judges the first line of a file, which the writer makes when it seals the segment
// before: so none can lose its beginning or its end and pass for another one.
func (w *verification) begins(n uint64, e Event) *BadRecord {
	before := w.file
	w.file = n
	if n == 1 {
		return nil
	}
	if bad := noBeginning(n, e); bad != nil {
		return bad
	}
	first := n - uint64(e.Count) // of the segment before
	hole := n
	if a := w.replay.absent; len(a) > 0 && a[len(a)-1].To == n-1 {
		hole = a[len(a)-1].From
	}
	switch {
	case before > 0 && first < hole && hole < n: // else the file before isn't here
		b := badLine(hole, 0, "the file was cut at its end: its segment has records %d to %d", first, n-1)
		b.Through = n - 1
		return b
	case hole == n && before > 0 && first != before:
		return badLine(before, 0, "begins a file in the middle of a segment, which has records %d to %d: it was split", first, n-1)
	}
	return nil
}

// noBeginning says that no segment begins with record n, which is e.
func noBeginning(n uint64, e Event) *BadRecord {
	if n == 1 || e.Type == LogSegment && e.Count >= 1 && uint64(e.Count) < n {
		return nil
	}
	return badLine(n, e.Seq, "begins a file, and isn't what a segment begins with: the file was cut, split or renamed")
}

// order checks that each line follows from the one before it.
type order struct {
	last time.Time
	buf  []byte
}

func (o *order) next(n uint64, line []byte) (Event, error) {
	e, buf, err := decode(line, o.buf)
	o.buf = buf
	switch {
	case err != nil:
		return e, badLine(n, statedSeq(line), "%s", err)
	case e.Seq > n:
		return e, badLine(n, e.Seq, "stands where seq %d belongs: records are missing before it", n)
	case e.Seq < n:
		return e, badLine(n, e.Seq, "stands where seq %d belongs: it is repeated or out of order", n)
	case e.Time.Before(o.last.Add(-maxStepBack)):
		return e, backward(n, e.Seq)
	}
	o.last = e.Time
	return e, nil
}

// backward says that a line is earlier than the one before it.
func backward(n, seq uint64) *BadRecord {
	return &BadRecord{Line: n, Seq: seq, Why: errBack.Error(), err: errBack}
}
