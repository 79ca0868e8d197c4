package evidence

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"entry/audit"
	"entry/session/recording"
)

// Channel is what the log says of one channel: who opened it, and how much of it
// is kept.
type Channel struct {
	Session  string              `json:"session"`
	Number   *uint32             `json:"channel,omitempty"` // nil for a connection to a target that isn't SSH
	Type     string              `json:"type,omitempty"`    // as opened, a peer's words
	Program  string              `json:"program,omitempty"` // that was asked for, a peer's word
	User     string              `json:"user"`
	Lab      string              `json:"lab,omitempty"`
	Target   string              `json:"target"`
	Opened   time.Time           `json:"opened"`
	Closed   time.Time           `json:"closed,omitzero"` // zero while it is open
	Coverage recording.Coverage  `json:"coverage,omitempty"`
	Missing  []recording.Missing `json:"missing,omitempty"`
	Down     int64               `json:"bytes_down"`
	Up       int64               `json:"bytes_up"`
	Beside   int64               `json:"bytes_beside,omitempty"` // of Down what a target said beside the files that moved, in no line of the manifest
	// Uncounted says that nobody was left to count what passed, since a crash or its
	// session's end cut it off: Closed is when the server last showed life, or the session's end.
	Uncounted bool `json:"uncounted,omitempty"`
}

// Why a channel is partial, where no event of its end says it.
const (
	whyCrash = "the server ended before it did"
	whyOlder = "it ended under an older version, which noted no coverage"
)

// Coverage yields each channel that was open at since or later, in the order of
// their ends, those that are still open last. Every one but those has a coverage:
// of what a crash cut off it is partial, also before the server starts again. What
// was refused is yielded as Refused,
// many refusals that the log sums as many times. It holds the channels that are
// open, which a server's limits bound.
//
// An error is one of reading the log, whose remaining events are still looked at.
func Coverage(logDir string, since time.Time) iter.Seq2[Channel, error] {
	return func(yield func(Channel, error) bool) {
		running := audit.Writing(logDir) // before the log is read: who ends meanwhile is still open in it
		c := newCovering(since, func(ch Channel) bool { return yield(ch, nil) })
		for e, err := range everything(logDir) {
			if err != nil {
				if !yield(Channel{}, err) {
					return
				}
				continue
			}
			if !c.event(e) {
				return
			}
		}
		c.finish(running)
	}
}

type covering struct {
	since time.Time
	open  map[string]*Channel
	last  time.Time // when a server showed life
	yield func(Channel) bool
}

func newCovering(since time.Time, yield func(Channel) bool) *covering {
	return &covering{since: since, open: map[string]*Channel{}, yield: yield}
}

// finish yields what is open at the log's end, which a crash cut off unless a server is running.
func (c *covering) finish(running bool) {
	if !running {
		c.cutOff(c.last, func(*Channel) bool { return true }, whyCrash)
		return
	}
	for _, ch := range c.sorted() {
		if !c.yield(*ch) {
			return
		}
	}
}

// key names a channel for as long as it is open.
func key(e audit.Event) string {
	if e.Channel == nil {
		return e.Session
	}
	return fmt.Sprintf("%s %d", e.Session, *e.Channel)
}

func channelOf(e audit.Event) *Channel {
	return &Channel{Session: e.Session, Number: e.Channel, Type: e.ChannelType, User: e.User, Lab: e.Lab, Target: e.Target, Opened: e.Time}
}

// event reports whether more is wanted.
func (c *covering) event(e audit.Event) bool {
	defer func() {
		if alive(e) {
			c.last = e.Time
		}
	}()
	switch e.Type {
	case audit.ChannelOpened, audit.ForwardOpened:
		c.open[key(e)] = channelOf(e)
	case audit.ExecRequested:
		if ch := c.open[key(e)]; ch != nil {
			ch.Program = e.Program
		}
	case audit.ChannelClosed, audit.ForwardClosed:
		ch := c.open[key(e)]
		if ch == nil {
			ch = channelOf(e) // its opening is in no log that is here
		}
		delete(c.open, key(e))
		ch.Down, ch.Up, ch.Beside, ch.Coverage = e.BytesDown, e.BytesUp, e.BytesBeside, recording.Coverage(e.Coverage)
		for _, m := range e.Missing {
			ch.Missing = append(ch.Missing, recording.Missing(m))
		}
		switch {
		case ch.Coverage != "":
		case e.Type == audit.ForwardClosed:
			ch.Coverage = recording.MetadataOf
		default:
			ch.Coverage, ch.Missing = recording.Partial, []recording.Missing{{Why: whyOlder}}
		}
		return c.ends(ch, e.Time)
	case audit.ChannelRefused, audit.ForwardRefused:
		if e.Channel != nil {
			return true // of something on a channel, whose own end says the rest
		}
		for range max(1, e.Count) {
			ch := channelOf(e)
			ch.Coverage = recording.Refused
			if !c.ends(ch, e.Time) {
				return false
			}
		}
	case audit.SessionEnded:
		return c.cutOff(e.Time, func(ch *Channel) bool { return ch.Session == e.Session }, "its session ended before it did")
	case audit.ServerStarted, audit.LogGap:
		return c.cutOff(c.last, func(*Channel) bool { return true }, whyCrash) // nothing more was noted until now
	}
	return true
}

// alive reports whether an event is one of a server that serves. After a crash a
// restart, or an operator's verb, appends others.
func alive(e audit.Event) bool {
	switch e.Type {
	case audit.RecordingTick, audit.ServerStarted, audit.ChannelOpened, audit.ChannelClosed, audit.ForwardOpened, audit.ForwardClosed, audit.SessionStarted, audit.SessionEnded:
		return true
	}
	return e.Conn != ""
}

// cutOff ends the channels that nobody ended.
func (c *covering) cutOff(at time.Time, which func(*Channel) bool, why string) bool {
	for _, ch := range c.sorted() {
		if !which(ch) {
			continue
		}
		delete(c.open, key(audit.Event{Session: ch.Session, Channel: ch.Number}))
		ch.Coverage, ch.Missing, ch.Uncounted = recording.Partial, []recording.Missing{{Why: why}}, true
		if !c.ends(ch, at) {
			return false
		}
	}
	return true
}

func (c *covering) ends(ch *Channel, at time.Time) bool {
	ch.Closed = at
	return at.Before(c.since) || c.yield(*ch)
}

func (c *covering) sorted() []*Channel {
	var out []*Channel
	for _, ch := range c.open {
		out = append(out, ch)
	}
	slices.SortFunc(out, func(a, b *Channel) int { return a.Opened.Compare(b.Opened) })
	return out
}
