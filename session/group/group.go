// Package group starts goroutines, each with an owner: there is no bare go
// statement anywhere else (e2e/goroutines_test.go). It knows two kinds.
//
// Goroutines of one connection or session belong to a Group. A panic in one
// ends that group and nothing else: it becomes the cause with which the
// group's context is cancelled, with the goroutine's name and stack. Whoever
// made the group waits for all of it.
//
// A goroutine that owns state which many share (the log's commits, the spool's
// ticks) is Vital. Going on without it would be silent loss, so a panic there
// ends the process, as Go does by itself, after its name.
//
// When not to use it: for a computation that is split over cores and joined in
// the same function. Functions that the runtime or a library starts by itself
// (time.AfterFunc, context.AfterFunc, x/crypto/ssh, net/http) aren't covered:
// what entry passes to them is kept to closing and signalling, which can't
// panic, and nothing is promised of theirs. The docs of the packages session and
// bastion say which goroutines there are, who waits for whom, and in what order
// locks are taken.
package group

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
)

// Panic is what a goroutine of a Group died of. It is a defect: it goes to the
// log, never to a user.
type Panic struct {
	Name  string // of the goroutine
	Value any    // given to panic
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack) }

// Group is the goroutines of one connection or session. Make one with New; it
// is safe for concurrent use.
type Group struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	panicked func(*Panic)

	mu      sync.Mutex // guards what follows; no other lock is taken under it
	running int        // goroutines
	idle    sync.Cond  // running is 0
}

// New returns a group without goroutines, whose context ends with ctx. panicked
// is told of every panic, on the goroutine that it ends and after the group was
// cancelled with it; it must not block. Nil tells nobody.
func New(ctx context.Context, panicked func(*Panic)) *Group {
	g := &Group{panicked: panicked}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	g.idle.L = &g.mu
	return g
}

// Context is done when the group is to end: its cause says why.
func (g *Group) Context() context.Context { return g.ctx }

// Cancel tells the group to end. The first cause counts; nil stands for
// context.Canceled. It doesn't wait.
func (g *Group) Cancel(cause error) { g.cancel(cause) }

// Go runs f on a goroutine of the group. name says in the log which one it was.
// It may be called at any time and from anywhere, also while somebody waits:
// conns start goroutines of their group when a library writes to them.
func (g *Group) Go(name string, f func()) {
	g.count(1)
	go func() {
		defer g.count(-1)
		g.Run(name, f)
	}()
}

func (g *Group) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running += n; g.running == 0 {
		g.idle.Broadcast()
	}
}

// Run runs f on the caller's goroutine, with the care that Go takes.
func (g *Group) Run(name string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			p := &Panic{Name: name, Value: v, Stack: debug.Stack()}
			g.cancel(p)
			if g.panicked != nil {
				g.panicked(p)
			}
		}
	}()
	f()
}

// Wait returns once all goroutines of the group have ended: in a moment in
// which none runs. It cancels nothing.
func (g *Group) Wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.running > 0 {
		g.idle.Wait()
	}
}

// Vital runs f on a goroutine that owns shared state. done is closed when f has
// returned. A panic in f ends the process: the name is printed, then Go's own
// report.
func Vital(name string, f func()) (done <-chan struct{}) {
	ended := make(chan struct{})
	go func() {
		defer func() {
			if v := recover(); v != nil {
				fmt.Fprintf(os.Stderr, "entry: %s can't go on, so the process ends\n", name)
				panic(v) // Go prints both places and exits with 2
			}
		}()
		f()
		close(ended) // not after a panic: whoever waits mustn't go on, or end the process as if nothing had been
	}()
	return ended
}
