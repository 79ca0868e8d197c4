package portal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever asks for their sessions as often as they can has the log read for them once:
// it once kept a core busy, and others waited behind ten of theirs.
func TestPastSessionsAreReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPasts()
		reads := map[string]int{}
		gate := make(chan struct{})
		ask := func(ctx context.Context, user string, turnover uint64) error {
			all, err := p.sessions(ctx, user, turnover, time.Now, func() ([]pastSession, error) {
				reads[user]++
				select {
				case <-gate:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
				return make([]pastSession, 5*historyShown), nil
			})
			if err == nil && len(all) != 2*historyShown {
				t.Errorf("%d sessions are kept", len(all))
			}
			return err
		}
		for range 10 {
			go func() {
				if err := ask(t.Context(), "alice", 1); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		bob := make(chan error, 1)
		go func() { bob <- ask(t.Context(), "bob", 1) }()
		synctest.Wait()
		gate <- struct{}{}
		gate <- struct{}{}
		if err := <-bob; err != nil || reads["alice"] != 1 || reads["bob"] != 1 {
			t.Errorf("bob: %v, behind %d of alice's", err, reads["alice"])
		}
		synctest.Wait()
		close(gate)
		if err := ask(t.Context(), "alice", 1); err != nil || reads["alice"] != 1 {
			t.Errorf("the same once more: %v, %d reads", err, reads["alice"])
		}
		if err := ask(t.Context(), "alice", 2); err != nil || reads["alice"] != 2 {
			t.Errorf("a session has ended: %v, %d reads", err, reads["alice"])
		}
		time.Sleep(pastFor)
		if err := ask(t.Context(), "alice", 2); err != nil || reads["alice"] != 3 || len(p.of) != 1 {
			t.Errorf("later: %v, %d reads, %d kept", err, reads["alice"], len(p.of))
		}
		// Who reads and leaves takes nobody else's answer.
		gate = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- ask(ctx, "carol", 1) }()
		synctest.Wait()
		stays := make(chan error, 1)
		go func() { stays <- ask(t.Context(), "carol", 1) }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
		close(gate)
		if err := <-stays; err != nil {
			t.Errorf("who stays: %v", err)
		}
	})
}
