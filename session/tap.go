package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"math"

	"entry/policy"
	"entry/session/recording"
)

// tap is what recording takes of one stream: its bytes, up to a limit, and the
// size and digest of what comes after. A nil tap takes nothing.
type tap struct {
	rec     Recorder
	kind    recording.Kind
	channel uint32
	left    int64           // bytes still kept
	keeps   func(n int) int // how many of n bytes the user's share allows; nil without a bound
	pty     bool            // a terminal shows it
	whole   bool            // nothing may be left out for want of a share
	skips   bool            // what came last was left out
	cut     func()          // told when what a terminal shows is left out; may be nil
	digest  hash.Hash
	omitted int64
}

// omitted stands, in a Transfer frame, for payload that isn't kept.
type omitted struct {
	Stream string `json:"stream"` // "output", "error", "input"
	Bytes  int64  `json:"omitted_bytes"`
	SHA256 string `json:"sha256"` // hex, of exactly those bytes
}

// newTap is the tap of one stream of a session channel. Where payload isn't to
// be kept, all of it is counted and digested.
func newTap(o *Options, g policy.Grant, kind recording.Kind, channel uint32, p payload) *tap {
	rec := o.Recorder
	if rec == nil || g.Record() == policy.Metadata {
		return nil
	}
	t := &tap{rec: rec, kind: kind, channel: channel, pty: p == terminalPayload, whole: g.RecordComplete()}
	if o.Share != nil {
		t.keeps = o.Share.Stream(t.pty)
	}
	switch {
	case p == transferPayload && kind != recording.Error:
		// the files of a transfer aren't kept
	case kind == recording.Input && !g.RecordInput():
		return nil
	case g.Record() != policy.Full:
		// nor are bytes under a manifest
	case p == terminalPayload:
		t.left = math.MaxInt64
	default:
		t.left = o.OmitAfter
	}
	return t
}

// keep records p. It returns before the bytes may go on.
func (t *tap) keep(p []byte) error {
	if t == nil {
		return nil
	}
	n := min(int64(len(p)), t.left)
	fits := n
	if n > 0 && t.keeps != nil {
		if fits = int64(t.keeps(int(n))); fits < n && t.whole {
			return errShare
		}
	}
	if fits > 0 {
		if err := t.rec.Frame(t.kind, t.channel, p[:fits]); err != nil {
			return err
		}
		t.left -= fits
		t.skips = false
		p = p[fits:]
	}
	if fits < n {
		if err := t.skip(); err != nil {
			return err
		}
	}
	if len(p) > 0 {
		if t.digest == nil {
			t.digest = sha256.New()
		}
		t.digest.Write(p)
		t.omitted += int64(len(p))
	}
	return nil
}

// errShare ends a session that wants everything kept beyond its user's share.
var errShare = errors.New("the user's share of recordings is used up")

// shareUsed stands in the recording where bytes are left out from.
const shareUsed = "the user's share of the day is used up: what follows is counted and digested"

// skip says that bytes are left out for the user's share. What isn't shown on a
// terminal is kept no more from then on, so that what stands for it is one piece.
func (t *tap) skip() error {
	if !t.pty {
		t.left = 0
	} else if t.cut != nil {
		t.cut()
	}
	if t.skips {
		return nil
	}
	t.skips = true
	return t.rec.Frame(recording.Gap, t.channel, []byte(shareUsed))
}

// close records what stands for the bytes that weren't kept.
func (t *tap) close() error {
	if t == nil || t.omitted == 0 {
		return nil
	}
	b, err := json.Marshal(omitted{Stream: t.kind.String(), Bytes: t.omitted, SHA256: hex.EncodeToString(t.digest.Sum(nil))})
	if err != nil {
		return err
	}
	return t.rec.Frame(recording.Transfer, t.channel, b)
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
	if err := f.o.Recorder.Frame(kind, channel, b); err != nil {
		f.unrecorded(err)
		return false
	}
	return true
}

// channelFact is the payload of the Request frames that open and close a
// channel; the fields it shares with recording.ChannelRequest mean the same.
type channelFact struct {
	Type        string `json:"type"`           // "channel-open", "channel-close"
	Name        string `json:"name,omitempty"` // "session", "direct-tcpip"
	Destination string `json:"destination,omitempty"`
	BytesDown   int64  `json:"bytes_down,omitempty"`
	BytesUp     int64  `json:"bytes_up,omitempty"`
}
