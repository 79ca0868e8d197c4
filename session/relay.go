package session

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/policy"
)

const (
	// farewellGrace bounds how long users are given to take the text that says
	// why their session ends.
	farewellGrace = 3 * time.Second

	// deliveryGrace bounds how long the target is given to take what a client
	// sent before it left.
	deliveryGrace = 2 * time.Second

	maxText = 400 // bytes of one line to a user; OpenSSH's log line holds 1 KiB
)

// Relay relays one authorised connection between the client leg, on which
// entry is the server, and the upstream leg, on which it is the client. It
// returns when the session is over: nil if the client left by itself, else an
// *End. All goroutines it started are done by then and both legs are closed.
//
// Cancelling ctx ends the session: its cause, if it is an *End, is what the
// users of open session channels read on standard error. They have a few
// seconds to take it. What the target sent and the client has not taken by
// then is lost.
func Relay(ctx context.Context, client, upstream Leg, o Options) (Stats, error) {
	r := &relay{o: o, client: client, upstream: upstream, ending: make(chan struct{}), upGone: make(chan struct{}),
		freed: make(chan struct{}, 1), listens: map[listen]int{}, told: map[string]bool{}, start: time.Now()}
	err := r.o.fill()
	var limits policy.Limits
	if err == nil {
		limits, err = r.begin()
	}
	if err != nil {
		r.end(err)
	} else {
		r.guard(func() { r.serve(ctx, limits) })
	}
	r.finish()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.BytesDown, s.BytesUp = r.down.Load(), r.up.Load()
	if r.cause == nil {
		return s, nil
	}
	return s, r.cause
}

// relay is one session. One goroutine, serve and then finish, owns the legs'
// Go channels; every channel has its own goroutines.
type relay struct {
	o                Options
	client, upstream Leg
	target           string // full name, for texts

	ending chan struct{} // closed once cause is set: everything stops
	upGone chan struct{} // closed once the upstream connection is gone
	freed  chan struct{} // a channel ended

	all      sync.WaitGroup // every goroutine
	channels sync.WaitGroup // goroutines that own a channel; only serve adds

	start    time.Time
	lastByte atomic.Int64 // nanoseconds since start
	down, up atomic.Int64 // bytes, all channels
	movedUp  atomic.Uint64
	movedCli atomic.Uint64

	mu          sync.Mutex // guards what follows; never held across I/O
	cause       *End
	stats       Stats
	nextChannel uint32
	sessions    int            // open or opening
	others      int            // open or opening
	overflow    map[string]int // refused for a limit, by channel type
	listens     map[listen]int // what the target listens on for this client, and the port asked for
	settling    chan struct{}  // closed when the listen being asked for is answered
	agent, x11  bool           // asked for and granted
	cut         bool           // a channel lost its upstream
	told        map[string]bool
}

// begin asks for the grant that the session as a whole runs under.
func (r *relay) begin() (policy.Limits, error) {
	g, err := r.decide()
	if err != nil {
		return policy.Limits{}, &End{Text: userText(err), Reason: ReasonDenied, err: err}
	}
	r.target = g.Target().FullName()
	return g.Limits(), nil
}

var (
	errUnrecorded = errors.New("recording is required but isn't running")
	errRecorder   = errors.New("the recorder gave up without a reason")
)

// decide asks policy anew. A grant that wants a recording is none without one.
func (r *relay) decide() (policy.Grant, error) {
	g, err := r.o.Decide()
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

// userText is what a user may read of an error of decide.
func userText(err error) string {
	var denied *policy.Denied
	switch {
	case errors.As(err, &denied):
		return denied.Error()
	case errors.Is(err, errUnrecorded):
		return errUnrecorded.Error() + "; reconnect to start one"
	}
	return "access can't be checked right now"
}

// goes runs f in a goroutine that Relay waits for. A panic ends this session
// and no other.
func (r *relay) goes(f func()) {
	r.all.Add(1)
	go func() {
		defer r.all.Done()
		r.guard(f)
	}()
}

// owns is goes for a goroutine that owns a channel.
func (r *relay) owns(f func()) {
	r.channels.Add(1)
	r.goes(func() {
		defer r.channels.Done()
		f()
	})
}

func (r *relay) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			r.end(&End{Text: "internal error", Reason: ReasonInternal, err: fmt.Errorf("panic: %v\n%s", v, debug.Stack())})
		}
	}()
	f()
}

