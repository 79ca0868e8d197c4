//go:build linux

package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"entry/audit/segment"
)

// takeUp finds the state of the log from its last lines alone, or, where those don't lead
// to what is signed from what the file of hashes says of the records before them, from the
// whole log.
func (l *Log) takeUp(f *found, k *Keys) error {
	from := uint64(1)
	if f.signed.size > 0 {
		r, err := openSegments(l.dir, f.signed.size)
		if errors.Is(err, os.ErrNotExist) {
			return badLine(1, 0, "is missing: there is no such file, %d records were signed; if it was rotated, put it back", f.signed.size)
		}
		if err != nil {
			return err
		}
		from = r.N() + 1
		r.Close()
	}
	if from > 1 {
		if ok, err := l.takeUpFrom(from, f, k); ok || err != nil {
			return err
		}
	}
	r := &f.replay
	if l.witness != nil {
		r.witness = newWitnessReader(io.NewSectionReader(l.witness.File, 0, math.MaxInt64), k.Name())
	}
	err := r.begin()
	if err == nil {
		err = l.replayFrom(1, f, r)
	}
	if err != nil {
		return r.explain(l.dir, f.signed, k, err)
	}
	return r.finish(f.signed, k)
}

// takeUpFrom is takeUp from the segment that begins with record from. ok is false where
// the whole log is to be read.
func (l *Log) takeUpFrom(from uint64, f *found, k *Keys) (ok bool, err error) {
	r := f.replay
	var w io.ReaderAt
	end := int64(0)
	if l.witness != nil {
		info, err := l.witness.Stat()
		if err != nil {
			return false, err
		}
		w, end = l.witness.File, info.Size()
	}
	if ok, err := r.from(from-1, l.hashes, f.signed, w, end, k.Name()); !ok {
		return false, err
	}
	was := *f
	if err = l.replayFrom(from, f, &r); err == nil {
		err = r.finish(f.signed, k)
	}
	if err == nil && r.judge(f.signed.size) == nil {
		f.replay = r
		return true, nil
	}
	*f = was
	return false, badAsNot(err)
}

// replayFrom reads the records from from on, with which a segment begins, up to the one
// that the checkpoint covers. They are vouched for by the root; few are parsed.
func (l *Log) replayFrom(from uint64, f *found, p *replay) error {
	f.holds = l.holdsSoFar(from)
	if f.signed.size == 0 {
		f.first = 1
		return nil
	}
	f.wrongHashes = from
	s, away := scanner{types: HoldTypes, whole: true, seen: map[string]string{}}, len(p.absent)
	r, err := openSegments(l.dir, from)
	if err != nil {
		return err
	}
	defer r.Close()
	same := hashesFrom(l.hashes, from-1)
	err = p.walk(l.dir, r, f.signed, nil, func(b *block, i int) error {
		n := b.first + uint64(i)
		for ; away < len(p.absent); away++ {
			f.holds.Gone(p.absent[away], true)
		}
		if e, wanted, err := s.event(b.line(i)); err == nil && wanted { // the root says whether it is true
			f.holds.Take(e)
		}
		if b.begins[i] {
			f.first, f.sealed = n, checkpoint{n - 1, p.tree.root()}
		}
		if n != f.first && n != f.signed.size {
			return nil
		}
		e, _, err := decode(b.line(i), nil)
		if err != nil {
			return badLine(n, 0, "%s", err)
		}
		f.last = e.Time
		if b.begins[i] {
			// Else the log would go on, and sign, behind a segment that somebody made of it.
			if bad := noBeginning(n, e); bad != nil {
				return bad
			}
			f.began = e.Time
		}
		return nil
	}, same.store)
	if err != nil {
		return err
	}
	if same.wrong == 0 && !same.short {
		f.wrongHashes = 0
	}
	current := r.Last()
	_, f.end, err = r.Rest()
	switch {
	case errors.Is(err, segment.ErrBeyond):
		return badLine(f.signed.size+1, 0, "stands in a sealed segment, and no checkpoint covers it: it was added, or the checkpoint is an older one")
	case err != nil:
		return err
	case !current: // a crash came before the segment had a line that was signed
		f.before, f.first, f.end, f.sealed = f.first, f.signed.size+1, 0, f.signed
	}
	return nil
}

// mendHashes writes the file of hashes anew from record from on, where that isn't 0, and
// takes away what it has of records that aren't in the log.
func (l *Log) mendHashes(from uint64, signed checkpoint) error {
	switch {
	case from == 1:
		if err := l.rebuildHashes(signed); err != nil {
			return err
		}
	case from > 1: // what is before is proven
		if err := l.hashes.Truncate(hashesSize(from - 1)); err != nil {
			return err
		}
		w := bufio.NewWriterSize(l.hashes, 64<<10)
		if err := l.hashesOf(from, signed, w); err != nil {
			return err
		}
	}
	return l.hashes.Truncate(hashesSize(signed.size))
}

// rebuildHashes writes the whole file of hashes anew.
func (l *Log) rebuildHashes(signed checkpoint) error {
	f, err := l.replace(hashesTemp, hashesName, func(f *os.File) error {
		return l.hashesOf(1, signed, bufio.NewWriterSize(f, 64<<10))
	})
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), l.disk.sync(l.parent, false)); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	_ = l.hashes.Close() // the file that was replaced
	l.hashes.File, err = l.dir.OpenFile(hashesName, os.O_RDWR|os.O_APPEND, 0o600)
	return err
}

// hashesOf writes to w the hashes that the records from from on store.
func (l *Log) hashesOf(from uint64, signed checkpoint, w *bufio.Writer) error {
	if signed.size == 0 {
		return nil
	}
	t, err := storedHashes{l.hashes}.edge(from - 1)
	if err != nil {
		return err
	}
	r, err := openSegments(l.dir, from)
	if err != nil {
		return err
	}
	defer r.Close()
	again := replay{tree: t}
	err = again.walk(l.dir, r, signed, nil, func(*block, int) error { return nil }, func(h tlog.Hash) {
		_, _ = w.Write(h[:]) // the error stays with w until Flush
	})
	return errors.Join(err, w.Flush())
}
