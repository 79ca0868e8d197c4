package session

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/fastconn"
)

// maxAnswers is how much of a decoder's answers waits for a direction. Whoever
// asks for more is read no further. OpenSSH's sftp has 64 requests under way.
const maxAnswers = 256 << 10 // bytes

// hook is where a decoder sits, between reading and delivering. The goroutine
// that reads a direction has the decoder look at each piece, and then delivers
// what came of it. Answers go the other way: there a goroutine of their own
// delivers them, so that no direction ever waits for the other one's peer.
//
// Locks: mu, then a lane's. An outlet's turn is taken with neither.
type hook struct {
	f       *flow
	lease   *lease
	grant   policy.Grant
	channel uint32      // for frames
	about   audit.Event // the channel, for events
	lanes   [2]lane     // by direction
	rulings [2]ruling   // likewise

	mu   sync.Mutex // one call of dec at a time; guards what lanes say is its, and told
	dec  decoder
	told int64 // what it held when the backlog was last told of it, or less

	holds atomic.Int64 // bytes that dec holds
	spare atomic.Bool  // dec is to give up what it can do without
}

// lane is what is under way in one direction, in the order in which it was
// ruled.
type lane struct {
	out *outlet

	// Guarded by the hook's mu.
	left   bool   // the decoder has detached
	inside bool   // the stream stands inside a packet
	held   []item // answers that wait for its end

	mu       sync.Mutex // guards what follows
	queue    []item
	head     int    // index of the first one in queue
	in, done uint64 // items that were queued, and of those taken out
	answers  int    // bytes, held ones too
	flushing bool   // a goroutine delivers answers
	closed   bool   // nothing is queued any more
	err      error  // why, where it is the peer's fault
	room     chan struct{}
}

// item is bytes to deliver, or something to note.
type item struct {
	p      []byte
	answer bool
	fact   func()
}

// newHook puts d between the outlets of a channel; nil if d is.
func (f *flow) newHook(d decoder, g policy.Grant, about audit.Event, l *lease, toClient, toTarget *outlet) *hook {
	if d == nil {
		return nil
	}
	h := &hook{f: f, lease: l, grant: g, about: about, dec: d}
	if about.Channel != nil {
		h.channel = *about.Channel
	}
	for to, out := range []*outlet{towardsClient: toClient, towardsTarget: toTarget} {
		h.lanes[to].out, h.lanes[to].room = out, make(chan struct{}, 1)
		h.rulings[to] = ruling{h: h, to: direction(to)}
	}
	return h
}

// pass has the decoder look at p and delivers what comes of it in the same
// direction. attached is false once that needs no decoder any more. After an
// error, p may still be being read.
func (h *hook) pass(to direction, p []byte) (attached bool, err error) {
	l, other := &h.lanes[to], &h.lanes[1-to]
	for len(p) > 0 {
		piece := p[:min(len(p), fastconn.MaxChunk)]
		p = p[len(piece):]
		var until uint64
		if until, attached, err = h.look(to, piece); err != nil {
			h.refuse(err)
			return attached, err
		}
		if err := h.deliver(l, until); err != nil {
			return attached, err
		}
		h.wait(other)
	}
	return attached, nil
}

// look calls the decoder and returns up to where the lane is to be delivered.
func (h *hook) look(to direction, p []byte) (until uint64, attached bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &h.lanes[to]
	if l.left {
		l.push(item{p: p})
	} else {
		err = h.dec.data(to, p, &h.rulings[to])
		h.reckon()
	}
	return l.queued(), !l.left, err
}

// end tells the decoder of the end of a direction, delivers all that is under
// way in it and takes no more.
func (h *hook) end(to direction) {
	if err := h.looked(to); err != nil {
		h.refuse(err)
	}
	_ = h.deliver(&h.lanes[to], math.MaxUint64) // copy has the failure that counts
	shut(&h.lanes[to], nil)
}

func (h *hook) looked(to direction) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &h.lanes[to]
	var err error
	if !l.left {
		err = h.dec.end(to, &h.rulings[to])
		h.reckon()
	}
	l.left = true
	return err
}

// reckon takes what the decoder holds, for the backlog; mu is held.
func (h *hook) reckon() {
	d, ok := h.dec.(holder)
	if !ok {
		return
	}
	if h.spare.Swap(false) {
		d.spare()
	}
	n := int64(d.holds())
	h.holds.Store(n)
	h.told = min(h.told, n)
	if n-h.told >= worthLooking {
		h.told = n
		h.f.o.Backlog.watch()
	}
}

