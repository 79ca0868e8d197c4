package witness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	format "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"entry/audit/names"
)

// A cosigned checkpoint covers all before it, so old ones only tell between which two
// hours a log was changed: of those older than recent one an hour is kept. A server with
// three witnesses that is never idle adds 10 MB a day, and keeps 5 MB of a year.
const (
	recent = 24 * time.Hour
	apart  = time.Hour
	thinAt = 16 << 20 // bytes; below that nothing is gained
)

// thinIfLong makes the file shorter once it is long: at now, by the server's clock. It
// is the same file, whole, for whoever reads it meanwhile and after a crash.
func (k *keptFile) thinIfLong(now time.Time) error {
	if k.size < k.long {
		return nil
	}
	err := k.thin(now)
	k.long = k.size + thinAt // also where it failed
	if err != nil {
		return fmt.Errorf("thin %s: %w", CosignedName, err)
	}
	return nil
}

func (k *keptFile) thin(now time.Time) error {
	last, err := k.newestOfEach()
	if err != nil {
		return err
	}
	temp := k.path + ".new"
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	size, err := k.copyTo(f, now.Add(-recent), last)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, k.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(temp))
	}
	_ = k.Close() // every entry was synced
	k.File, k.size = f, size
	return names.Sync(filepath.Dir(k.path))
}

// entries calls f with the whole entries and when each was cosigned: zero where that
// can't be told.
func (k *keptFile) entries(f func(e entry, by []note.Signature, at time.Time) error) error {
	return each(io.NewSectionReader(k, 0, k.size), func(e entry) error {
		sigs, ok := e.signatures()
		if !ok {
			return f(e, nil, time.Time{}) // left for who verifies
		}
		var at time.Time
		for _, s := range sigs[1:] { // the first one is the log's
			if t, err := format.CoSigV1Timestamp(s); err == nil && t.After(at) {
				at = t
			}
		}
		return f(e, sigs, at)
	})
}

// signer tells keys apart, without their being known.
type signer struct {
	name string
	hash uint32
}

// newestOfEach is the number of each witness's newest entry: that says up to where it
// vouches, however long ago.
func (k *keptFile) newestOfEach() (map[uint64]bool, error) {
	newest := map[signer]uint64{}
	err := k.entries(func(e entry, by []note.Signature, _ time.Time) error {
		for _, s := range by {
			newest[signer{s.Name, s.Hash}] = e.number
		}
		return nil
	})
	keep := map[uint64]bool{}
	for _, n := range newest {
		keep[n] = true
	}
	return keep, err
}

// copyTo writes what is kept, all from the time all on, and returns how much that is.
func (k *keptFile) copyTo(f io.Writer, all time.Time, keep map[uint64]bool) (size int64, err error) {
	w := bufio.NewWriter(f)
	var before time.Time // of the last one that was kept
	err = k.entries(func(e entry, _ []note.Signature, at time.Time) error {
		if !at.IsZero() && at.Before(all) && at.Sub(before) < apart && !keep[e.number] {
			return nil
		}
		before = at
		n, err := w.Write(e.signed())
		size += int64(n)
		return err
	})
	return size, errors.Join(err, w.Flush())
}
