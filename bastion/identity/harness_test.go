package identity_test

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
)

const good = "three quiet otters paddle north"

// world is an Authenticator on a real database with a clock that tests turn and
// a log that they can read and break.
type world struct {
	t      *testing.T
	a      *identity.Authenticator
	store  *store.Store
	path   string
	secret []byte
	with   func(*identity.Options) // what differs from the defaults

	clock *testkit.Clock
	log   logbook.Log

	mu      sync.Mutex
	notices []identity.Notice
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, func(*identity.Options) {})
}

func newWorldWith(t *testing.T, with func(*identity.Options)) *world {
	t.Helper()
	w := &world{
		t: t, with: with, clock: testkit.NewClock(testkit.Noon.Add(10 * time.Second)), path: filepath.Join(t.TempDir(), "entry.db"),
		secret: []byte("0123456789abcdef0123456789abcdef"),
	}
	s, err := store.OpenSQLite(w.path, w.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w.store = s
	w.a = w.authenticator(s)
	return w
}

func (w *world) authenticator(s identity.Store) *identity.Authenticator {
	w.t.Helper()
	o := identity.Options{Config: configs.Default(), Store: s, Events: w.log.Append, Secret: w.secret, Now: w.clock.Now, Notify: w.notify}
	w.with(&o)
	a, err := identity.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	a.MakeCheap()
	w.t.Cleanup(func() { // before the store closes
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = a.Settle(ctx) // a test may have closed it
	})
	return a
}

func (w *world) notify(_ context.Context, n identity.Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notices = append(w.notices, n)
}

// wantNotices compares the kinds and details of what users were told since the
// last call.
func (w *world) wantNotices(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for _, n := range w.notices {
		if n.User == "" || n.At.IsZero() {
			w.t.Errorf("notice %+v", n)
		}
		got = append(got, strings.TrimSpace(string(n.Kind)+" "+n.Detail))
	}
	w.notices = nil
	if !slices.Equal(got, want) {
		w.t.Errorf("notices:\n got %q\nwant %q", got, want)
	}
}

func (w *world) wantLog(from int, want ...string) {
	w.t.Helper()
	w.log.Want(w.t, from, want...)
}

// round is one expected prompt and its answer. A prompt that ends in "…" is
// compared up to there; one that begins with "…" by its end.
type round struct {
	prompt string
	answer any // string, func(prompt string) string, or an error
}

// script answers as a client would and checks every prompt.
type script struct {
	t      *testing.T
	rounds []round
	seen   []string
}

func (s *script) Ask(_ context.Context, prompt string, _ bool) (string, error) {
	s.seen = append(s.seen, prompt)
	n := len(s.seen) - 1
	if n >= len(s.rounds) {
		s.t.Errorf("round %d was not expected: %q", n, prompt)
		return "", io.EOF
	}
	want := s.rounds[n].prompt
	ok := prompt == want
	if cut, open := strings.CutSuffix(want, "…"); open {
		ok = strings.HasPrefix(prompt, cut)
	} else if cut, open := strings.CutPrefix(want, "…"); open {
		ok = strings.HasSuffix(prompt, cut)
	}
	if !ok {
		s.t.Errorf("round %d:\n got %q\nwant %q", n, prompt, want)
	}
	switch a := s.rounds[n].answer.(type) {
	case string:
		return a, nil
	case error:
		return "", a
	case func(string) string:
		return a(prompt), nil
	}
	s.t.Errorf("round %d has no answer", n)
	return "", io.EOF
}

var home = netip.MustParseAddrPort("192.0.2.7:50001")

func attempt(name string) identity.Attempt {
	return identity.Attempt{Name: name, Source: home, Conn: "01CONN"}
}

func (w *world) login(at identity.Attempt, rounds ...round) (identity.Identity, error) {
	w.t.Helper()
	return w.loginOn(identity.NewConnState(), at, rounds...)
}

func (w *world) loginOn(c *identity.ConnState, at identity.Attempt, rounds ...round) (identity.Identity, error) {
	w.t.Helper()
	s := &script{t: w.t, rounds: rounds}
	id, err := w.a.Login(w.t.Context(), at, c, s)
	if len(s.seen) != len(rounds) {
		w.t.Errorf("%d rounds, not %d; the last was %q", len(s.seen), len(rounds), s.seen[max(0, len(s.seen)-1):])
	}
	if err != nil && id.Valid() {
		w.t.Error("an identity came with an error")
	}
	return id, err
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, not %v", got, want)
	}
}

