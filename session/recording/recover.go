package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Aborted is a recording that ended without its final segment: a crash, a
// failed disk, a killed process.
type Aborted struct {
	ID       string
	Header   Header   // zero if the crash came before it was durable
	Segments uint32   // good ones
	Head     [32]byte // the hash of the chain up to there
	Why      string   // what stands behind them
}

// Recover finds the recordings that a crash left without final segment, and
// marks each with a durable file ID.aborted so that it is found only once.
// report, if not nil, is called for each before it is marked: a crash in
// between makes it come again rather than get lost. An error of report stops
// Recover. Nothing is repaired or removed. Call it at start-up, before Open.
func Recover(dir string, report func(Aborted) error) ([]Aborted, error) {
	var found []Aborted
	err := eachID(dir, func(id string) error {
		if _, err := readAborted(dir, id); err == nil {
			return nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			// A mark that a crash tore is written again.
			if err := os.Remove(dir + "/" + id + abortedExt); err != nil {
				return err
			}
		}
		a, size, ok, err := inspect(dir, id)
		if err != nil || !ok {
			return err
		}
		if report != nil {
			if err := report(a); err != nil {
				return err
			}
		}
		if err := a.mark(dir, size); err != nil {
			return err
		}
		found = append(found, a)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // no spool yet
	}
	if err != nil {
		return found, fmt.Errorf("recover recordings: %w", err)
	}
	return found, nil
}

// inspect reads one recording and reports whether it was aborted.
func inspect(dir, id string) (a Aborted, size int64, aborted bool, err error) {
	// The last segment alone tells a sealed recording, so that starting with
	// years of recordings doesn't read all of them.
	info, err := stat(dir, id)
	if err != nil || info.State == Complete || info.State == Live {
		return a, 0, false, err
	}
	f, err := openSpoolFile(dir, id, recExt)
	if err != nil {
		return a, 0, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return a, 0, false, err
	}
	a.ID = id
	w, h, _, err := walk(f, id)
	var bad *BadSegment
	if errors.As(err, &bad) {
		a.Why = bad.Why
		return a, st.Size(), true, nil
	}
	if err != nil {
		return a, 0, false, err
	}
	for err == nil {
		_, err = w.step()
	}
	a.Header, a.Segments, a.Head = h, w.next, w.head
	switch {
	case errors.Is(err, io.EOF):
		a.Why = "no final segment"
	case errors.Is(err, errTorn):
		a.Why = fmt.Sprintf("segment %d is torn, %d bytes", w.next, st.Size()-w.size)
	default:
		a.Why = fmt.Sprintf("segment %d: %s", w.next, err)
	}
	return a, st.Size(), true, nil
}

// mark writes ID.aborted.
func (a Aborted) mark(dir string, size int64) (err error) {
	b, err := json.Marshal(mark{
		Version: Version, ID: a.ID, Segments: a.Segments, Head: fmt.Sprintf("%x", a.Head), Size: size, Why: a.Why,
		Found: time.Now().UTC().Truncate(time.Second),
	})
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := root.OpenFile(a.ID+abortedExt, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(writeAll(f, append(b, '\n')), f.Sync(), f.Close()); err != nil {
		return err
	}
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
