//go:build linux

package find

import (
	"fmt"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// What the log has and no recording is here for is named, with what should be.
func TestUnrecorded(t *testing.T) {
	dir := t.TempDir()
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	log := testkit.Must(audit.Open(dir, audit.Options{Key: signer}))(t)
	for _, c := range []struct{ session, user, coverage string }{
		{"here", "alice", "recorded"}, {"gone", "alice", "recorded"}, {"gone", "alice", "metadata"}, {"counted", "alice", "metadata"}, {"refused", "alice", "refused"}, {"hers", "carol", "partial"}, {"old", "alice", "recorded"},
		{"erased", "alice", "metadata"},
	} {
		kinds := []audit.Type{audit.ChannelOpened, audit.ChannelClosed}
		if c.coverage == "refused" {
			kinds = []audit.Type{audit.ChannelRefused}
		}
		for _, kind := range kinds {
			number := uint32(0)
			e := audit.Event{Type: kind, Session: c.session, User: c.user, Target: "home.tinker"}
			if e.Channel = &number; kind == audit.ChannelClosed {
				e.Coverage = c.coverage
			}
			testkit.Check(t, log.Append(t.Context(), e))
		}
	}
	testkit.Check(t, log.Close())
	var got []string
	for u, err := range Unrecorded(dir, time.Time{}, []recording.Info{{Header: recording.Header{ID: "here"}}}, map[string]evidence.Removal{"old": {}, "erased": {Erased: true, Order: &evidence.Order{ID: "un22b7lw"}}}, func(c evidence.Channel) bool { return c.User == "alice" }) {
		testkit.Check(t, err)
		got = append(got, fmt.Sprintf("%s of %s, missing=%v: %s", u.Session.ID, u.Session.User, u.Missing, u.Why))
	}
	same(t, "unrecorded", got, "counted of alice, missing=false: metadata: it wasn't recorded",
		"erased of alice, missing=false: its recording was erased by order un22b7lw",
		"gone of alice, missing=true: its recording isn't here: it was taken away, or is elsewhere",
		"old of alice, missing=false: its recording was removed after its lab's retention")
}
