package identity

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// mute is a directory that answers once answer is closed, or its context ends.
type mute struct {
	Watcher
	answer chan struct{}
	asked  *atomic.Int64
}

func (m mute) Look(ctx context.Context, user string) (string, []string, string, error) {
	m.asked.Add(1)
	select {
	case <-m.answer:
		return "", []string{user}, "", nil
	case <-ctx.Done():
		return "", nil, "", ctx.Err()
	}
}

// Of the logins that ask one directory, mostAsking do at once; who gets no turn goes on
// without an answer.
func TestLoginsWaitForTheirTurnAtADirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, w := newMemberships(map[string]FirstFactor{"duo": nil, "uni": nil}), mute{asked: new(atomic.Int64)}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		for i := range mostAsking {
			go func() { over <- m.look(ctx, w, member{"duo", fmt.Sprint("alice", i)}, time.Now).err }()
		}
		synctest.Wait()
		began := time.Now()
		if l := m.look(ctx, w, member{"duo", "bob"}, time.Now); !errors.Is(l.err, errNoTurn) || time.Since(began) != askingFor {
			t.Errorf("%v after %v", l.err, time.Since(began))
		}
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if l := m.look(short, w, member{"uni", "bob"}, time.Now); !errors.Is(l.err, context.DeadlineExceeded) {
			t.Errorf("another directory: %v", l.err)
		}
		cancel()
		for range mostAsking {
			if err := <-over; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}

// Many logins of one user take one turn at a slow directory, and all have its answer; where
// the one who asked leaves, another asks.
func TestOneUsersLoginsAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, w := newMemberships(map[string]FirstFactor{"duo": nil}), mute{answer: make(chan struct{}), asked: new(atomic.Int64)}
		alice := member{"duo", "alice"}
		leaving, leave := context.WithCancel(t.Context())
		left := make(chan looked, 1)
		go func() { left <- m.look(leaving, w, alice, time.Now) }()
		synctest.Wait()
		const many = 10 * mostAsking
		answers := make(chan looked, many)
		for range many {
			go func() { answers <- m.look(t.Context(), w, alice, time.Now) }()
		}
		synctest.Wait()
		if n := w.asked.Load(); n != 1 {
			t.Errorf("%d questions about one user at once", n)
		}
		go func() { answers <- m.look(t.Context(), w, member{"duo", "bob"}, time.Now) }()
		synctest.Wait()
		if n := w.asked.Load(); n != 2 {
			t.Errorf("nobody asks for bob: %d questions", n)
		}
		leave()
		if l := <-left; !errors.Is(l.err, context.Canceled) {
			t.Errorf("%+v", l)
		}
		synctest.Wait()
		time.Sleep(2 * askingFor) // however long it takes
		close(w.answer)
		for range many + 1 {
			if l := <-answers; l.err != nil || len(l.groups) != 1 || l.at.IsZero() {
				t.Errorf("%+v", l)
			}
		}
		if n := w.asked.Load(); n != 3 {
			t.Errorf("%d questions", n)
		}
	})
}

// All users are asked about between two polls, however many there are.
func TestGapBetweenQuestions(t *testing.T) {
	for n, want := range map[int]time.Duration{0: lookGap, 1: lookGap, 3000: lookGap, 6000: 25 * time.Millisecond, 60000: 2500 * time.Microsecond} {
		if got := gapFor(n, 5*time.Minute); got != want {
			t.Errorf("%d users: %v, not %v", n, got, want)
		}
	}
}
