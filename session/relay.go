package session

import (
	"context"
	"sync"
	"time"

	"entry/audit/refusal"
	"entry/policy"
)

const (
	// farewellGrace bounds how long users are given to take the text that says
	// why their session ends.
	farewellGrace = 3 * time.Second

	// deliveryGrace bounds how long the target is given to take what a client
	// sent before it left; in a forward, how long it may take none of it.
	deliveryGrace = 2 * time.Second

	// exitGrace is how long the end of a program's output is kept from the
	// client while its exit status may follow.
	exitGrace = 2 * time.Second

	maxText = 400 // bytes of one line to a user; OpenSSH's log line holds 1 KiB
)

// Relay relays one authorised connection between the client leg, on which
// entry is the server, and the upstream leg, on which it is the client. It
// returns when the session is over: nil if the client left by itself, else an
// *refusal.Error. All goroutines it started are done by then and both legs are
// closed.
//
// Cancelling ctx ends the session: its cause, if it is an *refusal.Error, is what the
// users of open session channels read on standard error. They have a few
// seconds to take it. What the target sent and the client has not taken by
// then is lost.
func Relay(ctx context.Context, client, upstream Leg, o Options) (Stats, error) {
	f, g, err := newFlow(ctx, o)
	r := &relay{flow: f, client: client, upstream: upstream, upGone: make(chan struct{}), hungUp: make(chan struct{}),
		freed: make(chan struct{}, 1), terminals: map[chan string]struct{}{}}
	r.complete = g.RecordComplete()
	r.places.most = [2]int{sessionPlace: f.o.MaxSessions, otherPlace: f.o.MaxOthers}
	f.withdraw = r.withdrawn
	if err == nil {
		r.group.Run("relay", func() { r.serve(ctx, g.Limits()) })
	}
	r.finish()
	r.group.Run("sum of files", func() {
		if sum, ok := r.files.sum(); ok {
			r.event(sum)
		}
	})
	r.group.Run("sum of facts", func() {
		if err := r.facts.sum(r.o.Recorder); err != nil {
			r.unrecorded(err)
		}
	})
	r.group.Run("return of budgets", r.meter.giveBack)
	r.group.Run("sums of refusals", func() { r.sums(r.repeats.Sums(time.Now(), true)) })
	s := Stats{BytesDown: r.meter.moved[towardsClient].Load(), BytesUp: r.meter.moved[towardsTarget].Load()}
	s.Sessions, s.Forwards = r.places.counts()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Exit, s.Coverage = r.exit, r.flow.coverage
	return s, r.result()
}

// relay is one session: a flow over channels that come on two legs. One
// goroutine, serve and then finish, owns the legs' Go channels; every channel
// has its own goroutines.
type relay struct {
	*flow
	client, upstream Leg
	places           places
	complete         bool // the recording has to be
	listens          listens
	told             told

	upGone   chan struct{}  // closed once the upstream connection is gone
	hungUp   chan struct{}  // closed once both are
	freed    chan struct{}  // a channel ended
	channels sync.WaitGroup // goroutines that own a channel; only serve adds
	digested sync.Once      // the alarm of that

	// Guarded by the flow's mu.
	terminals  map[chan string]struct{} // where messages are heard
	agent, x11 bool                     // asked for and granted
	cut        bool                     // a channel lost its upstream
	warned     bool                     // of the share
	exit       *int                     // the last one that the target sent
}

// owns runs f on a goroutine that owns a channel.
func (r *relay) owns(name string, f func()) {
	r.channels.Add(1)
	r.group.Go(name, func() {
		defer r.channels.Done()
		f()
	})
}

// serve dispatches what comes on both legs until the session is over. Nothing
// in it blocks on a peer.
func (r *relay) serve(ctx context.Context, limits policy.Limits) {
	clientPulse := r.newPulse(r.client.Conn, r.o.ClientKeepAlive, towardsClient)
	defer clientPulse.stop()
	upPulse := r.newPulse(r.upstream.Conn, r.o.UpstreamKeepAlive, towardsTarget)
	defer upPulse.stop()
	clock := r.newClock(limits, "sessions on")
	defer clock.stop()
	recheck, messages := r.o.Recheck, r.o.Messages
	var movedBefore int64
	globals := newSerial(r.group, "global request", r.global)
	upChannels, upRequests := r.upstream.Channels, r.upstream.Requests
	for {
		select {
		case <-ctx.Done():
			r.end(context.Cause(ctx))
		case <-r.ending:
			return
		case <-r.unrecordable():
			r.unrecorded(r.o.Recorder.Err())
		case <-clock.c:
			clock.struck()
		case _, ok := <-recheck:
			if !ok {
				recheck = nil
				continue
			}
			r.wantRecheck()
		case text, ok := <-messages:
			if !ok {
				messages = nil
				continue
			}
			r.announce(text)

		case nc, ok := <-r.client.Channels:
			if !ok {
				return // the client left
			}
			r.client.Intake.Asked()
			r.fromClient(nc)
		case req, ok := <-r.client.Requests:
			if !ok {
				return
			}
			r.client.Intake.Asked()
			if !globals.push(req, false) {
				r.end(floodEnd("global requests"))
			}
		case <-globals.done:
			globals.next()

		case nc, ok := <-upChannels:
			if !ok {
				upChannels = nil
				close(r.upGone)
				upPulse.stop()
				r.upstreamGone()
				continue
			}
			r.upstream.Intake.Asked()
			r.fromUpstream(nc)
		case req, ok := <-upRequests:
			if !ok {
				upRequests = nil
				continue
			}
			r.upstream.Intake.Asked()
			// hostkeys-00@openssh.com and everything else that a server may ask
			// concerns entry itself: nothing of it is the client's.
			_ = req.Reply(isKeepAlive(req), nil) // the connection may be gone
		case <-r.freed:
			if upChannels == nil {
				r.upstreamGone()
			}

		case <-upPulse.tick():
			moved := r.meter.bytes()
			if moved == movedBefore {
				r.group.Go("return of budgets", r.meter.giveBack)
			}
			r.sumUp()
			r.warnOfShare()
			movedBefore = moved
			if upPulse.beat() {
				r.end(&refusal.Error{Text: r.target + " stopped answering", Code: refusal.UpstreamTimeout})
			}
		case <-upPulse.answered:
			upPulse.alive()
		case <-clientPulse.tick():
			if clientPulse.beat() {
				r.end(&refusal.Error{Text: "this client stopped answering", Code: refusal.ClientTimeout})
			}
		case <-clientPulse.answered:
			clientPulse.alive()
		}
	}
}
