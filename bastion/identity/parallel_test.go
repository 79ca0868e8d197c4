package identity_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entry/bastion/identity"
	"entry/bastion/store"
)

// answering is an Asker without a test in it, for many goroutines.
type answering []string

func (a *answering) Ask(context.Context, string, bool) (string, error) {
	if len(*a) == 0 {
		return "", nil
	}
	s := (*a)[0]
	*a = (*a)[1:]
	return s, nil
}

// TestOneCodeOnce lets a thousand connections use one code at the same moment,
// over two authenticators with a database handle each, as two processes would.
func TestOneCodeOnce(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	second, err := store.OpenSQLite(w.path, w.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}()
	nodes := []*identity.Authenticator{w.a, w.authenticator(second)}
	code := u.code()
	var (
		wg                sync.WaitGroup
		start             = make(chan struct{})
		succeeded, failed atomic.Int64
	)
	const tries = 1000
	for i := range tries {
		wg.Go(func() {
			at := attempt("alice")
			at.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 4000)
			in := answering{good, code + []string{"", " "}[i%2]}
			if i%3 == 0 {
				in = answering{good + code}
			}
			<-start
			id, err := nodes[i%2].Login(context.Background(), at, identity.NewConnState(), &in)
			switch {
			case err == nil && id.Valid():
				succeeded.Add(1)
			case errors.Is(err, identity.ErrAbandoned) || errors.Is(err, identity.ErrUnavailable):
				failed.Add(1)
			default:
				t.Errorf("try %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	if succeeded.Load() != 1 || failed.Load() != tries-1 {
		t.Errorf("%d succeeded and %d failed of %d", succeeded.Load(), failed.Load(), tries)
	}
}

// TestRecoveryCodeOnce is the same for a recovery code: one dialogue at most
// gets as far as an enrolment.
func TestRecoveryCodeOnce(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	var wg sync.WaitGroup
	var opened atomic.Int64
	for i := range 50 {
		wg.Go(func() {
			at := attempt("alice")
			at.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, 0, byte(i)}), 4000)
			c := identity.NewConnState()
			if _, err := w.a.Login(context.Background(), at, c, &answering{good, u.recovery[0]}); !errors.Is(err, identity.ErrAbandoned) {
				t.Errorf("try %d: %v", i, err)
			}
			select {
			case <-c.EnrolmentOpened():
				opened.Add(1)
			default:
			}
		})
	}
	wg.Wait()
	if opened.Load() != 1 {
		t.Errorf("%d dialogues got past one recovery code", opened.Load())
	}
}

// TestParallelGuessesAreCounted: the limit holds for tries that are all under
// way before the first has failed.
func TestParallelGuessesAreCounted(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	wrong := u.wrongCode()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			_, err := w.a.Login(context.Background(), attempt("alice"), identity.NewConnState(), &answering{good, wrong})
			if !errors.Is(err, identity.ErrAbandoned) && !errors.Is(err, identity.ErrLocked) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	judged := 0
	for _, l := range w.log.Lines(0) {
		if l == "login.failed wrong-code" {
			judged++
		}
	}
	if judged != 9 {
		t.Errorf("%d guesses were judged", judged)
	}
}

// TestOwnerGetsInWhileManyGuess: 200 sources guess at the account, and its owner
// logs in from home.
func TestOwnerGetsInWhileManyGuess(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	for i := range 200 {
		at := attempt("alice")
		at.Source = netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:4000", i))
		for range 4 {
			in := answering{"guess number one", u.wrongCode(), "guess number two", u.wrongCode(), "guess number three", u.wrongCode()}
			if _, err := w.a.Login(t.Context(), at, identity.NewConnState(), &in); err == nil {
				t.Fatal("a guess got in")
			}
		}
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Error(err)
	}
}
