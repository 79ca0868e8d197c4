package bastion_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/e2e/testkit/policies"
	"entry/session/recording"
)

// Sessions begin and end while the policy changes, an account is disabled and
// at last the server shuts down: each has one start and one end, and nothing is
// left.
func TestUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	with := policies.Parse(t, usual(s))
	without := policies.Parse(t, strings.Replace(usual(s), "[alice, bob]", "[bob]", 1))
	stop := make(chan struct{})
	began := make(chan struct{}, 1)
	s.log.Before(func(e audit.Event) {
		if e.Type == audit.SessionStarted {
			select {
			case began <- struct{}{}:
			default:
			}
		}
	})
	var all sync.WaitGroup
	worker := func(f func()) {
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		}()
	}
	for _, c := range []*client{s.login("alice"), s.login("alice"), s.login("bob"), s.login("bob")} {
		gone := make(chan struct{})
		go func() { defer close(gone); _ = c.Wait() }()
		worker(func() {
			done := make(chan struct{})
			go func() {
				defer close(done)
				inner, err := c.inner("home", nil) // refused, or cut, as it comes
				if err != nil {
					return
				}
				defer inner.Close()
				if sess, err := inner.NewSession(); err == nil {
					_ = sess.Run("say in")
				}
			}()
			// Not for ever where the connection ends: x/crypto's OpenChannel never
			// returns if that happens at the wrong moment.
			select {
			case <-done:
			case <-gone:
				select {
				case <-done:
				case <-time.After(time.Second):
				}
				<-stop
			}
		})
	}
	worker(func() { // each time a session begins
		select {
		case <-began:
		case <-stop:
		}
		s.server.Access().SetPolicy(without)
		s.server.Access().SetPolicy(with)
	})
	testkit.Eventually(t, "some sessions", func() bool { return len(s.log.All(audit.SessionEnded)) > 12 })
	s.operate("POST", "/v1/users/alice/disable", "")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	testkit.Finishes(t, "shutdown", func() { s.server.Shutdown(ctx) })
	close(stop)
	testkit.Finishes(t, "everything", all.Wait)
	starts, ends := map[string]int{}, map[string]int{}
	for _, e := range s.log.All(audit.SessionStarted) {
		starts[e.Session]++
	}
	for _, e := range s.log.All(audit.SessionEnded) {
		ends[e.Session]++
	}
	for id := range starts {
		if starts[id] != 1 || ends[id] != 1 {
			t.Errorf("%s: %d starts, %d ends", id, starts[id], ends[id])
		}
	}
	if len(starts) != len(ends) {
		t.Errorf("%d sessions started, %d ended", len(starts), len(ends))
	}
	for _, r := range testkit.Must(recording.List(s.dir + "/spool"))(t) {
		if starts[r.Header.ID] != 1 {
			t.Errorf("a recording of no session: %s", r.Header.ID)
		}
	}
	s.idle(t, 0)
}
