package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entry/audit/segment"
)

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
	if _, err := note.NewVerifier(strings.TrimSpace(o.PublicKey)); err != nil {
		return Report{}, errors.New("verify audit log: malformed public key")
	}
	rep, err := verify(dir, o, patience{time.Now, time.Sleep})
	if err != nil {
		return Report{}, fmt.Errorf("verify audit log %s: %w", dir, err)
	}
	return rep, nil
}

// maxStepBack is how far the clock may step back between two events: NTP
// corrections stay below it, a clock set wrong doesn't.
const maxStepBack = 60 * time.Second

func verify(dir string, o VerifyOptions, p patience) (Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, err
	}
	defer root.Close()
	// A writer syncs events, then the checkpoint, then the witness. Reading in
	// the opposite order finds each covered by the next.
	w := &verification{dir: root, path: dir, o: o, patience: p}
	w.replay.known = o.Known
	if w.keys, err = readKeys(root, o.PublicKey); err != nil {
		return Report{}, err
	}
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
	if w.signed, w.keys, err = readSigned(root, o.PublicKey); err != nil {
		return Report{}, err
	}
	if err := w.keys.back(w.signed); err != nil {
		return Report{}, locate(dir, err)
	}
	if o.Since != nil {
		rep, ok, err := w.incremental()
		if ok || err != nil {
			return rep, locate(dir, err)
		}
	}
	rep, err := w.run()
	return rep, locate(dir, err)
}

func openIn(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return segment.OpenIn(root, name)
}

// readSigned reads and verifies the checkpoint of dir, with the keys of its log, of which
// named is one. Errors are as readCheckpoint's.
func readSigned(dir *os.Root, named string) (c checkpoint, k *Keys, err error) {
	for range 2 { // a writer changes the keys first
		if k, err = readKeys(dir, named); err != nil {
			return c, k, err
		}
		if c, err = readCheckpoint(dir, k); err == nil {
			break
		}
	}
	return c, k, err
}

// readCheckpoint reads and verifies the checkpoint of dir. The error wraps
// os.ErrNotExist where there is no log at all.
func readCheckpoint(dir *os.Root, k *Keys) (checkpoint, error) {
	signed, err := readSmall(dir, checkpointName, maxCheckpoint)
	if errors.Is(err, os.ErrNotExist) {
		// A new log gets its first checkpoint before its first record.
		info, err := dir.Stat(segment.Current)
		if (errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0) && segment.Only(dir.Name()) {
			return checkpoint{}, fmt.Errorf("there is no audit log: %w", os.ErrNotExist)
		}
		return checkpoint{}, &BadRecord{File: checkpointName, Why: "is missing though the log has records"}
	}
	if err != nil {
		return checkpoint{}, err
	}
	c, err := openCheckpoint(signed, k)
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
	keys    *Keys
	signed  checkpoint
	replay  replay
	judging
	hashes *hashesCheck // nil where the file isn't there
	from   uint64       // so many records aren't read again
	agreed time.Time    // of the last record that a witnessed checkpoint covers
	path   string
	gaps   []GapReport
	aside  []Aside

	dropped []Dropped
	gap     Event // the log's first record, as one has it that dropped that; Seq 0 for none
}

// run judges the log. What its checkpoint doesn't cover may be on its way: so the
// checkpoint, and the witness before it, are read again for a while. No lock is asked,
// because anybody can hold one.
func (w *verification) run() (Report, error) {
	if err := w.replay.begin(); err != nil {
		return Report{}, w.replay.explain(w.dir, w.signed, w.keys, err)
	}
	return w.runFrom()
}

