package secret

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// cheap are costs that tests can pay a thousand times.
var cheap = HasherOptions{Costs: Costs{Memory: 64, Passes: 1, Threads: 1}}

func FuzzParsePHC(f *testing.F) {
	h := NewHasher(cheap)
	good, err := h.Hash(context.Background(), "a passphrase")
	if err != nil {
		f.Fatal(err)
	}
	for i := range len(good) + 1 {
		f.Add(good[:i])
	}
	f.Add(strings.Replace(good, "m=64", "m=4294967295", 1))
	f.Add(strings.Replace(good, "m=64", "m=064", 1))
	f.Add(strings.Replace(good, "t=1", "t=0", 1))
	f.Add(NewHasher(HasherOptions{}).Dummy())
	f.Fuzz(func(t *testing.T, s string) {
		p, salt, sum, err := parsePHC(s)
		if err != nil {
			return
		}
		if p.Memory > recommended.Memory || p.Passes > recommended.Passes || p.Threads > recommended.Threads || p.Memory*p.Passes*uint32(p.Threads) == 0 {
			t.Errorf("%q: %+v", s, p)
		}
		if again := formatPHC(p, salt, sum); again != s {
			t.Errorf("%q becomes %q", s, again)
		}
	})
}

func TestParsePHCTruncated(t *testing.T) {
	h := NewHasher(cheap)
	s, err := h.Hash(t.Context(), "a passphrase")
	if err != nil {
		t.Fatal(err)
	}
	for i := range s {
		if _, _, _, err := parsePHC(s[:i]); !errors.Is(err, errPHC) {
			t.Errorf("%q: %v", s[:i], err)
		}
	}
	if _, err := h.Verify(t.Context(), s[:40], "a passphrase"); err == nil {
		t.Error("verified against half a hash")
	}
}

// TestRecommendedHash checks the real costs once: 64 MiB, three passes.
func TestRecommendedHash(t *testing.T) {
	h := NewHasher(HasherOptions{})
	s, err := h.Hash(t.Context(), "a passphrase")
	if err != nil || !strings.HasPrefix(s, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Fatalf("%q %v", s, err)
	}
	for p, want := range map[string]bool{"a passphrase": true, "a passphrase ": false, "": false} {
		if ok, err := h.Verify(t.Context(), s, p); err != nil || ok != want {
			t.Errorf("%q: %v %v", p, ok, err)
		}
	}
}

func TestLongPassphraseIsNotTruncated(t *testing.T) {
	h := NewHasher(cheap)
	empty, err := h.Hash(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := h.Verify(t.Context(), empty, strings.Repeat("a", MaxPassphrase+1)); err != nil || ok {
		t.Errorf("%v %v", ok, err)
	}
}

func TestQueueForHashes(t *testing.T) {
	h := NewHasher(cheap)
	h.wait = time.Millisecond
	for range AtOnce {
		if err := h.queue.take(t.Context(), first, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Hash(t.Context(), "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("full: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.wait = time.Hour
	if _, err := h.Hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("client left: %v", err)
	}
}

func TestPanicGivesItsTurnBack(t *testing.T) {
	bad := true
	h := NewHasher(HasherOptions{Costs: cheap.Costs, Wait: time.Millisecond, OnTurn: func() {
		if bad {
			panic("broken")
		}
	}})
	for range AtOnce + 1 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_, _ = h.Hash(t.Context(), "x") // it panics
		}()
	}
	bad = false
	if _, err := h.Hash(t.Context(), "x"); err != nil {
		t.Errorf("after panics: %v", err)
	}
}
