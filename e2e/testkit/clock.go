package testkit

import (
	"sync"
	"time"
)

// Noon is when the clocks of tests stand, unless they say otherwise.
var Noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Clock stands still until a test moves it. Its Now is what packages take as
// theirs. It is safe for concurrent use.
type Clock struct {
	mu     sync.Mutex
	at     time.Time
	went   time.Time     // by itself since then; zero if it stands
	stride time.Duration // at each look
}

// NewClock stands at t; at Noon if t is zero.
func NewClock(t time.Time) *Clock {
	if t.IsZero() {
		t = Noon
	}
	return &Clock{at: t}
}

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(c.stride)
	return c.now()
}

// Peek is Now without the stride.
func (c *Clock) Peek() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	if !c.went.IsZero() {
		return c.at.Add(time.Since(c.went))
	}
	return c.at
}

// Advance moves the clock by d and gives its time then.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.now()
}

// Set has the clock stand at t, or go on from there if it goes.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
	if !c.went.IsZero() {
		c.went = time.Now()
	}
}

// Go has the clock go on by itself, as fast as the machine's.
func (c *Clock) Go() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.went = c.now(), time.Now()
}

// Stride moves the clock by d ahead of each Now from now on, so that everything
// has a time of its own.
func (c *Clock) Stride(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stride = d
}
