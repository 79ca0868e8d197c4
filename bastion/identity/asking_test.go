package identity

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// mute is a directory that answers nothing until its context ends.
type mute struct{ Watcher }

func (mute) Look(ctx context.Context, _ string) (string, []string, string, error) {
	<-ctx.Done()
	return "", nil, "", ctx.Err()
}

// Of the logins that ask one directory, mostAsking do at once; who gets no turn goes on
// without an answer.
func TestLoginsWaitForTheirTurnAtADirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemberships(map[string]FirstFactor{"duo": nil, "uni": nil})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		for range mostAsking {
			go func() {
				_, _, _, err := m.look(ctx, mute{}, member{"duo", "alice"})
				over <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		if _, _, _, err := m.look(ctx, mute{}, member{"duo", "bob"}); !errors.Is(err, errNoTurn) || time.Since(began) != askingFor {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if _, _, _, err := m.look(short, mute{}, member{"uni", "bob"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("another directory: %v", err)
		}
		cancel()
		for range mostAsking {
			if err := <-over; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
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