var secretLine = regexp.MustCompile(`(?m)^  ((?:[A-Z2-7]{4} ){3}[A-Z2-7]{4}\n  (?:[A-Z2-7]{4} ){3}[A-Z2-7]{4})$`)

// readSeed takes the seed out of an enrolment prompt, as a user would type it.
func readSeed(t *testing.T, prompt string) []byte {
	t.Helper()
	m := secretLine.FindStringSubmatch(prompt)
	if m == nil {
		t.Fatalf("no secret in the prompt %q", prompt)
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.NewReplacer(" ", "", "\n", "").Replace(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

var recoveryForm = regexp.MustCompile(`[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}`)

// user is an account that has been through its first login.
type user struct {
	w        *world
	name     string
	seed     []byte
	recovery []string
}

// enrolled makes a user with passphrase good and an authenticator, and moves the
// clock on so that the next code is fresh.
func (w *world) enrolled(name string) *user {
	w.t.Helper()
	temp, err := w.a.AddUser(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	u := &user{w: w, name: name}
	id, err := w.login(attempt(name), u.firstLogin(temp)...)
	if err != nil || id.Method() != "temporary+enrolment" {
		w.t.Fatalf("first login: %v %q", err, id.Method())
	}
	w.clock.Advance(time.Minute)
	w.notices = nil
	return u
}

// in logs the user in with passphrase and code, and moves the clock on.
func (u *user) in() identity.Identity {
	u.w.t.Helper()
	id, err := u.w.login(attempt(u.name), round{askPass, good}, round{askCode, u.code()})
	if err != nil {
		u.w.t.Fatal(err)
	}
	u.w.clock.Advance(time.Minute)
	return id
}

// withKey registers a key and returns an attempt that has proven it.
func (u *user) withKey() (identity.Attempt, testKey) {
	u.w.t.Helper()
	k := edKey(u.w.t)
	if _, err := u.w.a.AddKey(u.w.t.Context(), u.name, k.line); err != nil {
		u.w.t.Fatal(err)
	}
	at := attempt(u.name)
	at.Key = k.pub
	return at, k
}

// from is at from another address.
func from(at identity.Attempt, addr string) identity.Attempt {
	at.Source = netip.AddrPortFrom(netip.MustParseAddr(addr), 4000)
	return at
}

func (u *user) firstLogin(temp string) []round {
	return append([]round{
		{"entry passphrase: ", temp},
		{askOwn, good},
		{"Repeat new entry passphrase: ", good},
	}, u.enrol()...)
}

// enrol answers an enrolment and keeps what a user would keep.
func (u *user) enrol() []round {
	return []round{
		{"…entry one-time code: ", func(p string) string {
			u.seed = readSeed(u.w.t, p)
			return u.code()
		}},
		{"…Press Enter when you have kept them, to go on with entry: ", func(p string) string {
			u.recovery = recoveryForm.FindAllString(p, -1)
			return ""
		}},
	}
}

func (u *user) code() string { return identity.CodeAt(u.seed, u.w.clock.Now()) }

func (u *user) codeAfter(d time.Duration) string {
	return identity.CodeAt(u.seed, u.w.clock.Now().Add(d))
}

// wrongCode is no code of any step nearby.
func (u *user) wrongCode() string {
	for n := 0; ; n++ {
		c := fmt.Sprintf("%06d", n)
		free := true
		for d := -15; d <= 15; d++ {
			free = free && c != u.codeAfter(time.Duration(d)*30*time.Second)
		}
		if free {
			return c
		}
	}
}
