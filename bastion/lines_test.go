package bastion

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever asks for a hundred places at once has no more than a user's, and the next who
// comes is served before the rest of them.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLines(3, 2)
		var had []string
		places := map[string]*place{}
		start := func(ctx context.Context, key, user string) {
			go func() {
				p, err := l.take(ctx, key, user)
				if err != nil {
					return
				}
				had = append(had, user)
				places[user] = p
			}()
			synctest.Wait()
		}
		want := func(names ...string) {
			t.Helper()
			if !slices.Equal(had, names) {
				t.Errorf("%q, want %q", had, names)
			}
			had = nil
		}
		leaving, leave := context.WithCancel(t.Context())
		for range 5 {
			start(t.Context(), "home", "alice")
		}
		want("alice", "alice")
		start(t.Context(), "home", "bob")
		want("bob")
		start(leaving, "home", "carol")
		start(t.Context(), "home", "dan")
		start(t.Context(), "vault", "dan") // another machine
		want("dan")
		leave()
		synctest.Wait()
		bob := places["bob"]
		bob.give()
		bob.give() // once more does nothing
		synctest.Wait()
		want("dan")
		places["alice"].give()
		synctest.Wait()
		want("alice")
		// Who waits for a person gives way to others, not to the same user.
		places["alice"].pass()
		synctest.Wait()
		want()
		start(t.Context(), "home", "erin")
		want("erin")
		places["alice"].give()
		synctest.Wait()
		want() // three are taken: alice's other one, dan's, erin's
	})
}

func TestLinesEnd(t *testing.T) {
	l := newLines(1, 1)
	p, err := l.take(t.Context(), "home", "alice")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.take(ctx, "home", "bob"); err == nil {
		t.Error("a place that is taken")
	}
	p.pass()
	p.give()
	if len(l.of) != 0 {
		t.Errorf("%+v", l.of)
	}
}

// What failed is others' at once, and its user's again after a while; what has gone well lets
// its user have more of them at a time.
func TestFailedPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLines(3, 3)
		take := func(user string, ofUser int) (*place, bool) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			p, err := l.takeOf(ctx, "home", user, ofUser)
			return p, err == nil
		}
		first, _ := take("alice", 2)
		second, _ := take("alice", 2)
		if _, ok := take("alice", 2); ok {
			t.Error("a third one of two")
		}
		third, ok := take("alice", 3)
		if !ok {
			t.Error("no third one of three")
		}
		third.give()
		first.failed(10 * time.Second)
		second.failed(10 * time.Second)
		if _, ok := take("alice", 2); ok {
			t.Error("another one right after two failed")
		}
		for range 3 {
			if _, ok := take("bob", 3); !ok {
				t.Error("what alice failed in is taken from bob")
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		l.mu.Lock()
		left := l.of["home"].by["alice"]
		l.mu.Unlock()
		if left != 0 {
			t.Error("what failed counts for ever")
		}
		l.trust("alice at home", true)
		if !l.trusts("alice at home") || l.trusts("bob at home") {
			t.Error("trust is another's")
		}
		l.trust("alice at home", false)
		for i := range maxProven + 1 {
			l.trust(strconv.Itoa(i), true)
		}
		if l.trusts("alice at home") || len(l.proven) > maxProven {
			t.Errorf("%d are remembered", len(l.proven))
		}
	})
}
