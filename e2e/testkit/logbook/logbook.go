// Package logbook is an audit log in memory, which tests read, wait for and
// break. It keeps events as they were appended: what is on disk, and whether it
// verifies, is the concern of package audit's own tests.
package logbook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"entry/audit"
	"entry/e2e/testkit"
)

// ErrFull is what Append returns for an event that the log was told to refuse.
var ErrFull = errors.New("no space left on device")

// Log takes the place of an *audit.Log. Its zero value is an empty one. It is
// safe for concurrent use.
type Log struct {
	mu     sync.Mutex
	events []audit.Event
	refuse func(audit.Event) bool
	before func(audit.Event)
	broken error
	failed chan struct{}
}

// Refuse makes Append fail for the events for which f holds, until it is called
// with nil.
func (l *Log) Refuse(f func(audit.Event) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = f
}

// Break makes Append fail with err, whatever the event, until it is called with
// nil.
func (l *Log) Break(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

// Before has f run ahead of each event, on the goroutine that appends it and
// without a lock.
func (l *Log) Before(f func(audit.Event)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = f
}

// Append keeps all of the events or none.
func (l *Log) Append(ctx context.Context, all ...audit.Event) error {
	l.mu.Lock()
	before, refuse, broken := l.before, l.refuse, l.broken
	l.mu.Unlock()
	for _, e := range all {
		if before != nil {
			before(e)
		}
		if refuse != nil && refuse(e) {
			return ErrFull
		}
	}
	if broken != nil {
		return broken
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, all...)
	return nil
}

// Failed is closed by Fail.
func (l *Log) Failed() <-chan struct{} { return l.failing() }

// Fail does what a log does that can't go on.
func (l *Log) Fail() { close(l.failing()) }

func (l *Log) failing() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = make(chan struct{})
	}
	return l.failed
}

// Space is enough.
func (l *Log) Space() audit.Space { return audit.Ample }

// All is the events of these types, or of all, in order.
func (l *Log) All(types ...audit.Type) []audit.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []audit.Event
	for _, e := range l.events {
		if len(types) == 0 || slices.Contains(types, e.Type) {
			out = append(out, e)
		}
	}
	return out
}

// Await waits for an event of that type and reason and returns the latest; any
// reason will do if it is "".
func (l *Log) Await(t testing.TB, typ audit.Type, reason string) audit.Event {
	t.Helper()
	var found audit.Event
	testkit.Eventually(t, strings.TrimSpace(fmt.Sprintf("event %s %s", typ, reason)), func() bool {
		for _, e := range l.All(typ) {
			if reason == "" || e.Reason == reason {
				found = e
			}
		}
		return found.Type != ""
	})
	return found
}

// Mark is how many events there are, for Want.
func (l *Log) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}

// Lines is the events since mark, each as "type method reason" with what it has
// of them.
func (l *Log) Lines(mark int) []string {
	var out []string
	all := l.All()
	for _, e := range all[min(mark, len(all)):] {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s%s", e.Type, e.Method, e.Reason)))
	}
	return out
}

// Want compares Lines.
func (l *Log) Want(t testing.TB, mark int, want ...string) {
	t.Helper()
	if got := l.Lines(mark); !slices.Equal(got, want) {
		t.Errorf("events:\n got %q\nwant %q", got, want)
	}
}
