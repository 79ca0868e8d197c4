package audit

import (
	"errors"
	"fmt"
	"os"
	"time"

	"entry/audit/segment"
)

// unsigned is what stands behind the lines that were judged.
type unsigned struct {
	file      *os.File
	from, end int64
	written   time.Time
	sealed    bool // it stands in a sealed segment
}

func (u *unsigned) any() bool { return u.sealed || u.from < u.end }

// more finds what stands behind the lines that were judged, of what was there already when
// it was asked first.
func (w *verification) more(r *segment.Reader, first *unsigned) (*unsigned, error) {
	f, from, err := r.Rest()
	if errors.Is(err, segment.ErrBeyond) { // a writer may have added and sealed it meanwhile
		return &unsigned{sealed: true, written: w.now()}, nil
	}
	if err != nil || f == nil {
		return &unsigned{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	now := &unsigned{file: f, from: from, end: info.Size(), written: info.ModTime()}
	switch {
	case first == nil || first.sealed:
	case !first.any():
		return first, nil
	default:
		was, err := first.file.Stat()
		if err != nil || !os.SameFile(was, info) { // everything in that was signed before it was sealed
			return &unsigned{}, nil
		}
		now.end = first.end
	}
	return now, nil
}

// readWitness reads the witness as far as it is now, from where that was done before.
func (w *verification) readWitness() error {
	if w.witness == nil {
		return nil
	}
	info, err := w.witness.Stat()
	if err != nil {
		return err
	}
	w.replay.witness = w.replay.witness.on(w.witness, info.Size(), w.keys.Name())
	return nil
}

// readOn reads what was witnessed and signed since.
func (w *verification) readOn() error {
	if err := w.readWitness(); err != nil {
		return err
	}
	c, keys, err := readSigned(w.dir, w.o.PublicKey)
	if err != nil {
		return err
	}
	if c.size < w.signed.size {
		return &BadRecord{File: checkpointName, Why: fmt.Sprintf("went back from %d records to %d while it was verified", w.signed.size, c.size)}
	}
	w.signed, w.keys = c, keys
	p := &w.replay
	p.cut = false
	if err := p.begin(); err != nil {
		return err
	}
	// What was witnessed of smaller trees, after the witness was read and before the
	// checkpoint was, is for the next run.
	for p.next.number != 0 && p.next.size < p.tree.size {
		if err := p.advance(); err != nil {
			return err
		}
	}
	return p.compare()
}

// patience is the time that a verification takes to see whether a log grows.
type patience struct {
	now   func() time.Time
	sleep func(time.Duration)
}

const (
	// growWait is how long a writer may take from a line to its checkpoint.
	growWait = 5 * time.Second
	// growEvery is how often that is looked for.
	growEvery = 100 * time.Millisecond
)

// until is when what was written at that time isn't on its way any more.
func (p patience) until(written time.Time) time.Time {
	now := p.now()
	if written.After(now) {
		written = now // the clocks differ
	}
	return written.Add(growWait)
}
