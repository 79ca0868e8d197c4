//go:build linux

package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"entry/audit/segment"
)

// Options are Open's.
type Options struct {
	// Key is the signing key, as GenerateKey returns it; or Signer signs with one that
	// is kept elsewhere. One of the two is required.
	Key    string
	Signer Signer
	// Witness is a second directory that keeps every checkpoint, best on
	// another disk or host. Empty means none. While it is set, an error from it
	// makes Append fail: a log that claims to be witnessed is.
	Witness string
	// Reserve is how many bytes are to stay free on the log's disk and on the
	// witness's: see Space. Zero means none.
	Reserve int64
	// Segment is how large a segment gets, in bytes, give or take a batch, before it is
	// sealed and the next one begins. Zero means 64 MiB. Another day (UTC) begins one anyway.
	Segment int64
	// Known returns what a database knows of the log of this name, so that an older
	// state of the log isn't opened; zero for nothing. It is called once nobody else
	// writes the log. Nil means that there is no database.
	Known func(name string) (Position, error)
	// Renamed tells whether the database knows the log of this name by another one: its key's
	// before that was changed. It is for where what Open has of changes could be too little.
	Renamed func(name string) (bool, error)
	// Now is the wall clock. Nil means time.Now.
	Now func() time.Time
}

// Signer signs a log's checkpoints with a key that this process doesn't have. An error
// of its Sign ends the log.
type Signer interface {
	note.Signer
	// PublicKey is the verifier key that belongs to it, in its text form.
	PublicKey() string
}

// Open opens the log in dir for writing, and makes it if dir holds none. It reads
// the last segment, and takes what comes before from the file of hashes, as far as the
// signed root proves it; where that isn't so, it reads the whole log. It refuses, with an
// error that wraps *BadRecord, a log that contradicts its checkpoint, the last one that
// was witnessed or one of the last segment, one whose checkpoint is gone,
// and one that is older than its witness. One that is older than the database, or isn't
// the one that it knows, is a *Behind; a directory in which nothing of a log is, though
// one was, a *Nowhere, and nothing is made. It returns ErrLocked while another
// writer has the directory, and ErrClock as Append does.
//
// What follows the lines that the checkpoint covers was never acknowledged, whether a
// crash left it there or somebody wrote it: it is moved to a file aside.HASH beside the
// log and never becomes a part of it. That, and any repair of the witness, is reported
// by an event log.recovered before Open returns.
func Open(dir string, o Options) (*Log, error) { return open(dir, o, realDisk{}) }

