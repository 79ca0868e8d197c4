package session

import (
	"errors"
	"fmt"
	"math"

	"entry/policy"
	"entry/session/recording"
)

// tap is what recording takes of one stream: its bytes as far as they are kept,
// and size and digest of each piece that isn't. A nil tap takes nothing.
type tap struct {
	rec     Recorder
	kind    recording.Kind
	channel uint32
	left    int64           // bytes that are still kept at whatever pace
	beyond  policy.Beyond   // what becomes of those after them
	kept    bool            // something of it is
	shut    bool            // what comes after them is all left out
	why     omission        // where shut: why
	pace    pace            // of those after left
	keeps   func(n int) int // how many of n bytes the user's share allows; nil without a bound
	pty     bool            // a terminal shows it
	whole   bool            // nothing may be left out for want of a share
	cut     func()          // told when what a terminal shows is left out; may be nil
	mask    *mask           // answers to password prompts; nil where none is looked for
	typing  *typing         // of input to a terminal, of which nothing is kept; else nil
	lost    *losses         // what was left out, by reason
	piece   piece           // that is being left out
}

// maxScript is how much is kept of what an interpreter reads without a terminal:
// people's scripts are shorter, and payload behind one isn't theirs.
const maxScript = 64 << 10 // bytes

// newTap is the tap of one stream of a session channel.
func newTap(o *Options, g policy.Grant, kind recording.Kind, channel uint32, c content, p payload, lost *losses) *tap {
	rec := o.Recorder
	if rec == nil || g.Record() == policy.Metadata {
		return nil
	}
	t := &tap{rec: rec, kind: kind, channel: channel, pty: p == terminalPayload, whole: g.RecordComplete(), lost: lost}
	if o.Share != nil {
		t.keeps = o.Share.Stream(t.pty)
	}
	input := kind == recording.Input
	switch {
	case p == transferPayload && kind != recording.Error:
		if c.moves != nil && c.moves.ListsFiles() {
			return nil // its manifest says more
		}
		t.shut = true // the files of a transfer aren't kept
	case g.Record() != policy.Full:
		if input && p == terminalPayload {
			return nil
		}
		t.shut = true // nor are bytes under a manifest
	case input && g.RecordInput():
		t.left = math.MaxInt64
	case input && p == terminalPayload:
		t.typing, t.keeps = &typing{}, nil
	case input && readsScript(c):
		t.left, t.shut, t.why = maxScript, true, inputOmitted
	case input:
		t.shut, t.why = true, inputOmitted
	case p == terminalPayload:
		t.left = math.MaxInt64
	default:
		b := g.Bulk()
		if t.left, t.beyond = b.Keep, b.Then; b.Then == policy.KeepBeyond || b.Then == policy.Digest && t.whole {
			t.left = math.MaxInt64 // who wants everything kept doesn't mean a digest
		}
	}
	return t
}

// Errors that end a session which wants more kept than may be.
var (
	errShare = errors.New("the user's share of recordings is used up")
	errBulk  = errors.New("more output than policy keeps")
)

// keep records p. It returns before the bytes may go on.
func (t *tap) keep(p []byte) error {
	if t == nil {
		return nil
	}
	if t.kind != recording.Input {
		if err := t.mask.shown(p); err != nil {
			return err
		}
		return t.take(p)
	}
	if t.typing != nil {
		return t.typed(p)
	}
	return t.mask.kept(t, p)
}

// take keeps p, or leaves it out.
func (t *tap) take(p []byte) error {
	for len(p) > 0 {
		n, why, err := t.room(len(p))
		if err != nil {
			return err
		}
		if n == 0 {
			return t.leaveOut(p, why)
		}
		if err := t.resume(); err != nil {
			return err
		}
		if err := t.rec.Frame(t.kind, t.channel, p[:n]); err != nil {
			return err
		}
		t.kept, t.left = true, t.left-min(t.left, int64(n))
		p = p[n:]
	}
	return nil
}

// room is how many of n bytes are kept, or why none is.
func (t *tap) room(n int) (int, omission, error) {
	switch {
	case t.left > 0:
		n = int(min(int64(n), t.left))
	case t.shut:
		return 0, t.why, nil
	case t.beyond == policy.EndBeyond:
		return 0, "", errBulk
	default:
		if n = t.pace.take(n); n == 0 {
			return 0, bulkOmitted, nil
		}
	}
	if t.keeps == nil {
		return n, "", nil
	}
	fits := t.keeps(n)
	switch {
	case fits < n && t.whole:
		return 0, "", errShare
	case fits > 0:
		return fits, "", nil
	}
	if t.pty {
		if t.cut != nil {
			t.cut()
		}
	} else { // what isn't a terminal's is kept no more, so that what stands for it is one piece
		t.left, t.shut, t.why = 0, true, shareOmitted
	}
	return 0, shareOmitted, nil
}

// leaveOut counts and digests p, which isn't kept.
func (t *tap) leaveOut(p []byte, why omission) error {
	if t.piece.open && t.piece.why != why {
		if err := t.resume(); err != nil {
			return err
		}
	}
	if !t.piece.open {
		t.piece = piece{open: true, why: why}
		if text := why.text(); text != "" && (t.kept || why != inputOmitted) { // input of which nothing is kept has no gap
			if err := t.rec.Frame(recording.Gap, t.channel, []byte(text)); err != nil {
				return err
			}
		}
	}
	t.lost.add(t.kind, why, t.piece.add(p))
	return nil
}

// resume ends the piece that was left out, if there is one: what stands for it,
// and its end, go into the recording.
func (t *tap) resume() error {
	if !t.piece.open {
		return nil
	}
	p := t.piece
	t.piece = piece{}
	tail := p.cut(maxEnd)
	if t.keeps != nil {
		tail = tail[len(tail)-t.keeps(len(tail)):]
		if len(tail) < len(p.tail) && t.whole {
			return errShare
		}
	}
	p.cut(len(tail))
	t.lost.add(t.kind, p.why, p.uncounted)
	if err := p.record(t.rec, t.channel, t.kind.String()); err != nil || len(p.tail) == 0 {
		return err
	}
	return t.rec.Frame(t.kind, t.channel, p.tail)
}

// blank records that a line of n bytes stood here that is masked, in words for it; none
// did if n is 0.
func (t *tap) blank(n int, words string) error {
	if n == 0 {
		return nil
	}
	if err := t.resume(); err != nil { // what is digested around it is in one piece
		return err
	}
	t.lost.mask(n)
	return t.rec.Frame(recording.Gap, t.channel, fmt.Appendf(nil, words, n))
}

// close records what stands for the bytes that weren't kept.
func (t *tap) close() error {
	switch {
	case t == nil:
		return nil
	case t.typing != nil:
		return t.rest()
	case t.kind == recording.Input:
		if err := t.mask.end(t); err != nil {
			return err
		}
	}
	return t.resume()
}
