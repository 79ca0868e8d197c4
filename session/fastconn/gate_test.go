package fastconn

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"entry/session/group"
)

// A connection that holds some isn't read while there is no room, whatever its peer may send;
// one that holds little is, and both are as soon as there is some.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		i := NewIntake(near)
		i.LoggedIn()
		i.reader(near) // of a channel that nobody reads
		var full atomic.Bool
		var grown, got atomic.Int64
		i.Gate(func(n int64) bool { grown.Add(n); return full.Load() })
		go func() {
			b := make([]byte, 4<<10)
			for {
				n, err := i.Read(b)
				got.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
		send := func(n int) {
			go func() { _, _ = far.Write(make([]byte, n)) }() // ends with the pipe
			synctest.Wait()
		}
		full.Store(true)
		send(gateKeep)
		if got.Load() != gateKeep {
			t.Errorf("%d bytes of the little that is let through", got.Load())
		}
		send(1 << 20)
		if got.Load() > gateKeep+gateStep+4<<10 {
			t.Errorf("%d bytes came in without room", got.Load())
		}
		full.Store(false)
		time.Sleep(gateEvery) // of the bubble's clock
		synctest.Wait()
		if got.Load() != gateKeep+1<<20 {
			t.Errorf("%d bytes with room", got.Load())
		}
		if grown.Load() > got.Load() || grown.Load() < got.Load()-2*gateStep {
			t.Errorf("%d bytes were told of %d", grown.Load(), got.Load())
		}
	})
}

// Who shares a bound of what is accepted may collect less once all have much.
func TestAhead(t *testing.T) {
	var all Ahead
	g := group.New(t.Context(), nil)
	stuck := make(chan struct{})
	w := &writeBehind{among: &all}
	w.init(g, "writer", func([]byte) error { <-stuck; return nil }, func() {}, func() {})
	if w.limit() != batchLimit {
		t.Errorf("%d", w.limit())
	}
	if n, err := w.queue(make([]byte, 100<<10)); n != 100<<10 || err != nil {
		t.Fatal(n, err)
	}
	if all.bytes.Load() != 100<<10 || w.ahead.Load() != 100<<10 {
		t.Errorf("%d and %d bytes are ahead", all.bytes.Load(), w.ahead.Load())
	}
	all.bytes.Add(aheadOfAll)
	if w.limit() != aheadLeast {
		t.Errorf("%d", w.limit())
	}
	close(stuck)
	w.wait()
	if all.bytes.Load() != aheadOfAll || w.ahead.Load() != 0 {
		t.Errorf("%d and %d bytes are ahead of what is written", all.bytes.Load(), w.ahead.Load())
	}
	g.Wait()
}
