package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"entry/audit/plain"
)

// VerifyOptions are Verify's.
type VerifyOptions struct {
	// PublicKey is the verifier key, as GenerateKey returns it. Required.
	PublicKey string
	// Witness is the directory of witnessed checkpoints. Empty means that
	// nothing is known of any.
	Witness string
	// Known is what a database knows of the log; zero for nothing. It has to be read
	// before the call: a running server's log is never behind it.
	Known Position
	// Copies says that where the files lie is nothing to the server that wrote them.
	Copies bool
}

// Report says what Verify found to hold.
type Report struct {
	Events      uint64    // records that the checkpoint covers, all consistent
	Last        time.Time // of the last of them
	Root        [32]byte  // over them
	Witnessed   uint64    // the first so many are covered by a witnessed checkpoint
	WitnessedAt time.Time // of the last witnessed record
	Where       string    // where the witness lies, as "xfs on /dev/sdb1, mounted at /srv"; "" where that can't be told
	NoWitness   string    // why the witness is none: see the function; "" where it is one

	// Uncovered is what stands beyond the checkpoint; zero for nothing. It was never
	// acknowledged and is no part of the log: a crash leaves such lines, a copy that
	// was made while the server wrote has them, and anybody can add some. The next
	// start sets them aside.
	Uncovered Uncovered
	// Aside is what starts have set aside of such lines.
	Aside []Aside
	// WitnessCut says that the witness's last checkpoint isn't whole, as a crash
	// leaves it.
	WitnessCut bool

	// Gaps are there where the log begins anew after one that can't go on: what that
	// had beyond its copy is lost, and so on for those before it, the first first. Who
	// verifies decides whether each is accepted.
	Gaps []GapReport
}

// String states the result in one line and no more than is known.
func (r Report) String() string {
	s := plain.Count(int(r.Events), "event") + " consistent"
	switch {
	case r.Witnessed == 0:
		s += "; not witnessed"
	case r.NoWitness != "":
		s += fmt.Sprintf("; no witness: %s; its checkpoints agree up to seq %d (%s)", r.NoWitness, r.Witnessed, plain.Time(r.WitnessedAt))
	case r.Witnessed < r.Events:
		s += fmt.Sprintf("; not witnessed since seq %d (%s)", r.Witnessed, plain.Time(r.WitnessedAt))
	default:
		s += fmt.Sprintf("; witnessed up to seq %d (%s)", r.Witnessed, plain.Time(r.WitnessedAt))
		if r.Where != "" {
			s += " on another file system: " + r.Where
		}
	}
	if r.WitnessCut {
		s += "; the witness's last checkpoint isn't whole, as a crash leaves it"
	}
	return s
}

// Verify recomputes the log in dir from its lines and holds it against the
// checkpoint, the public key and every witnessed checkpoint: form of each line,
// sequence, time (no step back over 60 s) and tree. It changes nothing and may
// run beside a writer.
//
// The error for a log that isn't what was written is a *BadRecord that names
// the first bad record. Lines beyond the checkpoint are told, and no fault: see
// Report.Uncovered. A log that contradicts VerifyOptions.Known is a *Behind. Where they are younger than 5 s it first waits for that long for
// a checkpoint that covers them.
func Verify(dir string, o VerifyOptions) (Report, error) {
	v, err := note.NewVerifier(strings.TrimSpace(o.PublicKey))
	if err != nil {
		return Report{}, errors.New("verify audit log: malformed public key")
	}
	rep, err := verify(dir, o, v, patience{time.Now, time.Sleep})
	if err != nil {
		return Report{}, fmt.Errorf("verify audit log %s: %w", dir, err)
	}
	return rep, nil
}

// maxStepBack is how far the clock may step back between two events: NTP
// corrections stay below it, a clock set wrong doesn't.
const maxStepBack = 60 * time.Second

func verify(dir string, o VerifyOptions, v note.Verifier, p patience) (Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, err
	}
	defer root.Close()
	// A writer syncs events, then the checkpoint, then the witness. Reading in
	// the opposite order finds each covered by the next.
	w := &verification{dir: root, path: dir, o: o, v: v, patience: p}
	w.replay.known = o.Known
	if o.Witness != "" {
		f, err := openIn(o.Witness, witnessName)
		if errors.Is(err, os.ErrNotExist) {
			return Report{}, fmt.Errorf("the witness directory %s has no file %s: a server that starts makes it; one that was there was taken away, or another directory is meant", o.Witness, witnessName)
		}
		if err != nil {
			return Report{}, fmt.Errorf("open witness directory: %w", err)
		}
		defer f.Close()
		w.witness = f
		if err := w.readWitness(); err != nil {
			return Report{}, err
		}
	}
	if w.signed, err = readCheckpoint(root, v); err != nil {
		return Report{}, err
	}
	f, err := root.Open(eventsName)
	if errors.Is(err, os.ErrNotExist) && w.signed.size > 0 {
		return Report{}, badLine(1, 0, "is missing: there is no such file, %d records were signed", w.signed.size)
	}
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	return w.run(f)
}

func openIn(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(name)
}

