package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"entry/configs"
	"entry/session/group"
)

const (
	defaultQueue = 256
	maxQueue     = 1 << 16
)

// Notice is what a user should know about their account. It holds no secret.
type Notice struct {
	User   string    `json:"user"`
	Kind   string    `json:"kind"` // "authenticator-added"
	At     time.Time `json:"at"`
	Source string    `json:"source,omitempty"` // address that caused it
	Detail string    `json:"detail,omitempty"` // one sentence
}

// lossReason says why a notice didn't go out.
type lossReason string

const (
	lostFull   lossReason = "queue-full" // it gave way to newer ones
	lostFailed lossReason = "not-taken"  // the command or the webhook failed
	lostClosed lossReason = "closed"     // the program ended before its turn
)

// Loss tells of notices that didn't go out.
type Loss struct {
	Count  int    // notices lost
	Last   Notice // the last of them
	Reason string // "queue-full", "not-taken" or "closed"
	Err    error  // of a delivery that failed; for the log
}

// NoticesOptions are what a Notices is made of. One of Command, with a Timeout,
// and Webhook is required.
type NoticesOptions struct {
	configs.Notices
	// Queue is how many notices may wait. Zero means 256.
	Queue int
	// Lost hears of every notice that didn't go out, so that it becomes an event.
	// It is called by one goroutine at a time, never by Send. Required.
	Lost func(Loss)
}

// Notices hands notices on, in order, one at a time, from a goroutine of its own
// that ends with Close. It is safe for concurrent use.
type Notices struct {
	deliver func(context.Context, []byte) error
	lost    func(Loss)
	limit   int
	cancel  context.CancelFunc // ends the delivery in hand, and begins no other
	wake    chan struct{}      // holds one token when there may be something to do
	done    <-chan struct{}    // closed when the goroutine has ended

	mu      sync.Mutex // guards what follows; nothing is called while it is held
	waiting []Notice   // at most limit
	dropped Loss       // not reported yet; Count 0 for none
	late    Loss       // sent after Close began; the same
	cut     int        // deliveries that Close ended
	closed  bool
}

// NewNotices checks o and starts the goroutine.
func NewNotices(o NoticesOptions) (*Notices, error) {
	n := &Notices{lost: o.Lost, limit: o.Queue, wake: make(chan struct{}, 1)}
	if n.limit == 0 {
		n.limit = defaultQueue
	}
	if o.Lost == nil || n.limit < 0 || n.limit > maxQueue {
		return nil, fmt.Errorf("notices: Lost is required, and the queue takes 1 to %d", maxQueue)
	}
	var err error
	if n.deliver, err = deliverer(o.Notices); err != nil {
		return nil, err
	}
	n.start()
	return n, nil
}

// deliverer is how one line goes out.
func deliverer(o configs.Notices) (func(context.Context, []byte) error, error) {
	switch {
	case (len(o.Command) == 0) == (o.Webhook == nil):
		return nil, errors.New("notices: give either a command or a webhook")
	case o.Webhook != nil:
		p, err := newPoster(*o.Webhook)
		if err != nil {
			return nil, fmt.Errorf("notices: %w", err)
		}
		return func(ctx context.Context, line []byte) error { return p.post(ctx, "application/json", line) }, nil
	case !filepath.IsAbs(o.Command[0]):
		return nil, errors.New("notices: the command must be an absolute path")
	case o.Timeout <= 0:
		return nil, errors.New("notices: the command's timeout must be positive")
	}
	return command{argv: o.Command, timeout: o.Timeout}.run, nil
}

func (n *Notices) start() {
	ctx, cancel := context.WithCancel(context.Background()) // Close's, not a caller's
	n.cancel = cancel
	n.done = group.Vital("outbox of notices", func() { n.work(ctx) })
}

// Send queues v and returns at once. When the queue is full, the notice that has
// waited longest is lost instead: the newest tells most about what is going on,
// and the loss is reported.
func (n *Notices) Send(v Notice) {
	n.mu.Lock()
	switch {
	case n.closed:
		n.late.add(v, lostClosed)
	case len(n.waiting) == n.limit:
		n.dropped.add(n.waiting[0], lostFull)
		n.waiting = append(n.waiting[1:], v)
	default:
		n.waiting = append(n.waiting, v)
	}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default: // a token is there already
	}
}

func (l *Loss) add(v Notice, why lossReason) {
	l.Count++
	l.Last, l.Reason = v, string(why)
}

// Close takes no further notices, delivers the waiting ones until ctx is done,
// ends the delivery in hand then, and reports the rest as lost, with whatever
// was sent after it began. It returns once the goroutine has ended, with an
// error if notices were left. Send must not be called after it has returned.
func (n *Notices) Close(ctx context.Context) error {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
	stop := context.AfterFunc(ctx, n.cancel)
	<-n.done
	stop()
	n.cancel()
	n.mu.Lock()
	left, late := len(n.waiting)+n.cut, n.late
	rest := Loss{}
	for _, v := range n.waiting {
		rest.add(v, lostClosed)
	}
	n.waiting, n.late = nil, Loss{}
	n.mu.Unlock()
	for _, l := range []Loss{rest, late} {
		if l.Count > 0 {
			n.lost(l)
		}
	}
	if left > 0 {
		return fmt.Errorf("notices: %d were left at the end: %w", left, context.Cause(ctx))
	}
	return nil
}

// work delivers until Close has begun and nothing waits, or may go on no longer.
func (n *Notices) work(ctx context.Context) {
	for {
		n.mu.Lock()
		dropped := n.dropped
		n.dropped = Loss{}
		var next *Notice
		if len(n.waiting) > 0 && ctx.Err() == nil {
			v := n.waiting[0]
			next, n.waiting = &v, n.waiting[1:]
		}
		closed := n.closed
		n.mu.Unlock()
		if dropped.Count > 0 {
			n.lost(dropped)
		}
		switch {
		case next != nil:
			n.one(ctx, *next)
		case closed:
			return
		default:
			<-n.wake
		}
	}
}

func (n *Notices) one(ctx context.Context, v Notice) {
	line, err := json.Marshal(v)
	if err == nil {
		err = n.deliver(ctx, append(line, '\n'))
	}
	if err == nil {
		return
	}
	why := lostFailed
	if ctx.Err() != nil {
		why = lostClosed
		n.mu.Lock()
		n.cut++
		n.mu.Unlock()
	}
	n.lost(Loss{Count: 1, Last: v, Reason: string(why), Err: err})
}
