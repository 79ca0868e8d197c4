//go:build linux

package audit

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"entry/audit/names"
	"entry/audit/segment"
	"entry/session/group"
)

// What the file of hashes has of sealed segments is written once and read for years, and a
// start trusts it no further than the signed root proves. So it is looked through after a
// start, beside the writer: what isn't right is made anew while the records are here.

// patch is a hash that the file hasn't got right, and where.
type patch struct {
	at   int64
	hash tlog.Hash
}

// mending is what the writer is to write.
type mending struct {
	wrong []patch
	done  chan error // buffered: the writer waits for nobody
}

// maxPatches bounds how many are mended at a start.
const maxPatches = 64 << 10

// onceUsed does something on a goroutine that ends with Close, once the log has taken an
// event: what a start finds is as it found it.
func (l *Log) onceUsed(name string, do func(ctx context.Context)) {
	l.tending.Go(name, func() {
		ctx := l.tending.Context()
		select {
		case <-l.used:
			do(ctx)
		case <-ctx.Done():
		}
	})
}

// tend looks after what the file has of the records of the sealed segments, whose root is
// c's, once the log has taken an event, on a goroutine that ends with Close. It puts on record what it mends and can't.
func (l *Log) tend(c checkpoint) {
	l.tending = group.New(context.Background(), nil)
	if c.size == 0 {
		return
	}
	l.onceUsed("looking through the audit log's hashes", func(ctx context.Context) {
		_, err := l.mendWrong(ctx, c)
		if ctx.Err() != nil || err == nil {
			return
		}
		note := Event{Type: LogRecovered, Reason: "hashes-wrong", Detail: fmt.Sprintf("the file %s can't be mended: %v", hashesName, err)}
		_ = l.Append(ctx, note) // the log says itself if it fails
	})
}

// mendWrong makes anew what the file hasn't got right of the records that c signs, puts that on
// record, and returns how many hashes that were.
func (l *Log) mendWrong(ctx context.Context, c checkpoint) (n int, err error) {
	wrong, err := l.wrongHashes(ctx, c)
	if err != nil || len(wrong) == 0 {
		return 0, errors.Join(err, context.Cause(ctx))
	}
	m := mending{wrong, make(chan error, 1)}
	select {
	case l.mend <- m:
		err = <-m.done
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return 0, err
	}
	_ = l.Append(ctx, Event{Type: LogRecovered, Reason: "hashes-mended", // the log says itself if it fails
		Detail: fmt.Sprintf("of the hashes in the file %s %d weren't those of the log's records, and were written anew", hashesName, len(wrong))})
	return len(wrong), nil
}

// wrongHashes are those that the file hasn't got right, or the first of them.
func (l *Log) wrongHashes(ctx context.Context, c checkpoint) (wrong []patch, err error) {
	f, err := segment.OpenIn(l.dir, hashesName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	same, leaves, t := hashesFrom(f, 0), leavesFrom(f, 1), tree{}
	for t.size < c.size && ctx.Err() == nil {
		leaf, ok := leaves.next()
		if !ok {
			break
		}
		t.add(leaf, same.store)
	}
	if ctx.Err() != nil || t.size == c.size && t.root() == c.root && same.wrong == 0 {
		return nil, nil
	}
	r, err := openSegments(l.dir, 1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	same = hashesFrom(f, 0)
	at := int64(0)
	var p replay
	err = p.walk(l.dir, r, c, nil, func(*block, int) error {
		if len(wrong) >= maxPatches {
			return errSwept
		}
		return context.Cause(ctx)
	}, func(h tlog.Hash) {
		if same.differs(h) {
			wrong = append(wrong, patch{at, h})
		}
		at += tlog.HashSize
	})
	if err != nil && !errors.Is(err, errSwept) {
		return nil, locate(l.path, p.explain(l.dir, c, l.keys.Load(), err))
	}
	return wrong, nil
}

// writeOver writes hashes anew, in the file that the writer has open.
func (l *Log) writeOver(wrong []patch) error {
	if l.watch(); isClosed(l.failed) {
		return l.err
	}
	f, err := l.dir.OpenFile(hashesName, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, p := range wrong {
		if _, werr := f.WriteAt(p.hash[:], p.at); werr != nil {
			err = werr
			break
		}
	}
	err = errors.Join(err, f.Sync(), f.Close())
	content, cerr := names.ContentOf(l.hashes.File, l.hashes.content.Size())
	if cerr == nil {
		l.hashes.content = content
	}
	return errors.Join(err, cerr)
}
