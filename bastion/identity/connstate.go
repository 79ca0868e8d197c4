package identity

import (
	"sync"
)

// dialoguesPerConn is how many dialogues a connection gets. sshd's
// MaxAuthTries of 6 counts methods; a dialogue is two answers, so half of it.
const dialoguesPerConn = 3

// ConnState is what identity remembers of one client connection: how many
// dialogues it has had and which code it has already spent. One ConnState
// belongs to one connection and is safe for concurrent use.
type ConnState struct {
	mu        sync.Mutex
	dialogues int
	spentAuth string // authenticator of the step spent here; "" for none
	spentStep int64

	text texted

	once, await     sync.Once
	opened, awaited chan struct{}
}

// NewConnState returns the state of a connection that has done nothing yet.
func NewConnState() *ConnState {
	return &ConnState{opened: make(chan struct{}), awaited: make(chan struct{})}
}

// EnrolmentOpened is closed once a right temporary passphrase or recovery code
// opened a reset or an enrolment, which takes people longer than a login: the
// server then extends the grace (and moves the connection to its own pool).
func (c *ConnState) EnrolmentOpened() <-chan struct{} { return c.opened }

func (c *ConnState) openEnrolment() { c.once.Do(func() { close(c.opened) }) }

// take uses up one dialogue and tells whether there was one left.
func (c *ConnState) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialogues >= dialoguesPerConn {
		return false
	}
	c.dialogues++
	return true
}

// remember keeps a step that this connection has spent; forget drops it, once
// a login has succeeded with it: a later confirmation needs a fresh code.
func (c *ConnState) remember(auth string, step int64) {
	c.mu.Lock()
	c.spentAuth, c.spentStep = auth, step
	c.mu.Unlock()
}

func (c *ConnState) forget() {
	c.mu.Lock()
	c.spentAuth, c.spentStep, c.text = "", 0, texted{}
	c.mu.Unlock()
}

func (c *ConnState) spent() (auth string, step int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spentAuth, c.spentStep
}
