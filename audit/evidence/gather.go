package evidence

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/segment"
	"entry/session/recording"
)

// known is what the audit log says of one recording.
type known struct {
	started bool
	key     string             // hash of its key file when it started; "" in logs of older versions
	rewraps []rewrapping       // what came of that since
	sealed  Sealing            // what that comes to; set by verifyKey
	expect  []recording.Expect // of the header, the ticks, the restart that found it aborted
	ended   *recording.Expect  // of session.ended
	failed  string             // detail of recording.failed: the end wasn't durable
	start   int                // how many servers had started before its session
	cut     bool               // by a crash, as the restart says that came then
	unended bool               // no server runs, and none has started since its session did
	// headless says that a restart found it without a whole header: the crash
	// came before the session started.
	headless bool
	// removed is what recording.removed says of it: its lab's retention was
	// over, or operators ordered that (erased), and it may be gone.
	removed *recording.Expect
	erased  bool
	unheard bool      // while some of the log's records weren't here
	fact    fact      // what it goes by
	wrongly *Mismatch // the first removal contradicts the log
	last    time.Time // of the last event about it
	// keyed is how many absences came before the last event by which its key is known, and
	// unheld says those behind it: the recording may have been sealed anew in them.
	keyed  int
	unheld []string
}

// maxBadLists is how many lists of ticks are named that can't be read: a spool
// without its lists has one a second.
const maxBadLists = 3

// gather reads the log in logDir for what it says about the recordings in dir:
// about the one called only, with every tick, or if that is "" about all, with
// the last tick of each. A list of a tick that isn't the one that was committed
// is a *Mismatch. A log that can't be read gives a nil map; absent is what isn't here of one
// that can; accepted is noted in that.
func gather(logDir, dir, only string, accepted []segment.Absent) (all map[string]*known, absent absences, err error) {
	running := audit.Writing(logDir) // before the log is read: who starts meanwhile is in it
	g := gathering{dir: dir, only: only, found: map[string]*known{}, last: map[string]recording.Expect{}, absent: &absent}
	absent.accepted = accepted
	for e, err := range everything(logDir) {
		if !absent.event(e, err) {
			return nil, absent, err // audit verify is who says more
		}
		if err != nil {
			absent.tell(&g.orders.standing)
			continue
		}
		g.event(e)
		if e.Type == audit.RecordingTick && e.Tick != nil {
			g.tick(e.Seq, e.Tick)
		}
	}
	g.hold()
	if n := g.orders.standing.Wrong(); n > 0 && only == "" {
		g.held = append(g.held, &Mismatch{Kind: CarriedOther, Seq: n, err: fmt.Errorf("record %d begins a segment with other legal holds than the log's records before it leave", n)})
	}
	for _, k := range g.found {
		k.unended = !running && k.started && k.start == g.starts
	}
	for id, x := range g.last {
		k := g.found[id]
		if k == nil {
			k = &known{}
			g.found[id] = k
		}
		k.expect = append(k.expect, x)
	}
	if n := len(g.bad); n > maxBadLists {
		g.bad = append(g.bad[:maxBadLists], fmt.Errorf("and %d more", n-maxBadLists))
	}
	return g.found, absent, errors.Join(append(g.bad, g.held...)...)
}

// everything yields the events of a log and of those before it, and what isn't here of
// either. What is damaged in those before says nothing: for that the log began anew.
func everything(logDir string) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		for _, dir := range audit.Before(logDir) {
			for e, err := range audit.Read(dir) {
				var absent *segment.Absent
				if errors.As(err, &absent) {
					err = fmt.Errorf("of the log before, in %s, %w", dir, err)
				} else if err != nil {
					continue
				}
				if !yield(e, err) {
					return
				}
			}
		}
		audit.Read(logDir)(yield)
	}
}

// gathering is a gather at work.
type gathering struct {
	dir, only string
	found     map[string]*known
	last      map[string]recording.Expect // of ticks, where all recordings are asked for
	starts    int                         // of servers
	bad       []error
	held      []error   // what went of the log while something was held
	at        time.Time // of the event that is taken in
	before    time.Time // of the event before about the same recording
	orders    ordered   // that stand so far
	absent    *absences // of the log, so far; nil where nobody asks for them
}

