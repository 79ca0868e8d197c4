package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/group"
)

const (
	// farewellGrace bounds how long users are given to take the text that says
	// why their session ends.
	farewellGrace = 3 * time.Second

	// deliveryGrace bounds how long the target is given to take what a client
	// sent before it left.
	deliveryGrace = 2 * time.Second

	// exitGrace is how long the end of a program's output is kept from the
	// client while its exit status may follow.
	exitGrace = 2 * time.Second

	maxText = 400 // bytes of one line to a user; OpenSSH's log line holds 1 KiB
)

// Relay relays one authorised connection between the client leg, on which
// entry is the server, and the upstream leg, on which it is the client. It
// returns when the session is over: nil if the client left by itself, else an
// *refusal.Error. All goroutines it started are done by then and both legs are closed.
//
// Cancelling ctx ends the session: its cause, if it is an *refusal.Error, is what the
// users of open session channels read on standard error. They have a few
// seconds to take it. What the target sent and the client has not taken by
// then is lost.
func Relay(ctx context.Context, client, upstream Leg, o Options) (Stats, error) {
	r := &relay{o: o, client: client, upstream: upstream, upGone: make(chan struct{}), hungUp: make(chan struct{}),
		freed: make(chan struct{}, 1), again: make(chan struct{}, 1), leases: map[*lease]struct{}{}, listens: map[listen]listening{},
		terminals: map[chan string]struct{}{}, told: map[string]bool{}, start: time.Now()}
	// Only serve looks at ctx: what a client that leaves has sent is still
	// delivered, though its connection's context ends with it.
	r.group = group.New(context.WithoutCancel(ctx), nil)
	r.ending = r.group.Context().Done()
	r.may[towardsClient].budget, r.may[towardsTarget].budget = o.BudgetDown, o.BudgetUp
	err := r.o.fill()
	var limits policy.Limits
	if err == nil {
		limits, err = r.begin()
	}
	if err != nil {
		r.end(err)
	} else {
		r.group.Run("relay", func() { r.serve(ctx, limits) })
	}
	r.finish()
	r.group.Run("return of budgets", r.giveBack)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.BytesDown, s.BytesUp = r.down.Load(), r.up.Load()
	if !r.over() {
		return s, nil
	}
	return s, r.cause()
}

// relay is one session. One goroutine, serve and then finish, owns the legs'
// Go channels; every channel has its own goroutines. All are the group's, which
// a panic cancels, and with it the session.
type relay struct {
	o                Options
	client, upstream Leg
	target           string // full name, for texts

	group  *group.Group    // its cause is why the session ends
	ending <-chan struct{} // closed once there is one: everything stops
	upGone chan struct{}   // closed once the upstream connection is gone
	hungUp chan struct{}   // closed once both are
	freed  chan struct{}   // a channel ended
	again  chan struct{}   // a recheck is due

	channels sync.WaitGroup // goroutines that own a channel; only serve adds

	start    time.Time
	lastByte atomic.Int64 // nanoseconds since start
	down, up atomic.Int64 // bytes, all channels
	movedUp  atomic.Uint64
	movedCli atomic.Uint64
	may      [2]allowance // bytes, by direction

	mu          sync.Mutex // guards what follows; never held across I/O
	stats       Stats
	nextChannel uint32
	sessions    int            // open or opening
	others      int            // open or opening
	overflow    map[string]int // refused for a limit, by channel type
	rechecks    uint64
	leases      map[*lease]struct{}
	terminals   map[chan string]struct{} // where messages are heard
	listens     map[listen]listening     // what the target listens on for this client
	settling    chan struct{}            // closed when the listen being asked for is answered
	agent, x11  bool                     // asked for and granted
	cut         bool                     // a channel lost its upstream
	told        map[string]bool
}

// begin asks for the grant that the session as a whole runs under.
func (r *relay) begin() (policy.Limits, error) {
	g, err := r.decide()
	if err != nil {
		return policy.Limits{}, &refusal.Error{Text: refusal.Of(err).Text, Code: refusal.Denied, Cause: err}
	}
	r.target = g.Target().FullName()
	return g.Limits(), nil
}

var (
	errUnrecorded = &refusal.Error{Code: "not-recorded", Text: "recording is required but isn't running; reconnect to start one"}
	errRecorder   = errors.New("the recorder gave up without a reason")
)

// decide asks policy anew. A grant that wants a recording is none without one.
func (r *relay) decide() (policy.Grant, error) { return r.granted(r.o.Decide) }

func (r *relay) granted(by func() (policy.Grant, error)) (policy.Grant, error) {
	g, err := by()
	switch {
	case err != nil:
		return policy.Grant{}, err
	case !g.Valid():
		return policy.Grant{}, &policy.Denied{}
	case g.Record() != policy.Metadata && r.o.Recorder == nil:
		return policy.Grant{}, errUnrecorded
	}
	return g, nil
}