// end ends the session; the first cause counts.
func (r *relay) end(err error) {
	var why *End
	if !errors.As(err, &why) {
		why = &End{Text: "the session was ended", Reason: ReasonCancelled, err: err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause == nil {
		r.cause = why
		close(r.ending)
	}
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
		r.end(&End{Text: "the audit log can't be written", Reason: ReasonAudit, err: fmt.Errorf("append %s: %w", e.Type, err)})
		return false
	}
	return true
}

// unrecorded ends the session because a frame could not be kept.
func (r *relay) unrecorded(err error) {
	r.mu.Lock()
	first := r.cause == nil
	r.mu.Unlock()
	if err == nil {
		err = errRecorder
	}
	r.end(&End{Text: "the recording can't go on", Reason: ReasonRecording, err: fmt.Errorf("record: %w", err)})
	if first {
		r.event(audit.Event{Type: audit.RecordingFailed, Reason: ReasonRecording})
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
	globals := newSerial(r.goes, r.global)
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
			if upPulse.beat() {
				r.end(&End{Text: r.target + " stopped answering", Reason: ReasonUpstreamTimeout})
			}
		case <-upPulse.answered:
			upPulse.alive()
		case <-clientPulse.tick():
			if clientPulse.beat() {
				r.end(&End{Text: "this client stopped answering", Reason: ReasonClientTimeout})
			}
		case <-clientPulse.answered:
			clientPulse.alive()

		case <-session:
			r.end(&End{Text: fmt.Sprintf("sessions on %s end after %s", r.target, limits.Session), Reason: ReasonSessionLimit})
		case <-idle:
			quiet := time.Since(r.start) - time.Duration(r.lastByte.Load())
			if quiet >= limits.Idle {
				r.end(&End{Text: fmt.Sprintf("nothing was sent or received for %s", limits.Idle), Reason: ReasonIdleLimit})
			} else {
				idleTimer.Reset(limits.Idle - quiet)
			}
		}
	}
}

func floodEnd(of string) *End {
	return &End{Text: "too many " + of + " at once", Reason: ReasonFlood}
}

// upstreamGone ends the session once no channel is open any more. Until then
// the channels deliver what the target had sent.
func (r *relay) upstreamGone() {
	r.mu.Lock()
	open, cut := r.sessions+r.others, r.cut
	r.mu.Unlock()
	switch {
	case open > 0:
	case cut:
		r.end(&End{Text: "the connection to " + r.target + " was lost", Reason: ReasonUpstreamLost})
	default:
		r.end(&End{Text: r.target + " closed the connection", Reason: ReasonUpstreamClosed})
	}
}

// finish serves both legs until they and every goroutine are gone.
func (r *relay) finish() {
	grace := deliveryGrace
	if r.over() {
		grace = farewellGrace
		// Only this ends the reads from the target; the client is told first.
		r.goes(func() { _ = r.upstream.Conn.Close() }) // it may be gone already
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	idle := make(chan struct{})
	r.goes(func() { r.channels.Wait(); close(idle) })
	hangUp := func() { // either may be gone already
		r.goes(func() { _ = r.upstream.Conn.Close() })
		r.goes(func() { _ = r.client.Conn.Close() })
	}
	cc, cr, uc, ur := r.client.Channels, r.client.Requests, r.upstream.Channels, r.upstream.Requests
	for cc != nil || cr != nil || uc != nil || ur != nil {
		select {
		case <-idle:
			idle = nil
			hangUp()
		case <-late.C:
			hangUp()
		case nc, ok := <-cc:
			cc = stillOpen(cc, ok)
			rejectLate(nc)
		case nc, ok := <-uc:
			uc = stillOpen(uc, ok)
			rejectLate(nc)
			if !ok {
				r.closeUpGone()
			}
		case req, ok := <-cr:
			cr = stillOpen(cr, ok)
			replyLate(req)
		case req, ok := <-ur:
			ur = stillOpen(ur, ok)
			replyLate(req)
		}
	}
	r.all.Wait()
}

func (r *relay) closeUpGone() {
	select {
	case <-r.upGone: // serve did
	default:
		close(r.upGone)
	}
}

func stillOpen[T any](c <-chan T, ok bool) <-chan T {
	if ok {
		return c
	}
	return nil
}

func rejectLate(nc ssh.NewChannel) {
	if nc != nil {
		_ = nc.Reject(ssh.ResourceShortage, "entry: the session is ending") // the peer may be gone
	}
}

func replyLate(req *ssh.Request) {
	if req != nil {
		_ = req.Reply(isKeepAlive(req), nil) // the peer may be gone
	}
}
