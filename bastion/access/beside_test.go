package access

import (
	"context"
	"testing"
	"time"

	"entry/audit"
	"entry/session/group"
)

// What targets may say beside files is a user's, whatever session and connection it comes
// in by, and a day's.
func TestBesideIsAUsersDay(t *testing.T) {
	t.Parallel()
	g, _, log, clock := braked()
	g.besides, g.own = newBesides(clock.Now), group.New(context.Background(), nil)
	of := func(user, session string) *Beside {
		return &Beside{gate: g, user: user, event: func(t audit.Type) audit.Event { return audit.Event{Type: t, User: user, Session: session} }}
	}
	alarms := func() (all []audit.Event) {
		g.own.Wait()
		g.own = group.New(context.Background(), nil)
		return log.All(audit.AlarmBeside)
	}
	passed := 0
	for n := range 40 {
		passed += of("alice", string(rune('a'+n))).Words(64 << 10)
	}
	if passed != wordsADay {
		t.Errorf("in 40 sessions %d bytes of words passed", passed)
	}
	if a := alarms(); len(a) != 1 || a[0].Reason != "words" || a[0].User != "alice" || a[0].Session != string(rune('a'+16)) || a[0].Detail == "" {
		t.Errorf("%+v", a)
	}
	if n := of("bob", "x").Words(5); n != 5 {
		t.Errorf("of another user's 5 bytes %d passed", n)
	}
	unlisted := int64(0)
	for range 40 {
		if of("alice", "b").Unlisted(60_000) {
			unlisted += 60_000
		}
	}
	if unlisted > unlistedADay || unlisted < unlistedADay-60_000 || len(alarms()) != 1 {
		t.Errorf("%d bytes of names have no line; %+v", unlisted, alarms())
	}
	for range 10 {
		of("alice", "c").Back(backADay / 4)
	}
	if a := alarms(); len(a) != 2 || a[1].Reason != "names" || a[1].Session != "c" {
		t.Errorf("%+v", a)
	}
	clock.Advance(time.Hour) // midnight
	if a := of("alice", "d"); a.Words(7) != 7 || !a.Unlisted(7) {
		t.Error("the next day has begun, and nothing may be said")
	}
}