// owns runs f on a goroutine that owns a channel.
func (r *relay) owns(name string, f func()) {
	r.channels.Add(1)
	r.group.Go(name, func() {
		defer r.channels.Done()
		f()
	})
}

// end ends the session; the first cause counts.
func (r *relay) end(err error) { r.group.Cancel(err) }

// cause is why the session ends, once it does.
func (r *relay) cause() *refusal.Error {
	err := context.Cause(r.group.Context())
	var why *refusal.Error
	var panicked *group.Panic
	switch {
	case errors.As(err, &panicked):
		return &refusal.Error{Text: "internal error", Code: refusal.Internal, Cause: panicked}
	case errors.As(err, &why):
		return why
	}
	return &refusal.Error{Text: "the session was ended", Code: refusal.Cancelled, Cause: err}
}

// over reports whether the session is to stop.
func (r *relay) over() bool {
	select {
	case <-r.ending:
		return true
	default:
		return false
	}
}

// event appends e; without it being durable nothing goes on.
func (r *relay) event(e audit.Event) bool {
	if err := r.o.Event(e); err != nil {
		r.end(&refusal.Error{Text: "the audit log can't be written", Code: refusal.Audit, Cause: fmt.Errorf("append %s: %w", e.Type, err)})
		return false
	}
	return true
}

// unrecorded ends the session because a frame could not be kept.
func (r *relay) unrecorded(err error) {
	first := !r.over()
	if err == nil {
		err = errRecorder
	}
	r.end(&refusal.Error{Text: "the recording can't go on", Code: refusal.Recording, Cause: fmt.Errorf("record: %w", err)})
	if first {
		r.event(audit.Event{Type: audit.RecordingFailed, Reason: refusal.Recording.String()})
	}
}

// serve dispatches what comes on both legs until the session is over. Nothing
// in it blocks on a peer.
func (r *relay) serve(ctx context.Context, limits policy.Limits) {
	clientPulse := r.newPulse(r.client.Conn, r.o.ClientKeepAlive, &r.movedCli)
	defer clientPulse.stop()
	upPulse := r.newPulse(r.upstream.Conn, r.o.UpstreamKeepAlive, &r.movedUp)
	defer upPulse.stop()
	var session, idle <-chan time.Time
	if limits.Session > 0 {
		t := time.NewTimer(limits.Session)
		defer t.Stop()
		session = t.C
	}
	var idleTimer *time.Timer
	if limits.Idle > 0 {
		idleTimer = time.NewTimer(limits.Idle)
		defer idleTimer.Stop()
		idle = idleTimer.C
	}
	var recorder <-chan struct{}
	if r.o.Recorder != nil {
		recorder = r.o.Recorder.Failed()
	}
	recheck, again, rechecked := r.o.Recheck, r.again, make(chan struct{}, 1)
	messages := r.o.Messages
	var movedBefore int64
	globals := newSerial(r.group, "global request", r.global)
	upChannels, upRequests := r.upstream.Channels, r.upstream.Requests
	for {
		select {
		case <-ctx.Done():
			r.end(context.Cause(ctx))
		case <-r.ending:
			return
		case <-recorder:
			recorder = nil
			r.unrecorded(r.o.Recorder.Err())

		case _, ok := <-recheck:
			if !ok {
				recheck = nil
				continue
			}
			r.wantRecheck()
		case <-again:
			again = nil
			r.group.Go("recheck", func() {
				defer func() { rechecked <- struct{}{} }()
				r.recheck()
			})
		case <-rechecked:
			again = r.again
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
			r.fromClient(nc)
		case req, ok := <-r.client.Requests:
			if !ok {
				return
			}
			if !globals.push(req) {
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
			r.fromUpstream(nc)
		case req, ok := <-upRequests:
			if !ok {
				upRequests = nil
				continue
			}
			// hostkeys-00@openssh.com and everything else that a server may ask
			// concerns entry itself: nothing of it is the client's.
			_ = req.Reply(isKeepAlive(req), nil) // the connection may be gone
		case <-r.freed:
			if upChannels == nil {
				r.upstreamGone()
			}

		case <-upPulse.tick():
			moved := r.down.Load() + r.up.Load()
			if moved == movedBefore {
				r.group.Go("return of budgets", r.giveBack)
			}
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

		case <-session:
			r.end(&refusal.Error{Text: fmt.Sprintf("sessions on %s end after %s", r.target, limits.Session), Code: refusal.SessionLimit})
		case <-idle:
			quiet := time.Since(r.start) - time.Duration(r.lastByte.Load())
			if quiet >= limits.Idle {
				r.end(&refusal.Error{Text: fmt.Sprintf("nothing was sent or received for %s", limits.Idle), Code: refusal.IdleLimit})
			} else {
				idleTimer.Reset(limits.Idle - quiet)
			}
		}
	}
}
