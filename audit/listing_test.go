package audit

import (
	"testing"
	"time"
)

// A line for people has all that an event has, quotes what came from outside, and shows
// of many texts the first.
func TestAppendText(t *testing.T) {
	t.Parallel()
	at, exit := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), 0
	for want, e := range map[string]Event{
		`2026-03-01T09:00:00Z       2 jump.refused           log=one.test user=alice asked_login="\x1b]0;x\a\u009b\u202eØde"`:                            {Seq: 2, Type: JumpRefused, User: "alice", AskedLogin: "\x1b]0;x\a\u009b\u202eØde"},
		`2026-03-01T09:00:00Z       3 session.ended          log=one.test actor.uid=0 actor.login_uid=none recording.id=01J recording.segments=3 exit=0`: {Seq: 3, Type: SessionEnded, Exit: &exit, Recording: &Recording{ID: "01J", Segments: 3}, Actor: &Actor{LoginUID: unsetLogin}},
		`2026-03-01T09:00:00Z       4 recording.read         log=one.test sessions="01A, 01B and 2 more"`:                                                {Seq: 4, Type: RecordingRead, Sessions: []string{"01A", "01B", "01C", "01D"}},
	} {
		e.Time = at
		if got := string(AppendText(nil, "one.test", e)); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}
