package bastion

import (
	"context"
	"time"
)

// kexGrace bounds everything before the client has entry's host key, so that
// sockets which send a byte a second can't hold the startup slots for the
// whole login grace. That begins then: there may be a person who looks its fingerprint up.
const kexGrace = 20 * time.Second

// smsGrace is the time from the passphrase to the end of the dialogue where the
// code may have to arrive by SMS.
const smsGrace = 300 * time.Second

// extendForEnrolment gives the connection its long grace once a right
// temporary passphrase has opened the enrolment, and a longer one while a code
// by SMS may be under way. The returned function ends the wait for that.
func (l *login) extendForEnrolment(user string) (stop func()) {
	ctx, cancel := context.WithCancel(l.ctx)
	done := make(chan struct{})
	l.group.Go("grace for enrolment", func() {
		defer close(done)
		awaited := l.state.CodeAwaited()
		for {
			select {
			case <-l.state.EnrolmentOpened():
				if l.ticket.enrol(user) {
					l.grace(l.s.cfg.Login.EnrolmentGrace)
				}
				return
			case <-awaited:
				awaited = nil
				l.grace(max(l.s.cfg.Login.Grace, smsGrace))
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); <-done }
}

// grace closes the connection after d, counted from now.
func (l *login) grace(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	l.timer = time.AfterFunc(d, func() { l.conn.Close() })
}

func (l *login) endGrace() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.timer.Stop()
}