// runFrom is run where some records are known, and witnessed checkpoints of them passed.
func (w *verification) runFrom() (Report, error) {
	p := &w.replay
	w.from = p.tree.size
	if f, ok, err := openHashes(w.dir); err != nil {
		return Report{}, err
	} else if ok {
		defer f.Close()
		w.hashes = hashesFrom(f, p.tree.size)
	}
	r, err := w.open()
	if err != nil {
		return Report{}, err
	}
	defer func() {
		if r != nil {
			r.Close()
		}
	}()
	if err := w.judge(r); err != nil {
		return Report{}, err
	}
	more, err := w.more(r, nil)
	if err != nil {
		return Report{}, err
	}
	for patient := w.until(more.written); (more.any() || p.cut) && w.now().Before(patient); {
		w.sleep(growEvery)
		if err := w.readOn(); err != nil {
			return Report{}, err
		}
		if more.sealed { // where r is in the file isn't known
			r.Close()
			r, err = w.open()
		} else {
			err = r.Follow()
		}
		if err != nil {
			return Report{}, err
		}
		if err := w.judge(r); err != nil {
			return Report{}, err
		}
		if more, err = w.more(r, more); err != nil {
			return Report{}, err
		}
	}
	if more.sealed {
		return Report{}, badLine(w.signed.size+1, 0, "stands in a sealed segment, and no checkpoint covers it: it was added, or the checkpoint is an older one")
	}
	if err := p.judge(w.signed.size); err != nil {
		return Report{}, err
	}
	if k := p.since; p.since.judge(w.signed.size) != nil {
		return Report{}, &BadRecord{Line: 1, Through: k.known.Size, Why: "the checkpoint to go on from contradicts them: another history was signed"}
	}
	if err := w.changed(); err != nil {
		return Report{}, err
	}
	if err := w.strays(); err != nil {
		return Report{}, err
	}
	if err := w.heldHashes(); err != nil {
		return Report{}, err
	}
	rep := Report{Events: w.signed.size, Root: w.signed.root, Witnessed: p.agreed.size, Aside: w.aside, Absent: p.absent}
	rep.Keys = w.keys.Reports(w.signed.size)
	if rep.Dropped, err = w.lastDropped(); err != nil {
		return Report{}, err
	}
	if rep.Gaps, err = w.allGaps(); err != nil {
		return Report{}, err
	}
	if rep.Last, err = w.timeOf(w.signed.size, w.last); err != nil {
		return Report{}, err
	}
	rep.WitnessedAt = rep.Last
	if p.agreed.size != w.signed.size {
		if rep.WitnessedAt, err = w.timeOf(p.agreed.size, w.agreed); err != nil {
			return Report{}, err
		}
	}
	if w.o.Witness != "" && !w.o.Copies {
		rep.Where, rep.NoWitness = whereIs(w.o.Witness).String(), NoWitness(w.path, w.o.Witness)
	}
	if rep.WitnessCut, err = w.witnessCut(); err != nil {
		return Report{}, err
	}
	if more.any() {
		if rep.Uncovered, err = uncovered(io.NewSectionReader(more.file, more.from, more.end-more.from)); err != nil {
			return Report{}, err
		}
	}
	return rep, lookAfter(w.dir, rep.Aside)
}

// open reads the log from the first record that isn't judged yet.
func (w *verification) open() (*segment.Reader, error) {
	size := w.replay.tree.size
	r, err := openSegments(w.dir, size+1)
	if errors.Is(err, os.ErrNotExist) && w.signed.size > 0 {
		return nil, badLine(1, 0, "is missing: there is no such file, %d records were signed", w.signed.size)
	}
	if err != nil {
		return nil, err
	}
	if err := r.Pass(size); err != nil {
		r.Close()
		return nil, err
	}
	if _, w.file = r.File(); w.file > size {
		w.file = 0 // nothing of it is judged yet
	}
	return r, nil
}

// judge goes on to the record that the checkpoint covers.
func (w *verification) judge(r *segment.Reader) error {
	var store func(tlog.Hash)
	if w.hashes != nil {
		store = w.hashes.store
	}
	if err := w.replay.walk(w.dir, r, w.signed, judgeBlock, w.line, store); err != nil {
		return w.replay.explain(w.dir, w.signed, w.keys, err)
	}
	if w.misplaced != nil {
		return w.misplaced
	}
	return w.replay.finish(w.signed, w.keys)
}

// heldHashes refuses a file of hashes that isn't what sealed records give, which would prove
// nothing of them once they are moved away. Of the last segment a crash may leave others,
// and a file that ends too soon; a start makes those anew.
func (w *verification) heldHashes() error {
	if w.hashes == nil || w.hashes.wrong == 0 || w.hashes.wrong >= w.file {
		return nil
	}
	return &BadRecord{File: hashesName, Line: w.hashes.wrong, Why: fmt.Sprintf("isn't what the log's records give, from record %d on: it was changed", w.hashes.wrong)}
}

// strays refuses files that are called like segments and are none, and ones of the same
// segment that aren't the same.
func (w *verification) strays() error {
	names, err := segment.Stray(w.path, opens)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		err := segment.Twins(w.path, opens)
		var twin *segment.Differs
		if errors.As(err, &twin) {
			return &BadRecord{File: twin.File, Line: twin.Line, before: twin.First - 1, Why: twin.Why()}
		}
		return err
	}
	first, _ := segment.First(names[0])
	return &BadRecord{File: names[0], Line: first, before: first - 1, Why: "is in no segment of the log, whose last one begins before it: the file was added"}
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
