package identity

import (
	"sync"
)

// dialoguesPerConn is how many dialogues a connection gets. sshd's
// MaxAuthTries of 6 counts methods; a dialogue is two answers, so half of it.
const dialoguesPerConn = 3

// ConnState is what identity remembers of one client connection: how many
// dialogues it has had and which code has been sent for it. One ConnState
// belongs to one connection and is safe for concurrent use.
type ConnState struct {
	mu        sync.Mutex
	dialogues int
	text      texted
	remarked  string // what there is to say of the dialogue before, or ""

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

// Refused tells whether a dialogue of the connection came to nothing.
func (c *ConnState) Refused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dialogues > 1
}

// remark keeps what the next question for a code says of a dialogue before.
func (c *ConnState) remark(text string) {
	c.mu.Lock()
	c.remarked = text
	c.mu.Unlock()
}

// remarks returns that, with a space behind, and forgets it.
func (c *ConnState) remarks() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := c.remarked
	if c.remarked = ""; text != "" {
		text += " "
	}
	return text
}

// forget drops the code that was sent, once a login has succeeded with it: a later
// confirmation needs a fresh one.
func (c *ConnState) forget() {
	c.mu.Lock()
	c.text = texted{}
	c.mu.Unlock()
}
