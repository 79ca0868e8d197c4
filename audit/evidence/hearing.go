package evidence

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"entry/audit"
	"entry/audit/segment"
)

// hearing is what somebody has heard of a log and goes on from: each record is read once, and
// believed as far as it is the one that was signed. Else a change of a sealed file that is
// put back after a moment would decide what is removed. The zero hearing is of nothing heard.
type hearing struct {
	mu    sync.Mutex
	heard audit.Heard
	said  said           // of the recordings in asked, and of all whose IDs are of a time since
	open  map[*fact]bool // those without an end so far
	asked map[string]bool
	// since is when the log was begun to be read: of what started later all is known.
	since time.Time
}

// maxHeard is of how many recordings more than are there a hearing keeps what was said.
const maxHeard = 100_000

// heardTypes are the types of events that a hearing takes in.
var heardTypes = append([]audit.Type{audit.ServerStarted, audit.SessionStarted, audit.SessionEnded, audit.RecordingAborted, audit.RecordingFailed, audit.AlarmRecording}, orderTypes...)

// listen is what the log in dir, of which signed is known to be signed, and those before it
// say of the recordings with these IDs, and of all orders. It is the caller's own.
func (h *hearing) listen(dir string, signed func() (audit.Position, error), ids []string) (s said, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	goesOn := h.goesOn(dir, ids) // before it is known what is signed: who comes meanwhile is in it
	at, err := signed()
	if err != nil {
		h.since = time.Time{}
		return s, err
	}
	if !goesOn {
		if err := h.begin(dir, at, ids); err != nil {
			h.since = time.Time{}
			return s, err
		}
	}
	if err := h.heard.On(dir, at, func(e audit.Event, gone *segment.Absent) {
		if gone != nil {
			h.said.absent.event(e, gone)
			h.said.standing.Gone(*gone, true)
			h.said.miss()
			return
		}
		h.said.absent.event(e, nil)
		if e.Type == audit.LogDropped {
			h.said.absent.drop(uint64(max(e.Count, 0)))
		}
		h.take(e)
	}, heardTypes...); err != nil {
		h.since = time.Time{}
		return s, fmt.Errorf("read the audit log: %w", err)
	}
	for _, id := range ids {
		h.asked[id] = true
	}
	s = said{ordered: h.said.ordered.clone(), of: make(map[string]*fact, len(ids)), absent: h.said.absent.clone()}
	for _, id := range ids {
		if f := h.said.of[id]; f != nil {
			own := *f
			s.of[id] = &own
		}
	}
	return s, nil
}

// goesOn tells whether what was heard is all that the log says of these recordings, up to
// where it was read.
func (h *hearing) goesOn(dir string, ids []string) bool {
	if h.since.IsZero() || len(h.said.of) > 2*len(ids)+maxHeard {
		return false
	}
	for _, id := range ids {
		u, err := ulid.ParseStrict(id)
		if !h.asked[id] && h.said.of[id] == nil && (err != nil || ulid.Time(u.Time()).Before(h.since)) {
			return false // its file came back
		}
	}
	if len(h.said.absent.all) == 0 {
		return true
	}
	firsts, err := segment.Sealed(dir)
	return err == nil && !slices.ContainsFunc(h.said.absent.all, func(a absence) bool {
		return slices.ContainsFunc(firsts, func(n uint64) bool { return !a.own || a.From <= n && n <= a.To }) // one came back, maybe
	})
}

// begin begins anew, with the logs before. What one says that isn't proven counts as far as it
// keeps recordings: as for the rest, its records aren't here.
func (h *hearing) begin(dir string, at audit.Position, ids []string) error {
	return audit.HearBefore(dir, at, func() {
		h.heard, h.said = audit.Heard{}, said{of: map[string]*fact{}}
		h.open, h.asked = map[*fact]bool{}, map[string]bool{}
		h.since = time.Now().Add(-slack)
		for _, id := range ids {
			h.asked[id] = true
		}
	}, func(e audit.Event, gone *segment.Absent, proven bool) {
		switch {
		case gone != nil:
			h.said.absent.event(e, fmt.Errorf("of the log before, %w", gone))
			h.said.standing.Gone(*gone, false)
			h.said.miss()
		case proven:
			h.said.absent.event(e, nil)
			h.take(e)
		default:
			h.said.absent.event(e, fmt.Errorf("of the log before, which isn't proven, %w", &segment.Absent{From: e.Seq, To: e.Seq}))
			h.said.miss()
			if e.Type != audit.HoldReleased {
				h.said.standing.Take(e)
			}
		}
	}, heardTypes...)
}

// take takes in the next event.
func (h *hearing) take(e audit.Event) {
	h.said.take(e)
	if e.Type == audit.LogGap { // of the log before records are lost
		h.said.miss()
	}
	if e.Type == audit.ServerStarted || e.Type == audit.LogGap {
		for f := range h.open { // whoever recorded it doesn't run any more
			f.end = e.Time
		}
		clear(h.open)
		return
	}
	f := h.said.of[e.Session]
	if f == nil {
		if u, err := ulid.ParseStrict(e.Session); !h.asked[e.Session] && (err != nil || ulid.Time(u.Time()).Before(h.since)) {
			return
		}
		f = &fact{}
		h.said.of[e.Session] = f
	}
	f.take(e)
	if h.open[f] = f.end.IsZero(); !h.open[f] {
		delete(h.open, f)
	}
}
