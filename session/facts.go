package session

import (
	"encoding/json"
	"sync"

	"entry/policy"
	"entry/session/recording"
)

// facts are what a session records beside the bytes of its streams. Clients cause
// them, by the thousand and a command of 100 KB at a time, so that they count
// against the user's share: beyond it, what is asked for is kept as what a terminal
// shows is, at a person's pace, and the rest is counted and digested.
type facts struct {
	mu       sync.Mutex // guards what follows
	begun    bool
	bulk     func(n int) int  // of the environment, sizes and files
	few      func(n int) int  // of the rest
	left     piece            // out
	channels map[uint32]int64 // bytes that were left out of each
	more     bool             // and of others
}

// maxLeft bounds the channels of which it is known that facts are missing; all
// others of the session are taken for such then.
const maxLeft = 1000

// keeps reports whether there is room for b in the share.
func (f *facts) keeps(share Share, kind recording.Kind, v any, n int) bool {
	if share == nil || kind == recording.Exit || kind == recording.Gap {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.begun {
		f.begun, f.bulk, f.few = true, share.Stream(false), share.Stream(true)
	}
	room := f.few
	if r, ok := v.(recording.ChannelRequest); kind == recording.Resize || kind == recording.Transfer || ok && r.Type == "env" {
		room = f.bulk
	}
	return room(n) >= n
}

func (f *facts) leaveOut(channel uint32, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left.why = shareOmitted
	f.left.add(b)
	if f.channels == nil {
		f.channels = map[uint32]int64{}
	}
	if _, known := f.channels[channel]; known || len(f.channels) < maxLeft {
		f.channels[channel] += int64(len(b))
	} else {
		f.more = true
	}
}

// missing is what of a channel's facts was left out; it is asked once.
func (f *facts) missing(channel uint32) []recording.Missing {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, known := f.channels[channel]
	if !known && !f.more {
		return nil
	}
	delete(f.channels, channel)
	return []recording.Missing{{Why: string(shareOmitted), Stream: factStream, Bytes: n}}
}

// factStream is what facts are called where something of them is missing.
const factStream = "requests"

// sum has rec, which may be nil, keep what stands for all that was left out.
func (f *facts) sum(rec Recorder) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left.record(rec, 0, factStream)
}

// frame records a fact about a channel as JSON. It reports whether the session
// may go on.
func (f *flow) frame(g policy.Grant, kind recording.Kind, channel uint32, v any) bool {
	if f.o.Recorder == nil || g.Record() == policy.Metadata {
		return true
	}
	b, ok := v.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(v); err != nil {
			f.unrecorded(err)
			return false
		}
	}
	if !f.facts.keeps(f.o.Share, kind, v, len(b)) {
		if g.RecordComplete() {
			f.untaken(errShare)
			return false
		}
		f.facts.leaveOut(channel, b)
		return true
	}
	if err := f.o.Recorder.Frame(kind, channel, b); err != nil {
		f.unrecorded(err)
		return false
	}
	return true
}