// readCheckpoint reads and verifies the checkpoint of dir. The error wraps
// os.ErrNotExist where there is no log at all.
func readCheckpoint(dir *os.Root, v note.Verifier) (checkpoint, error) {
	signed, err := readSmall(dir, checkpointName, maxCheckpoint)
	if errors.Is(err, os.ErrNotExist) {
		// A new log gets its first checkpoint before its first record.
		if info, err := dir.Stat(eventsName); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
			return checkpoint{}, fmt.Errorf("there is no audit log: %w", os.ErrNotExist)
		}
		return checkpoint{}, &BadRecord{File: checkpointName, Why: "is missing though the log has records"}
	}
	if err != nil {
		return checkpoint{}, err
	}
	c, err := openCheckpoint(signed, v)
	if err != nil {
		return checkpoint{}, &BadRecord{File: checkpointName, Why: err.Error()}
	}
	return c, nil
}

// verification is one run of Verify.
type verification struct {
	patience
	witness *os.File // nil without
	dir     *os.Root
	o       VerifyOptions
	v       note.Verifier
	signed  checkpoint
	replay  replay
	order   order
	agreed  time.Time // of the last record that a witnessed checkpoint covers
	path    string
	gaps    []GapReport
	aside   []Aside
}

// run judges the log. What its checkpoint doesn't cover may be on its way: so the
// checkpoint, and the witness before it, are read again for a while. No lock is asked,
// because anybody can hold one.
func (w *verification) run(events *os.File) (Report, error) {
	lines := newLineReader(events)
	p := &w.replay
	if err := p.begin(); err != nil {
		return Report{}, p.explain(w.dir, w.signed, w.v, err)
	}
	if err := w.judge(lines); err != nil {
		return Report{}, err
	}
	info, err := events.Stat()
	if err != nil {
		return Report{}, err
	}
	off, end, patient := lines.off, info.Size(), w.until(info.ModTime())
	for (off < end || p.cut) && w.now().Before(patient) {
		w.sleep(growEvery)
		if err := w.readOn(); err != nil {
			return Report{}, err
		}
		lines = newLineReader(io.NewSectionReader(events, off, math.MaxInt64-off))
		if err := w.judge(lines); err != nil {
			return Report{}, err
		}
		off += lines.off
	}
	if err := p.judge(w.signed.size); err != nil {
		return Report{}, err
	}
	rep := Report{Events: w.signed.size, Root: w.signed.root, Last: w.order.last, Witnessed: p.agreed.size, WitnessedAt: w.agreed, Gaps: w.gaps, Aside: w.aside}
	if p.agreed.size == w.signed.size {
		rep.WitnessedAt = rep.Last
	}
	if w.o.Witness != "" && !w.o.Copies {
		rep.Where, rep.NoWitness = whereIs(w.o.Witness).String(), NoWitness(w.path, w.o.Witness)
	}
	if rep.WitnessCut, err = w.witnessCut(); err != nil {
		return Report{}, err
	}
	if off < end {
		if rep.Uncovered, err = uncovered(io.NewSectionReader(events, off, end-off)); err != nil {
			return Report{}, err
		}
	}
	return rep, lookAfter(w.dir, rep.Aside)
}

// judge goes on to the record that the checkpoint covers.
func (w *verification) judge(lines *lineReader) error {
	if err := w.replay.walk(lines, w.signed, w.line, nil); err != nil {
		return w.replay.explain(w.dir, w.signed, w.v, err)
	}
	return w.replay.finish(w.signed, w.v)
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
	w.replay.witness = w.replay.witness.on(w.witness, info.Size(), w.v.Name())
	return nil
}

// readOn reads what was witnessed and signed since.
func (w *verification) readOn() error {
	if err := w.readWitness(); err != nil {
		return err
	}
	c, err := readCheckpoint(w.dir, w.v)
	if err != nil {
		return err
	}
	if c.size < w.signed.size {
		return &BadRecord{File: checkpointName, Why: fmt.Sprintf("went back from %d records to %d while it was verified", w.signed.size, c.size)}
	}
	w.signed = c
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

// witnessCut says whether the witness ends in a part of a checkpoint, as a crash leaves
// it: a part of the log's own, which is written first. Anything else is a *BadRecord.
func (w *verification) witnessCut() (bool, error) {
	if !w.replay.cut {
		return false, nil
	}
	own, err := readSmall(w.dir, checkpointName, maxCheckpoint)
	if err == nil && bytes.HasPrefix(own, w.replay.witness.cut) {
		return true, nil
	}
	return false, &BadRecord{File: witnessName, Line: w.replay.witness.last.number + 1, Why: errWitnessCut.Error()}
}

// line judges a line by itself and by the one before it.
func (w *verification) line(n uint64, line []byte) error {
	if w.replay.agreed.size == n-1 {
		w.agreed = w.order.last
	}
	e, err := w.order.next(n, line)
	if err != nil {
		return err
	}
	if a, ok := asideOf(e); ok {
		w.aside = append(w.aside, a)
	}
	if n != 1 {
		return nil
	}
	own, err := gapOf(e, strings.TrimSpace(w.o.PublicKey))
	if err != nil {
		return badLine(n, n, "%s", err)
	}
	w.gaps = gaps(w.path, own, e.Gap)
	return nil
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
		return e, &BadRecord{File: eventsName, Line: n, Seq: e.Seq, Why: errBack.Error(), err: errBack}
	}
	o.last = e.Time
	return e, nil
}
