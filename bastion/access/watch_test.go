package access

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"entry/policy"
	"entry/policy/strict"
)

// beamtime is a policy under which alice may use home until the given time.
func beamtime(t *testing.T, until time.Time) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(strict.File{Name: "t.yaml", Data: []byte(`
labs:
  tinker:
    members: [alice]
    targets:
      home: {address: "127.0.0.1:22", host_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"]}
rules:
  - name: beamtime
    who: {labs: [tinker]}
    where: {targets: [home.tinker]}
    may: [shell]
    valid: {until: "` + until.UTC().Format(time.RFC3339) + `"}
    because: beamtime 42
`)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWatchWarnsBeforeTheEndAndThenHasItDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := beamtime(t, start.Add(30*time.Minute))
		w := newWatch()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.run(ctx, time.Now, func() (policy.Grant, error) {
			target, _ := p.Target("home.tinker")
			return p.Decide(policy.Request{User: "alice", Target: target, Source: netip.MustParseAddr("127.0.0.1"), Time: time.Now(), Began: start})
		})
		for _, want := range []struct {
			after time.Duration
			text  string
		}{
			{20 * time.Minute, "access to home.tinker ends in 10 minutes (beamtime 42)"},
			{29 * time.Minute, "access to home.tinker ends in 1 minute (beamtime 42)"},
		} {
			got := <-w.messages
			if after := time.Since(start); after < want.after || after > want.after+2*time.Second || got != want.text {
				t.Errorf("after %v: %q, want %q after %v", after, got, want.text, want.after)
			}
		}
		synctest.Wait()
		for len(w.recheck) > 0 {
			<-w.recheck
		}
		<-w.recheck
		if after := time.Since(start); after < 30*time.Minute || after > 30*time.Minute+2*time.Second {
			t.Errorf("the relay is asked to end the session after %v", after)
		}
		cancel()
		<-w.done
		if len(w.messages) != 0 {
			t.Errorf("told again: %q", <-w.messages)
		}
	})
}

func TestWatchFollowsAPolicyThatShortensTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := beamtime(t, start.Add(24*time.Hour))
		w := newWatch()
		ctx, cancel := context.WithCancel(t.Context())
		go w.run(ctx, time.Now, func() (policy.Grant, error) {
			target, _ := p.Target("home.tinker")
			return p.Decide(policy.Request{User: "alice", Target: target, Time: time.Now()})
		})
		synctest.Wait()
		p = beamtime(t, start.Add(5*time.Minute))
		w.policyChanged()
		if got := <-w.messages; !strings.Contains(got, "ends in 5 minutes") {
			t.Errorf("told %q", got)
		}
		if len(w.recheck) != 1 {
			t.Error("a new policy isn't put to the relay")
		}
		cancel()
		<-w.done
	})
}
