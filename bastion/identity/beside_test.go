package identity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"entry/bastion/identity"
	"entry/e2e/testkit"
)

// TestNothingShowsBehindAWrongCode: where codes go by SMS the passphrase is judged ahead of
// the code, by work that depends on whose it is: a hash of any cost, a directory that may
// hang. A wrong code, and none, are answered without waiting for it, whoever's the name is.
func TestNothingShowsBehindAWrongCode(t *testing.T) {
	for _, answer := range []string{"000000", ""} {
		w, g, dir := textingRealm(t) // alice has codes by SMS, and a passphrase that dir keeps
		w.enrolledBeside(g, "bob")
		free := make(chan struct{})
		w.a.OnHash(func() { <-free })
		dir.hang(free)
		said := map[string][]string{}
		testkit.Finishes(t, fmt.Sprintf("the answers to %q", answer), func() {
			for i, name := range []string{"alice", "bob", "nobody"} {
				for _, place := range []string{home.Addr().String(), fmt.Sprintf("198.51.100.%d", i+1)} {
					at := from(attempt(name), place)
					in := answering{"a made up passphrase", answer}
					s := &told{answers: func(p string) string { a, _ := in.Ask(t.Context(), p, false); return a }}
					_, err := w.a.Login(t.Context(), at, identity.NewConnState(), s)
					wantErr(t, err, identity.ErrAbandoned)
					said[name] = append(said[name], s.seen...)
				}
			}
		})
		close(free)
		w.settled()
		if !slices.Equal(said["alice"], said["nobody"]) || !slices.Equal(said["bob"], said["nobody"]) {
			t.Errorf("%q", said)
		}
	}
}

// TestADirectoryThatIsDownTellsNoName: what strangers read doesn't depend on whether it is
// asked for a name.
func TestADirectoryThatIsDownTellsNoName(t *testing.T) {
	w, _, dir := textingRealm(t)
	dir.fail(errors.New("no route"))
	for _, answer := range []string{"000000", ""} {
		said := map[string][]string{}
		for i, name := range []string{"alice", "nobody"} {
			n := 0
			s := &told{answers: func(string) string {
				switch n++; n {
				case 1:
					return "a made up passphrase"
				case 2:
					w.settled()
					return answer
				}
				return ""
			}}
			_, err := w.a.Login(t.Context(), from(attempt(name), fmt.Sprintf("198.51.100.%d", i+1)), identity.NewConnState(), s)
			wantErr(t, err, identity.ErrAbandoned)
			said[name] = s.seen
		}
		if !slices.Equal(said["alice"], said["nobody"]) {
			t.Errorf("%q", said)
		}
	}
}

// Close waits for what goes on beside dialogues that are over.
func TestCloseWaitsForWhatIsBeside(t *testing.T) {
	w, _ := texting(t, nil)
	free, begun := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.a.OnHash(func() { once.Do(func() { close(begun) }); <-free })
	in := answering{"a made up passphrase", ""}
	_, err := w.a.Login(t.Context(), attempt("alice"), identity.NewConnState(), &told{answers: func(p string) string { a, _ := in.Ask(t.Context(), p, false); return a }})
	wantErr(t, err, identity.ErrAbandoned)
	testkit.Receive(t, "the hash", begun)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.a.Settle(now); err == nil {
		t.Error("it is closed while a passphrase is looked at")
	}
	close(free)
	if err := w.a.Settle(t.Context()); err != nil {
		t.Error(err)
	}
}
