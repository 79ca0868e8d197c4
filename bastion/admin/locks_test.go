package admin

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/e2e/testkit"
)

// TestLockedSourcesComeFirst: a lock isn't hidden by many newer failures from elsewhere,
// which anybody can cause.
func TestLockedSourcesComeFirst(t *testing.T) {
	now := time.Now()
	var events []audit.Event
	saw := func(typ audit.Type, source, reason string) {
		events = append(events, audit.Event{Type: typ, Time: now, User: "alice", Source: source + ":22", Reason: reason})
	}
	saw(audit.LoginFailed, "192.0.2.7", "wrong-code")
	saw(audit.LoginLocked, "192.0.2.7", "too-many-failures")
	for i := range 70 {
		saw(audit.LoginFailed, fmt.Sprintf("198.51.100.%d", i), "wrong-code")
	}
	saw(audit.LoginFailed, "192.0.2.8", identity.ReasonUnknownKey) // locks nobody
	a := &Server{History: func(context.Context, int) iter.Seq2[audit.Event, error] {
		return func(yield func(audit.Event, error) bool) {
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}}
	failed := 0
	sources := testkit.Must(a.failed(t.Context(), "alice", 64, func(Trouble) { failed++ }))(t)
	if failed != 72 || len(sources) != 64 || sources[0] != netip.MustParseAddr("192.0.2.7") || sources[1] != netip.MustParseAddr("198.51.100.69") {
		t.Errorf("%d failed logins, from %d addresses: %v", failed, len(sources), sources)
	}
	if all := testkit.Must(a.failed(t.Context(), "alice", mostUnlocked, func(Trouble) {}))(t); len(all) != 71 {
		t.Errorf("%d addresses in all: %v", len(all), all)
	}
}
