package session

import (
	"entry/audit"
	"entry/policy"
	"entry/session/transfer"
)

// decoder looks into what one channel carries, and decides what becomes of it.
// It may let bytes pass, put others in their place, answer by itself, end the
// channel, and note what it has seen: all by the methods of the ruling that it is
// given. decoderFor says who gets one. Decoders in packages below this one get
// an adapter here.
//
// Order. It is given the bytes of both directions as they were read, each
// direction in order. One call runs at a time. What it rules in one direction is
// delivered, and noted, in the order of its calls, and before it is given more
// of that direction. Between the directions there is no order but that of the
// calls: what it answers is on its way when the call returns, not delivered.
//
// Blocking. A call must not wait for anything: it holds up both directions. All
// that may wait (recorder, log, peers, budgets) is done after it returned, and
// the directions wait for themselves only: a client that sends without reading
// doesn't keep the target's answers from anybody else, nor the other way round.
//
// Slices. p, of at most fastconn.MaxChunk bytes, is the decoder's until the call
// returns. It may write into it. It may pass on parts of it, or buffers of its
// own: those are read until the next call in the same direction, or end, begins,
// and must not be written to before. Answer and Record copy.
//
// Memory. The hook holds what one call passed, and at most maxAnswers and what
// one call adds of answers in each direction; then the direction that is
// answered is read no further until they are taken, as if its peer had been busy.
// What a decoder holds itself is its own to bound, and to tell of as a holder if it
// is more than some KiB.
//
// Errors end the channel: a *refusal.Error with its text and code, as when a
// budget is spent, anything else as an internal error. What was passed or
// answered and isn't out yet is dropped then; what was noted is kept. The
// decoder isn't called again. A panic ends the session.
//
// What a decoder is not told: bytes that no budget covered, and anything after
// the flow or the channel's lease has ended. What is counted is what was read;
// what is recorded is what is delivered.
type decoder interface {
	// data is given p, which was read on its way in the direction to.
	data(to direction, p []byte, r *ruling) error
	// end says that nothing more comes in the direction to, because its source
	// or its destination has ended, or all is ending. Answers towards it are
	// dropped from then on. It isn't called for a direction that was detached.
	end(to direction, r *ruling) error
}

// holder is a decoder that may hold much, which is counted like what nobody takes.
// Its methods are called like data, and take no time.
type holder interface {
	// holds is how many bytes it holds.
	holds() int
	// spare has it give up what it can do without.
	spare()
}

// content is what a channel carries, as far as its opening tells.
type content struct {
	channel   string // its type: "session", "direct-tcpip", …
	command   string // for exec
	subsystem string
	terminal  bool
	grant     policy.Grant

	moves *transfer.Program // what moves files here; nil for anything else
	now   *rights           // that it has
	flow  *flow             // that it passes
	about audit.Event       // the channel
}

// decoderFor is who looks into a channel of that content; nil is nobody. This
// is where decoders are plugged in.
func decoderFor(c content) decoder {
	switch {
	case c.channel != "session":
		return &nestedSSH{refuse: c.grant.Record() == policy.Full}
	case c.moves != nil:
		return &moving{f: c.flow, grant: c.grant, about: c.about, now: c.now, dec: c.moves.Decoder(c.now.may), listsFiles: c.moves.ListsFiles()}
	}
	return nil
}