func open(dir string, o Options, d disk) (_ *Log, err error) {
	l := &Log{disk: d, reserve: o.Reserve, most: o.Segment}
	if l.most == 0 {
		l.most = segmentSize
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open audit log %s: %w", dir, locate(dir, err))
			l.release()
		}
	}()
	named, err := l.identify(o, dir)
	if err != nil {
		return nil, err
	}
	if none, _ := bare(dir); none { // so that a log which is elsewhere doesn't begin here
		var nowhere *Nowhere
		if s, err := Inspect(dir, o); err == nil {
			_ = s.Close() // only read
		} else if errors.As(err, &nowhere) {
			return nil, nowhere
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if l.dir, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	if l.parent, err = l.dir.Open("."); err != nil {
		return nil, err
	}
	if l.locked.File, err = lock(l.dir); err != nil {
		return nil, err
	}
	found, err := l.inspect(o, named)
	if err != nil {
		return nil, err
	}
	if err := l.onTime(found.last); err != nil {
		return nil, err
	}
	if err := l.repair(found); err != nil {
		return nil, err
	}
	l.tree, l.last = found.replay.tree, found.last
	l.first, l.before, l.began = found.first, found.before, found.began
	l.position.Store(&Position{Size: l.tree.size, Root: l.tree.root()})
	if err := l.keepAll(found.fresh); err != nil {
		return nil, err
	}
	if found.fresh {
		// From now on a log without a checkpoint is one that lost it.
		if err := l.publish(checkpoint{root: l.tree.root()}); err != nil {
			return nil, err
		}
	}
	names, aside, err := l.unreported()
	if err != nil {
		return nil, err
	}
	l.carried = carried{holds: found.holds, known: len(found.holds.Unheard()) == 0}
	at := l.Position()
	l.start()
	l.tend(found.sealed)
	l.hearHolds(at)
	if notes := append(found.notes, aside...); len(notes) > 0 {
		err = l.Append(context.Background(), notes...)
		if err == nil {
			err = l.reported(names, aside)
		}
		if err != nil {
			_ = l.Close() // the same error; closing the files twice is harmless
			return nil, err
		}
	}
	return l, nil
}

// identify takes what the options say of the log in dir: its key, its clock.
func (l *Log) identify(o Options, dir string) (named string, err error) {
	if l.now = o.Now; l.now == nil {
		l.now = time.Now
	}
	if l.signer = o.Signer; o.Signer != nil {
		named = strings.TrimSpace(o.Signer.PublicKey())
	} else {
		key := strings.TrimSpace(o.Key)
		if l.signer, err = note.NewSigner(key); err != nil {
			return "", errors.New("malformed signing key") // x/mod's error holds no key, but need not be trusted with that
		}
		named, err = PublicOf(key)
	}
	if err == nil {
		l.path, err = filepath.Abs(dir)
	}
	return named, err
}

// onTime refuses a clock that is behind the last event.
func (l *Log) onTime(last time.Time) error {
	if l.now().Before(last.Add(-maxStepBack)) {
		return fmt.Errorf("%w: it is %s, the last event's time is %s", ErrClock,
			l.now().UTC().Format(time.RFC3339), last.Format(time.RFC3339))
	}
	return nil
}

// found is what a start finds on disk, and what it has to do about it.
type found struct {
	fresh       bool
	signed      checkpoint
	replay      replay
	last        time.Time  // of the last event
	first       uint64     // record of the last segment
	sealed      checkpoint // what is before that
	before      uint64     // likewise of the one before, where the last has no record yet
	began       time.Time  // of the first event of the last segment that has one
	end         int64      // where in the last segment the lines end that the checkpoint covers
	size        int64      // of the last segment's file
	wrongHashes uint64     // the first record from which on the file of hashes isn't right; 0 for none
	wrongKeys   bool       // the file of keys isn't what it has to be
	witnessEnd  int64      // end of the last whole entry of the witness
	holds       Holds      // that stand, as far as the last segment says
	notes       []Event
}

func (f *found) note(reason, format string, a ...any) {
	f.notes = append(f.notes, Event{Type: LogRecovered, Reason: reason, Detail: fmt.Sprintf(format, a...)})
}

// openFile opens a file of dir to be read and appended to, or, where nothing may be
// changed, only to be read: then one that would be made is an empty one elsewhere.
func (l *Log) openFile(dir *os.Root, name string, flags int) (*os.File, error) {
	if !l.still {
		return dir.OpenFile(name, os.O_RDWR|os.O_APPEND|flags, 0o600)
	}
	f, err := segment.OpenIn(dir, name)
	if errors.Is(err, os.ErrNotExist) && flags&os.O_CREATE != 0 {
		return os.Open(os.DevNull)
	}
	return f, err
}

// inspect reads everything and changes nothing but to create empty files.
func (l *Log) inspect(o Options, named string) (_ *found, err error) {
	f := &found{}
	k, err := l.takeKeys(o, named, f)
	if err != nil {
		return nil, err
	}
	switch f.signed, err = readCheckpoint(l.dir, k); {
	case errors.Is(err, os.ErrNotExist):
		f.fresh = true
		f.signed.root = f.replay.tree.root()
	case err != nil:
		return nil, err
	}
	if k, err = l.inForce(k, named, f); err != nil {
		return nil, err
	}
	started := false
	if o.Witness != "" {
		if l.witness, started, err = l.openWitness(o.Witness, f.fresh); err != nil {
			return nil, fmt.Errorf("open witness directory: %w", err)
		}
		f.replay.witness = newWitnessReader(l.witness.File, k.Name())
	}
	if l.hashes.File, err = l.openFile(l.dir, hashesName, os.O_CREATE); err != nil {
		return nil, err
	}
	if err := l.takeUp(f, k); err != nil {
		return nil, err
	}
	if err := f.replay.judge(f.signed.size); err != nil {
		return nil, err
	}
	// Where a segment was sealed and a crash came, there may be no next one yet.
	if l.events.File, err = l.openFile(l.dir, eventsName, os.O_CREATE); err != nil {
		return nil, err
	}
	info, err := l.events.Stat()
	if err != nil {
		return nil, err
	}
	f.size = info.Size()
	if w := f.replay.witness; w != nil {
		f.witnessEnd = w.off
		switch {
		case f.replay.cut:
			f.note("witness-cut", "the witness directory's last checkpoint was incomplete and was cut away")
		case started && !f.fresh:
			f.note("witness-started", "the witness directory held no checkpoint; witnessed from here on")
		case w.last.size < f.signed.size:
			f.note("witness-behind", "the witness directory covered %d of %d signed records", w.last.size, f.signed.size)
		}
	}
	return f, nil
}

// repair brings the files to the state that was found to be right.
func (l *Log) repair(f *found) error {
	if f.size > f.end {
		if err := l.setAside(f.end, f.size); err != nil {
			return fmt.Errorf("set aside what no checkpoint covers: %w", err)
		}
	}
	if err := l.disk.sync(l.events.File, true); err != nil {
		return fmt.Errorf("sync events: %w", err)
	}
	if err := l.mendHashes(f.wrongHashes, f.signed); err != nil {
		return fmt.Errorf("mend hashes: %w", err)
	}
	if f.wrongKeys {
		if err := l.keepKeys(l.keys.Load()); err != nil {
			return fmt.Errorf("mend the file of the log's keys: %w", err)
		}
	}
	if f.replay.cut {
		if err := l.witness.File.Truncate(f.witnessEnd); err != nil {
			return fmt.Errorf("cut witness: %w", err)
		}
	}
	return nil
}
