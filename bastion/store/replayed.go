package store

import (
	"time"

	"entry/audit"
)

// crashLag is how far apart what a crash leaves unsaid can be: a running server
// notes its log's position every ten seconds.
const crashLag = 30 * time.Second

// replayed is one of the logs.
type replayed struct {
	node    string
	past    *audit.Past    // nil for the log of this process
	end     audit.Position // how far it is known
	from    position
	known   bool // from is
	chained bool // the database knows a log before it
	applied map[string]int64

	marked      bool      // another database has had this log
	first, last time.Time // of the records that the database doesn't know of
	started     bool
	missed      bool // a start of a server is among them, and more than the start
	read        uint64
	unreadable  []uint64
}

// readPast goes through what the database may lack of a log before: it may be shorter
// than the database knows, or another, and can't be asked for more.
func (r *reconciling) readPast(l *replayed) error {
	if size := l.past.Size(); l.known && size > 0 && size <= l.from.done {
		l.end, l.read = l.from.Position, l.from.done
		return nil
	}
	if l.known && l.from.Size > 0 {
		at, ok, err := l.past.At(l.from.Size)
		if err != nil {
			return err
		}
		if ok && at != l.from.Position {
			l.from.done = 0 // its first records are others
		}
	}
	if err := r.read(l.past); err != nil || l.known {
		l.end = l.from.Position // what is known of it stays known
		return err
	}
	at, _, err := l.past.At(max(l.read, l.past.Size()))
	l.read, l.end = max(l.read, l.past.Size()), at
	return err
}

// unsaid notes a record that the database doesn't know of. What a start itself appends
// before it notes the log's position is none.
func (l *replayed) unsaid(e audit.Event) {
	switch e.Type {
	case audit.LogGap, audit.LogRecovered, audit.AlarmBehind:
		return
	case audit.ServerStarted, audit.PolicyLoaded: // together
	case audit.ServerStopped: // behind which the log's position is noted once more
		l.missed = true
	default:
		l.missed = l.missed || l.started
	}
	l.started = l.started || e.Type == audit.ServerStarted
	if l.first.IsZero() {
		l.first = e.Time
	}
	l.last = e.Time
}

// putBack tells whether the database is so much older than the log that it was put
// back, not left by a crash: a server's start was noted in it at once, and so was its end.
func (l *replayed) putBack() bool {
	if l.last.IsZero() {
		return false
	}
	return !l.known || l.missed || l.last.Sub(l.first) > crashLag
}
