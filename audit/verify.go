package audit

import (
	"errors"
	"fmt"
	"io"
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
	// Growing accepts lines that no checkpoint covers at the end, for a copy
	// that was taken (checkpoint first) while the server wrote. Without it they
	// are accepted only while a live writer holds the directory's lock.
	Growing bool
}

// Report says what Verify found to hold.
type Report struct {
	Events      uint64    // records that the checkpoint covers, all consistent
	Last        time.Time // of the last of them
	Witnessed   uint64    // the first so many are covered by a witnessed checkpoint
	WitnessedAt time.Time // of the last witnessed record
	Unsigned    int64     // bytes beyond the checkpoint, not judged

	// Gaps are there where the log begins anew after one that can't go on: what that
	// had beyond its copy is lost, and so on for those before it, the first first. Who
	// verifies decides whether each is accepted.
	Gaps []GapReport
}

// String states the result in one line and no more than is known.
func (r Report) String() string {
	s := fmt.Sprintf("%d events consistent", r.Events)
	switch {
	case r.Witnessed == 0:
		s += "; not witnessed"
	case r.Witnessed < r.Events:
		s += fmt.Sprintf("; not witnessed since seq %d (%s)", r.Witnessed, plain.Time(r.WitnessedAt))
	default:
		s += fmt.Sprintf("; witnessed up to seq %d (%s)", r.Witnessed, plain.Time(r.WitnessedAt))
	}
	if r.Unsigned > 0 {
		s += fmt.Sprintf("; %d bytes after them are not signed yet and were not judged", r.Unsigned)
	}
	return s
}

// Verify recomputes the log in dir from its lines and holds it against the
// checkpoint, the public key and every witnessed checkpoint: form of each line,
// sequence, time (no step back over 60 s) and tree. It changes nothing and may
// run beside a writer; it judges what the checkpoint covered when it began.
//
// The error for a log that isn't what was written is a *BadRecord that names
// the first bad record. Lines beyond the checkpoint are bad too, unless a
// writer is at work (see VerifyOptions.Growing): until the next start has
// signed and reported them, nobody vouches for them.
func Verify(dir string, o VerifyOptions) (Report, error) {
	v, err := note.NewVerifier(strings.TrimSpace(o.PublicKey))
	if err != nil {
		return Report{}, errors.New("verify audit log: malformed public key")
	}
	rep, err := verify(dir, o, v)
	for range 3 { // a writer that ended in between has signed what was beyond the checkpoint
		if !errors.Is(err, errMoved) {
			break
		}
		rep, err = verify(dir, o, v)
	}
	if err != nil {
		return Report{}, fmt.Errorf("verify audit log %s: %w", dir, err)
	}
	return rep, nil
}

// maxStepBack is how far the clock may step back between two events: NTP
// corrections stay below it, a clock set wrong doesn't.
const maxStepBack = 60 * time.Second

// errMoved says that the checkpoint advanced while it was being verified.
var errMoved = errors.New("the log changed while it was read")

func verify(dir string, o VerifyOptions, v note.Verifier) (Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, err
	}
	defer root.Close()
	// A writer syncs events, then the checkpoint, then the witness. Reading in
	// the opposite order finds each covered by the next.
	w := &verification{dir: root, path: dir, o: o, v: v}
	if o.Witness != "" {
		f, size, err := openSized(o.Witness, witnessName)
		if errors.Is(err, os.ErrNotExist) {
			return Report{}, fmt.Errorf("the witness directory %s has no file %s: a server that starts makes it; one that was there was taken away, or another directory is meant", o.Witness, witnessName)
		}
		if err != nil {
			return Report{}, fmt.Errorf("open witness directory: %w", err)
		}
		defer f.Close()
		w.replay.witness = newWitnessReader(io.LimitReader(f, size), v.Name())
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

func openSized(dir, name string) (*os.File, int64, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close() // only read
		return nil, 0, err
	}
	return f, info.Size(), nil
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
	dir    *os.Root
	o      VerifyOptions
	v      note.Verifier
	signed checkpoint
	replay replay
	order  order
	agreed time.Time // of the last record that a witnessed checkpoint covers
	path   string
	gaps   []GapReport
}

func (w *verification) run(events *os.File) (Report, error) {
	lines := newLineReader(events)
	p := &w.replay
	err := p.begin()
	if err == nil {
		err = p.walk(lines, w.signed, w.line, nil)
	}
	if err != nil {
		return Report{}, p.explain(w.dir, w.signed, w.v, err)
	}
	if err := p.finish(w.signed, w.v); err != nil {
		return Report{}, err
	}
	rep := Report{Events: w.signed.size, Last: w.order.last, Witnessed: p.agreed.size, WitnessedAt: w.agreed, Gaps: w.gaps}
	if p.agreed.size == w.signed.size {
		rep.WitnessedAt = rep.Last
	}
	if p.cut && !w.growing() {
		return Report{}, &BadRecord{File: witnessName, Line: p.witness.last.number + 1, Why: errWitnessCut.Error()}
	}
	rep.Unsigned, err = w.rest(events, lines)
	return rep, err
}

// line judges a line by itself and by the one before it.
func (w *verification) line(n uint64, line []byte) error {
	if w.replay.agreed.size == n-1 {
		w.agreed = w.order.last
	}
	if err := w.order.next(n, line); err != nil {
		return err
	}
	if n != 1 {
		return nil
	}
	e, _, err := decode(line, nil)
	if err == nil {
		var own *GapReport
		own, err = gapOf(e, strings.TrimSpace(w.o.PublicKey))
		w.gaps = gaps(w.path, own, e.Gap)
	}
	if err != nil {
		return badLine(n, n, "%s", err)
	}
	return nil
}

// rest judges what follows the lines that the checkpoint covers.
func (w *verification) rest(events *os.File, lines *lineReader) (int64, error) {
	info, err := events.Stat()
	if err != nil {
		return 0, err
	}
	rest := info.Size() - lines.off
	if rest == 0 || w.growing() {
		return rest, nil
	}
	if c, err := readCheckpoint(w.dir, w.v); err == nil && c.size > w.signed.size {
		return 0, errMoved
	}
	n := w.signed.size + 1
	line, err := lines.next()
	if err != nil {
		return 0, badLine(n, 0, "%s, and no checkpoint covers it", err)
	}
	if err := w.order.next(n, line); err != nil {
		return 0, err
	}
	return 0, badLine(n, n, "is covered by no checkpoint: a crash left it (the next start signs and reports it), or somebody added it")
}

func (w *verification) growing() bool { return w.o.Growing || written(w.dir) }

// order checks that each line follows from the one before it.
type order struct {
	last time.Time
	buf  []byte
}

func (o *order) next(n uint64, line []byte) error {
	e, buf, err := decode(line, o.buf)
	o.buf = buf
	switch {
	case err != nil:
		return badLine(n, statedSeq(line), "%s", err)
	case e.Seq > n:
		return badLine(n, e.Seq, "stands where seq %d belongs: records are missing before it", n)
	case e.Seq < n:
		return badLine(n, e.Seq, "stands where seq %d belongs: it is repeated or out of order", n)
	case e.Time.Before(o.last.Add(-maxStepBack)):
		return &BadRecord{File: eventsName, Line: n, Seq: e.Seq, Why: errBack.Error(), err: errBack}
	}
	o.last = e.Time
	return nil
}