// event takes in what an event says, but for a tick's list.
func (g *gathering) event(e audit.Event) {
	g.at = e.Time
	if e.Type == audit.ServerStarted || e.Type == audit.LogGap {
		g.starts++
	}
	g.orders.take(e)
	if e.Type == audit.LogDropped && g.absent != nil {
		g.absent.drop(uint64(max(e.Count, 0)))
	}
	if holds := g.orders.holds(); e.Type == audit.LogDropped && g.only == "" && len(holds) > 0 {
		h := holds[0]
		g.held = append(g.held, &Mismatch{Kind: DroppedHeld, Seq: e.Seq, err: fmt.Errorf("the log's first records were dropped while hold %s on %s stood, which keeps all of the log", plain.Word(h.ID), h.What())})
	}
	if r := e.Recording; r != nil && (g.only == "" || r.ID == g.only) {
		g.recording(e.Type, r)
		if e.Type == audit.RecordingRewrapped || e.Type == audit.RewrapDone {
			g.rewrap(e)
		}
	}
	k := g.found[e.Session]
	if k != nil {
		k.fact.take(e)
		if e.Type == audit.RecordingRemoved {
			g.removal(k, e)
		}
	}
	switch {
	case k == nil:
	case e.Type == audit.RecordingFailed:
		k.failed = cmp.Or(e.Detail, "failed")
	case e.Type == audit.RecordingRemoved:
		k.erased, k.unheard = e.Reason == audit.ReasonErasure, e.Count > 0
	}
}

// of is what is known of a recording, about which there is an event.
func (g *gathering) of(id string) *known {
	if g.found[id] == nil {
		g.found[id] = &known{}
	}
	if last := g.found[id].last; !last.Equal(g.at) {
		g.before = last
	}
	g.found[id].last = g.at
	return g.found[id]
}

// recording takes in what an event of type t says of a recording. A hash that
// is none says nothing: the log was verified for itself.
func (g *gathering) recording(t audit.Type, r *audit.Recording) {
	switch t {
	case audit.SessionStarted:
		k := g.of(r.ID)
		if !k.started { // once: another key is a rewrap's, which is proven
			k.key = r.Key
		}
		if h, err := hashOf(r.Header); err == nil {
			k.started, k.start = true, g.starts
			g.keyed(k)
			k.expect = append(k.expect, recording.Expect{Head: h})
		}
	case audit.SessionEnded, audit.RecordingAborted, audit.RecordingRemoved:
		h, err := hashOf(r.Head)
		if err != nil {
			return
		}
		x := recording.Expect{Segments: r.Segments, Head: h, Final: t == audit.SessionEnded, Aborted: t == audit.RecordingAborted}
		k := g.of(r.ID)
		k.cut = k.cut || x.Aborted
		if k.started {
			g.keyed(k) // what runs isn't sealed anew
		}
		switch {
		case t == audit.RecordingRemoved:
			k.removed = &x
		case x.Final:
			k.ended = &x
		case h == [32]byte{}:
			k.headless = true
		default:
			k.expect = append(k.expect, x)
		}
	}
}

// tick takes in what a tick's list says. A session's ticks come after its
// start; without that there is nothing to hold them against.
func (g *gathering) tick(seq uint64, t *audit.Tick) {
	if k := g.found[g.only]; g.only != "" && (k == nil || k.ended != nil) {
		return
	}
	root, err := hashOf(t.Root)
	if err != nil {
		return
	}
	list, err := recording.ReadTick(g.dir, recording.Tick{Root: root, Changed: t.Changed, List: t.List})
	if err != nil {
		g.bad = append(g.bad, &Mismatch{Kind: OtherTick, Seq: seq, err: err})
		return
	}
	for _, c := range list {
		x := recording.Expect{Segments: c.Segments, Head: c.Head}
		switch {
		case g.only == "":
			g.last[c.ID] = x
			if k := g.found[c.ID]; k != nil {
				k.last = g.at
			}
		case c.ID == g.only:
			k := g.of(c.ID)
			k.expect = append(k.expect, x)
		}
	}
}

func hashOf(s string) (h [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, fmt.Errorf("%q isn't a hash", s)
	}
	return [32]byte(b), nil
}
