package session

import (
	"sync"

	"entry/session/fastconn"
)

// early is the input of a session channel from before the program that it is for
// runs: a client may send what the channel's window holds, and never start one.
// Until then what it has sent counts for the backlog.
type early struct {
	s     *sessionChannel
	taken chan struct{} // closed once first is set
	mu    sync.Mutex    // guards first from then on: what is dropped may be read on
	first []byte

	begun  chan struct{} // closed once somebody reads, or nobody will
	once   sync.Once
	nobody bool
}

func newEarly(s *sessionChannel) *early {
	return &early{s: s, taken: make(chan struct{}), begun: make(chan struct{})}
}

// await waits for the first bytes, and with them for a reader.
func (e *early) await() {
	r := e.s.r
	if e.take() {
		c := &course{to: towardsTarget, src: e.s.client, dst: &outlet{}, lease: e.s.lease, flow: r.flow}
		c.hand.Store(fastconn.MiddleChunk)
		defer r.o.Backlog.enter(c)()
	}
	<-e.begun
	if e.nobody {
		r.drop(e.s.client)
	}
}

// take reads the first bytes, and tells whether any came. From then on they are
// their reader's.
func (e *early) take() (came bool) {
	defer close(e.taken) // also after a panic: a reader waits for it
	b := fastconn.Chunk(0, fastconn.MiddleChunk)
	n, _ := e.s.client.Read(*b) // an error comes again
	e.first = (*b)[:n]          // which keeps the buffer
	return n > 0
}

// Read reads what the client sends, from the beginning.
func (e *early) Read(p []byte) (int, error) {
	e.once.Do(func() { close(e.begun) })
	<-e.taken
	if n := e.rest(p); n > 0 {
		return n, nil
	}
	return e.s.client.Read(p)
}

// rest takes from the first bytes.
func (e *early) rest(p []byte) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := copy(p, e.first)
	e.first = e.first[n:]
	return n
}

// end says that nobody reads any more, if nobody does.
func (e *early) end() {
	e.once.Do(func() { e.nobody = true; close(e.begun) })
}
