//go:build linux

package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"entry/audit/segment"
)

// Drop ends a log at its beginning: the sealed segments all of whose records are older than
// a time, and than LeastKeep, are removed, in the log's folder and its archive, and the number
// of the last record that went is returned; 0 if none did. An event says so first, with the tree
// head over all that went (LogDropped): with that and the hashes, which stay, proofs of what is
// left hold, and a copy that turns up can be told from a forgery. It has the changes of the
// log's key that went, too, which else only the file keys would have, and the gap with which the log began. The segment that is
// written and the last sealed one stay.
//
// What isn't what was signed, in the hashes or in the records that are about to go, is
// mended first, as far as that can be while the records are here, and is put on record and
// an error else: nothing goes then, for it could never be told apart again.
//
// What a crash leaves of them goes with the next call. An archive that is a link out of the
// log's folder is left, and an error.
func (l *Log) Drop(ctx context.Context, before time.Time) (through uint64, err error) {
	firsts, err := segment.Sealed(l.path)
	if err != nil {
		return 0, fmt.Errorf("drop segments: %w", err)
	}
	if least := l.now().UTC().Add(-LeastKeep); before.After(least) {
		before = least
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
	at := l.Position()
	signed := checkpoint{at.Size, at.Root}
	head, err := l.sound(ctx, through, signed)
	if err != nil {
		note := Event{Type: LogRecovered, Reason: "not-dropped", Detail: fmt.Sprintf("records 1 to %d are older than the log is kept, and stay: %v", through, err)}
		return 0, errors.Join(fmt.Errorf("drop segments: %w", err), l.Append(ctx, note))
	}
	before = before.UTC()
	e := Event{Type: LogDropped, Count: int(through), Hash: hex.EncodeToString(head[:]), Until: &before, Rekeys: l.keys.Load().rekeys(through),
		Detail: fmt.Sprintf("records 1 to %d are older than %s, and are dropped", through, before.Format(time.DateOnly))}
	e.Gap = carryGap(l.path, l.keys.Load().First())
	if err := l.Append(ctx, ByActor(ctx, e)); err != nil {
		return 0, fmt.Errorf("drop segments: append %s: %w", LogDropped, err)
	}
	return through, segment.Drop(l.path, first)
}

// sound is the tree head over the first so many records, of those that c signs, once all
// hashes and these records are known to be what c signs.
func (l *Log) sound(ctx context.Context, through uint64, c checkpoint) (head tlog.Hash, err error) {
	if _, err := l.mendWrong(ctx, c); err != nil {
		return head, fmt.Errorf("the file %s can't be mended: %w", hashesName, err)
	}
	f, err := segment.OpenIn(l.dir, hashesName)
	if err != nil {
		return head, err
	}
	head, ok := storedHashes{f}.rootAt(through, c)
	if err := f.Close(); err != nil {
		return head, err
	}
	if !ok {
		return head, fmt.Errorf("the file %s doesn't prove them", hashesName)
	}
	r, err := openSegments(l.dir, 1)
	if err != nil {
		return head, err
	}
	defer r.Close()
	part, p := checkpoint{through, head}, replay{}
	err = p.walk(l.dir, r, part, judgeBlock, func(*block, int) error { return context.Cause(ctx) }, nil)
	if errors.Is(err, errRoot) {
		err = errors.New("they aren't the records that were signed")
	}
	return head, locate(l.path, err)
}
