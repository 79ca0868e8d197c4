package bastion_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion"
	"entry/e2e/testkit"
)

func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c, idle := s.login("alice"), s.login("bob")
	inner := c.jump("home")
	begin(t, inner)
	ended := make(chan int, 1)
	go func() { ended <- s.server.Shutdown(context.Background()) }()
	testkit.Eventually(t, "nobody listens", func() bool {
		nc, err := net.Dial("tcp", s.addr)
		if err == nil {
			nc.Close()
		}
		return err != nil
	})
	// What runs goes on; nothing new begins that would only be cut.
	s.refusedWith(t, c.told(jumpTo("home", 22)), audit.JumpRefused, "draining")
	s.refusedWith(t, idle.refused(jumpTo("home", 22)), audit.JumpRefused, "draining")
	if out, _, err := run(t, inner, "say in"); out != "in" {
		t.Errorf("%q, %v", out, err)
	}
	if len(ended) != 0 {
		t.Fatal("the drain doesn't wait")
	}
	inner.Close()
	var n int
	testkit.Finishes(t, "the drain", func() { n = <-ended })
	if n != 0 {
		t.Errorf("%d sessions had to be ended", n)
	}
	testkit.Finishes(t, "idle connections", func() { _ = c.Wait(); _ = idle.Wait() })
	if err := <-s.served; !errors.Is(err, bastion.ErrClosed) {
		t.Error(err)
	}
	s.served <- nil
}

// With no time to drain, users read why, and every session is sealed and has
// its end in the log: running ones, half-open ones and those that nobody began.
func TestShutdownEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	said := begin(t, c.jump("home"))
	c.jump("home") // without a channel in it
	if _, err := c.open(jumpTo("home", 22)); err != nil {
		t.Fatal(err)
	}
	raw := testkit.Must(net.Dial("tcp", s.addr))(t)
	defer raw.Close()
	s.holds(t, 2, 2) // nothing is dialled for a jump that nobody logs in to
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	began := time.Now()
	testkit.Finishes(t, "the shutdown", func() { s.server.Shutdown(ctx) })
	if took := time.Since(began); took > testkit.Bound(8*time.Second) {
		t.Errorf("it took %s", took)
	}
	if text := said(); !strings.Contains(text, "shutting down") {
		t.Errorf("the user is told %q", text)
	}
	start, end := s.log.All(audit.SessionStarted), s.log.All(audit.SessionEnded)
	if len(start) != 2 || len(end) != 2 || end[0].Recording == nil || end[1].Recording == nil {
		t.Errorf("%+v\n%+v", start, end)
	}
	s.idle(t, 0)
}

// holds waits for a number of sessions and one of connections at home.
func (s *site) holds(t *testing.T, sessions, open int) {
	t.Helper()
	testkit.Eventually(t, "sessions and connections at home", func() bool { return len(s.server.Access().Sessions()) == sessions && s.home.open() == open })
}

// A log that fails ends the server and everything open, also while it drains.
func TestLogFails(t *testing.T) {
	t.Parallel()
	for name, draining := range map[string]bool{"serving": false, "draining": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{policy: func(s *site) string { return strings.Replace(usual(s), "record: full", "record: metadata", 1) }})
			begin(t, s.login("alice").jump("home"))
			down := make(chan struct{})
			if draining {
				go func() { defer close(down); s.server.Shutdown(context.Background()) }()
				testkit.Eventually(t, "nobody listens", func() bool {
					nc, err := net.Dial("tcp", s.addr)
					if err == nil {
						nc.Close()
					}
					return err != nil
				})
			} else {
				close(down)
			}
			s.log.Refuse(func(audit.Event) bool { return true })
			s.log.Fail()
			testkit.Finishes(t, "the end", func() { <-down })
			s.idle(t, 0)
			if !draining {
				var err error
				testkit.Finishes(t, "serving", func() { err = <-s.served })
				if err == nil || errors.Is(err, bastion.ErrClosed) {
					t.Errorf("%v", err)
				}
				s.served <- nil
			}
		})
	}
}
