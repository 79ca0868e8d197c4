package play

import (
	"context"
	"errors"
	"fmt"
	"time"

	"filippo.io/age"

	"entry/session/recording"
)

// Opened is a recording that is read, and can be read again.
type Opened struct {
	*recording.Reader
	All []recording.Channel

	dir   string
	ids   []age.Identity
	ended bool // nobody writes it any more
}

// Again starts over.
func (o *Opened) Again() (func() (recording.Frame, error), error) {
	r, err := recording.OpenRecording(o.dir, o.Header().ID, o.ids...)
	if err != nil {
		return nil, err
	}
	err = o.Close()
	o.Reader, o.ended = r, false
	return o.Next, err
}

// Grows reports whether Next may have more where it found the end. What was
// written before the writer ended is read once it has.
func (o *Opened) Grows() bool {
	if o.ended {
		return false
	}
	info, err := recording.Stat(o.dir, o.Header().ID)
	o.ended = err != nil || info.State != recording.Live
	o.Resume()
	return true
}

// Open opens a recording with the channel that number says, or that a person most likely
// means if it is below 0. Errors are as recording.OpenRecording's, an *Empty, and
// recording.ErrNoChannel.
func Open(dir, id string, ids []age.Identity, number int64) (*Opened, recording.Channel, error) {
	c, all, err := choose(dir, id, ids, number)
	if err != nil {
		return nil, c, err
	}
	r, err := recording.OpenRecording(dir, id, ids...)
	if err != nil {
		return nil, c, err
	}
	return &Opened{Reader: r, All: all, dir: dir, ids: ids}, c, nil
}

// Channels reads a recording for what its channels are. Errors are as
// recording.OpenRecording's and Reader.Next's; those that were read stand beside one.
func Channels(dir, id string, ids []age.Identity) (list []recording.Channel, err error) {
	info, err := recording.Stat(dir, id) // before it is read: what ends meanwhile has its end in it
	if err != nil {
		return nil, err
	}
	r, err := recording.OpenRecording(dir, id, ids...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var w watch
	list, err = recording.Channels(w.over(r.Next))
	w.mark(list)
	if info.State == recording.Live {
		recording.StillOpen(list)
	}
	return list, err
}

// choose reads the recording once for its channels. What is damaged further on is told
// when it is reached.
func choose(dir, id string, ids []age.Identity, number int64) (c recording.Channel, all []recording.Channel, err error) {
	all, err = Channels(dir, id, ids)
	var bad *recording.BadSegment
	if err != nil && !errors.Is(err, recording.ErrTruncated) && !(errors.As(err, &bad) && len(all) > 0) {
		return c, nil, err
	}
	switch {
	case len(all) == 0 && err != nil:
		return c, nil, &Empty{id, true}
	case len(all) == 0:
		return c, nil, &Empty{id, false}
	}
	if number < 0 {
		c, err = recording.Choose(all)
		return c, all, err
	}
	for _, c := range all {
		if int64(c.Number) == number {
			return c, all, nil
		}
	}
	return c, all, fmt.Errorf("channel %d: %w", number, recording.ErrNoChannel)
}

// Empty says that a session has no channel.
type Empty struct {
	ID  string
	cut bool // as far as its recording was written
}

func (e *Empty) Error() string {
	if e.cut {
		return fmt.Sprintf("session %s has no channel, as far as its recording was written", e.ID)
	}
	return fmt.Sprintf("session %s has no channel: nothing was run or opened in it", e.ID)
}

// Hint is what to do about it, or "".
func (e *Empty) Hint() string {
	if e.cut {
		return ""
	}
	return "entry sessions show says what was refused in it"
}

// Misused is false: the session is the one that was asked for.
func (e *Empty) Misused() bool { return false }

// NotFound is true.
func (e *Empty) NotFound() bool { return true }

// awaitPause is how often a session is looked at that has no channel open.
const awaitPause = 500 * time.Millisecond

// AwaitOpen waits until a channel of a running session is open, and returns its number;
// waiting hears once that it waits. The error is an *Over where the session ends before, the
// cause of ctx where that ends, or one of Channels.
func AwaitOpen(ctx context.Context, dir, id string, ids []age.Identity, waiting func()) (int64, error) {
	for told := false; ; told = true {
		info, err := recording.Stat(dir, id)
		if err != nil {
			return 0, err
		}
		list, err := Channels(dir, id, ids)
		if err != nil && !errors.Is(err, recording.ErrTruncated) {
			return 0, err
		}
		if c, err := recording.ChooseOpen(list); err == nil {
			return int64(c.Number), nil
		}
		if info.State != recording.Live {
			return 0, &Over{id}
		}
		if !told {
			waiting()
		}
		select {
		case <-time.After(awaitPause):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// Over says that a session has ended.
type Over struct{ ID string }

func (e *Over) Error() string { return "session " + e.ID + " ended" }

// Hint is what to do about it.
func (e *Over) Hint() string { return "entry sessions play shows it" }

// Misused is false: it was running.
func (e *Over) Misused() bool { return false }

// NotFound is true: no session runs that is called so.
func (e *Over) NotFound() bool { return true }
