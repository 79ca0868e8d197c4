//go:build linux

package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// commit makes a batch durable and the state its own. Any failure but a full
// disk is final: after a failed sync the kernel may have dropped the pages, so
// that a second try would succeed without the data being there.
func (l *Log) commit(now time.Time, batch []*request) error {
	if now.Before(l.last.Add(-maxStepBack)) || !plausible(now) {
		return fmt.Errorf("append audit event: %w: it is %s, the last event's time is %s",
			ErrClock, now.Format(time.RFC3339), l.last.Format(time.RFC3339))
	}
	t := l.tree
	l.turn = nil
	l.lines, l.stored = l.lines[:0], l.stored[:0]
	store := func(h tlog.Hash) { l.stored = append(l.stored, h[:]...) }
	batch, holds := l.begin(batch)
	begun := int64(0)
	for i, r := range batch {
		if r.rekey != nil {
			body, err := l.rekeyed(r.rekey, checkpoint{t.size, t.root()})
			if err != nil {
				return err
			}
			r.bodies = [][]byte{body}
		}
		for _, b := range r.bodies {
			start := len(l.lines)
			l.lines = appendHead(l.lines, t.size+1, now)
			l.lines = append(l.lines, b...)
			t.add(tlog.RecordHash(l.lines[start:]), store)
			l.lines = append(l.lines, '\n')
		}
		if i == 0 && holds {
			begun = int64(len(l.lines))
		}
	}
	err := l.persist(checkpoint{size: t.size, root: t.root()})
	if err == nil || errors.Is(err, errUnwitnessed) {
		if l.turn != nil {
			l.signer = l.turn.next
			l.keys.Store(l.turn.keys)
		}
		if l.events.content.Size() == int64(len(l.lines)) {
			l.began, l.opened = now, begun
		}
		l.carried.take(batch, now)
		l.tree, l.last = t, now
		l.position.Store(&Position{Size: t.size, Root: t.root()})
	}
	if l.turn != nil && err != nil && !errors.Is(err, errUnwitnessed) {
		err = l.turnBack(err)
	}
	if err == nil || errors.Is(err, ErrFull) {
		return err
	}
	return l.fail(err)
}

// persist writes the lines, then what vouches for them. The order matters to
// Open: a record that a checkpoint covers is on disk, and a checkpoint that is
// witnessed is in the log directory.
func (l *Log) persist(c checkpoint) error {
	if l.turn != nil {
		if err := l.keepKeys(l.turn.keys); err != nil {
			return l.unwritten("write the log's keys", err)
		}
	}
	if err := l.disk.write(l.events.File, l.lines); err != nil {
		return l.unwritten("write events", err)
	}
	if err := l.disk.sync(l.events.File, true); err != nil {
		return fmt.Errorf("sync events: %w", err)
	}
	if err := l.disk.write(l.hashes.File, l.stored); err != nil { // a cache: not synced
		return l.unwritten("write hashes", err)
	}
	return l.publish(c)
}

// unwritten is what becomes of a batch that wasn't all written.
func (l *Log) unwritten(what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	if noSpace(err) {
		return l.undo(err)
	}
	return err
}

// errUnwitnessed is ErrFull for events that are in the log already.
var errUnwitnessed = fmt.Errorf("%w: the witness's disk is full", ErrFull)

// publish signs c, puts it in place of the checkpoint before and adds it to the
// witness.
func (l *Log) publish(c checkpoint) error {
	by := l.signer
	if l.turn != nil {
		by = l.turn.next
	}
	signed, err := c.sign(by)
	if err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	f, err := l.replace(checkpointTemp, checkpointName, func(f *os.File) error { return l.disk.write(f, signed) })
	if err != nil {
		return l.unwritten("checkpoint", err)
	}
	l.events.content.Wrote(l.lines)
	l.hashes.content.Wrote(l.stored)
	if l.checkpoint.File != nil {
		_ = l.checkpoint.Close() // it was only held
	}
	if !l.spared {
		l.keepSpare()
	}
	if l.checkpoint, err = keep(f, filepath.Join(l.path, checkpointName)); err != nil {
		return err
	}
	l.hands.fill(l.parent)
	if err := l.disk.sync(l.parent, false); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if l.witness == nil {
		return nil
	}
	return l.witness.add(signed)
}
