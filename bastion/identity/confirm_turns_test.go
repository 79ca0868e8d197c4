package identity_test

import (
	"sync/atomic"
	"testing"

	"entry/e2e/testkit"
)

// However many questions of one user's connections are answered at once, one is hashed at
// a time, and somebody else's login doesn't wait behind them.
func TestConfirmLetsLoginsPass(t *testing.T) {
	w := newWorld(t)
	u, bob := w.enrolled("alice"), w.enrolled("bob")
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	const asked = 5
	held, free := make(chan struct{}), make(chan struct{})
	var hashes atomic.Int32
	w.a.OnHash(func() {
		if hashes.Add(1) == 1 {
			close(held)
			<-free
		}
	})
	ended := make(chan error, asked)
	for range asked {
		s := &script{t: t, rounds: []round{{askPass, good}}}
		go func() { ended <- w.a.Confirm(t.Context(), id, attempt(""), s) }()
	}
	testkit.Receive(t, "the first hash", held)
	if _, err := w.login(attempt("bob"), round{askPass, good}, round{askCode, bob.code()}); err != nil {
		t.Error(err)
	}
	if n := hashes.Load(); n != 2 || len(ended) > 0 {
		t.Errorf("%d hashes, of which two were for alice's first question and bob's login; %d answers", n, len(ended))
	}
	close(free)
	for range asked {
		if err := testkit.Receive(t, "an answer", ended); err != nil {
			t.Error(err)
		}
	}
}
