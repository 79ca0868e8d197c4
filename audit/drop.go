//go:build linux

package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"entry/audit/segment"
)

// Drop ends a log at its beginning: the sealed segments all of whose records are older than
// a time are removed, in the log's folder and its archive, and the number of the last record
// that went is returned; 0 if none did. An event says so first, with the tree head over all
// that went (LogDropped): with that and the hashes, which stay, proofs of what is left hold,
// and a copy that turns up can be told from a forgery. The segment that is written and the
// last sealed one stay.
//
// What a crash leaves of them goes with the next call. An archive that is a link out of the
// log's folder is left, and an error.
func (l *Log) Drop(ctx context.Context, before time.Time) (through uint64, err error) {
	firsts, err := segment.Sealed(l.path)
	if err != nil {
		return 0, fmt.Errorf("drop segments: %w", err)
	}
	first := uint64(0) // with which the log begins then
	for _, next := range firsts[min(1, len(firsts)):] {
		e, err := EventAt(l.path, next)
		if err != nil {
			return 0, fmt.Errorf("drop segments: %w", err)
		}
		if !e.Time.Before(before) {
			break
		}
		first = next
	}
	if first == 0 {
		return 0, nil
	}
	through = first - 1
	head, err := headAt(l.path, through)
	if err != nil {
		return 0, fmt.Errorf("drop segments: %w", err)
	}
	if err := l.Append(ctx, ByActor(ctx, Event{Type: LogDropped, Count: int(through), Hash: hex.EncodeToString(head[:]),
		Detail: fmt.Sprintf("records 1 to %d are older than %s, and are dropped", through, before.UTC().Format(time.DateOnly))})); err != nil {
		return 0, fmt.Errorf("drop segments: append %s: %w", LogDropped, err)
	}
	return through, segment.Drop(l.path, first)
}

// headAt is the tree head over the first so many records, by the hashes that the log keeps.
func headAt(dir string, size uint64) (head [32]byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return head, err
	}
	defer root.Close()
	f, ok, err := openHashes(root)
	if err != nil || !ok {
		return head, errors.Join(errors.New("the log's hashes aren't there"), err)
	}
	defer f.Close()
	t, err := storedHashes{f}.edge(size)
	return t.root(), err
}