// held is how many bytes are in memory here: the decoder's, and answers that nobody
// has taken.
func (h *hook) held() int64 {
	n := h.holds.Load()
	for i := range h.lanes {
		n += h.lanes[i].waiting()
	}
	return n
}

// spares has the decoder give up what it can do without, now or with the call that
// runs.
func (h *hook) spares() {
	h.spare.Store(true)
	if h.mu.TryLock() {
		defer h.mu.Unlock()
		h.reckon()
	}
}

// refuse ends the channel as the decoder wants it.
func (h *hook) refuse(err error) {
	h.mu.Lock()
	for to := range h.lanes {
		h.lanes[to].left = true
	}
	h.mu.Unlock()
	shut(&h.lanes[towardsClient], nil)
	shut(&h.lanes[towardsTarget], nil)
	var why *refusal.Error
	if !errors.As(err, &why) {
		why = &refusal.Error{Text: "internal error", Code: refusal.Internal, Cause: err}
	}
	h.lease.end(h.f.o.Ref(), why, "")
}

// deliver takes what is in the lane up to until out of it. It returns once all
// of that is delivered, or with what the peer failed with.
func (h *hook) deliver(l *lane, until uint64) error {
	l.out.turn <- struct{}{}
	defer func() { <-l.out.turn }()
	for h.next(l, until) {
	}
	return l.failure()
}

// flush delivers the answers in the lane, and what stands between them.
func (h *hook) flush(l *lane) {
	l.out.turn <- struct{}{}
	defer func() { <-l.out.turn }()
	for h.next(l, math.MaxUint64) || !l.idle() {
	}
}

// next takes one item out of the lane, if there is one before until, and does
// it; the outlet's turn is held.
func (h *hook) next(l *lane, until uint64) bool {
	it, ok := l.pop(until)
	switch {
	case !ok:
		return false
	case it.fact != nil:
		it.fact()
	case h.f.over() || h.lease.over():
		shut(l, nil)
	default:
		if err := l.out.putting(it.p); err != nil {
			shut(l, err)
		}
	}
	return true
}

// release queues the answers that were held and has them delivered; mu is held.
func (h *hook) release(l *lane) {
	for i, it := range l.held {
		l.push(it)
		l.held[i] = item{}
	}
	if len(l.held) > 0 && l.wake() {
		h.f.group.Go("answers of a decoder", func() { h.flush(l) })
	}
	l.held = l.held[:0]
}

// wait waits as long as too many answers are under way in the lane.
func (h *hook) wait(l *lane) {
	for l.full() {
		select {
		case <-l.room:
		case <-h.lease.ended:
			return
		case <-h.f.ending:
			return
		}
	}
}

// shut takes nothing more into the lane and drops what is in it, but for what
// was to be noted.
func shut(l *lane, err error) {
	for _, it := range l.close(err) {
		if it.fact != nil {
			it.fact()
		}
	}
}

func (l *lane) push(it item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed && it.fact == nil {
		return
	}
	l.queue = append(l.queue, it)
	l.in++
}

// queued is how many items were queued so far.
func (l *lane) queued() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.in
}

// answer makes room for an answer of n bytes; false says that nobody takes it.
func (l *lane) answer(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.answers += n
	return true
}

// waiting is how many bytes of answers are.
func (l *lane) waiting() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(l.answers)
}

func (l *lane) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && l.answers > maxAnswers
}

func (l *lane) pop(until uint64) (it item, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head == len(l.queue) || l.done >= until {
		return item{}, false
	}
	it = l.queue[l.head]
	l.queue[l.head] = item{}
	l.done++
	if l.head++; l.head == len(l.queue) {
		l.queue, l.head = l.queue[:0], 0
	}
	if it.answer {
		l.answers -= len(it.p)
		l.signal()
	}
	return it, true
}

// wake reports whether a goroutine is to be started for answers.
func (l *lane) wake() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flushing {
		return false
	}
	l.flushing = true
	return true
}

// idle ends what wake began if nothing is left to deliver.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head < len(l.queue) {
		return false
	}
	l.flushing = false
	return true
}

// close returns what is dropped.
func (l *lane) close(err error) []item {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed, l.err = true, err
	}
	rest := l.queue[l.head:]
	l.queue, l.head, l.done, l.answers = nil, 0, l.in, 0
	l.signal()
	return rest
}

func (l *lane) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// signal says that there may be room; one goroutine waits for it.
func (l *lane) signal() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}
