package identity

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"entry/bastion/identity/secret"
)

// guessLimits bound wrong codes from whoever has proven a first factor. They are
// the factor's, wherever the codes come from: a thief has as many addresses as
// there are.
type guessLimits struct {
	// row wrong codes without a right one between them suspend a key. Behind a
	// passphrase they close it for pause, and so does each one after that.
	row   int
	pause time.Duration
	// month is how many there may be in monthLong, whatever lies between them.
	month     int
	monthLong time.Duration
	// own is how many a network with a login before has in ownLong beside these: its
	// owner's typing errors there cost nothing.
	own     int
	ownLong time.Duration
}

// usualGuesses keep a thief of one factor below 100 tries in 30 days (NIST SP
// 800-63B §5.2.2), of a million codes three of which are right.
var usualGuesses = guessLimits{
	row: 10, pause: time.Hour, month: 100, monthLong: 30 * 24 * time.Hour, own: 5, ownLong: 24 * time.Hour,
}

// pendingAtOnce bounds the wrong codes of one name whose passphrases are being
// looked at; whatever comes beyond counts for what was typed.
const pendingAtOnce = 16

// guesses counts wrong codes by proven factor, in the store: the limits hold over
// all processes on one database. It is safe for concurrent use.
type guesses struct {
	limits guessLimits
	store  Counter
	keys   secret.Keys // of the tallies' names
	// Passphrases that are not looked at behind a wrong code are told apart by a key
	// that is never stored, and count in memory: those that a directory judges, because
	// asking it would let strangers use up the tries that it gives its users, and those
	// that come while the queue is full.
	typedKey []byte
	typed    *fleeting

	mu      sync.Mutex           // guards pending
	pending map[string][]pending // by name
}

// pending is a wrong code whose passphrase is still to be looked at.
type pending struct {
	typed string        // its digest
	over  chan struct{} // closed once it was
}

func newGuesses(store Counter, keys secret.Keys) *guesses {
	g := &guesses{limits: usualGuesses, store: store, keys: keys, typedKey: make([]byte, 32), typed: newFleeting(), pending: map[string][]pending{}}
	_, _ = rand.Read(g.typedKey) // never fails: crypto/rand ends the process instead
	return g
}

// factor is a first factor of an account that was proven, from one network.
type factor struct {
	name  string // of its tallies; never shown
	own   string // the network's name; "" for one without a login before
	keyed bool
	typed bool // a passphrase that was typed, right or not: see unseen.go
	// unseen counts, of one that was typed, the name's codes behind passphrases that
	// nobody could look at.
	unseen TallyKey
}

// passphraseOf is the factor that a right passphrase is: another one once it is
// replaced. Of one that a directory judges only what carry has brought counts here.
func (g *guesses) passphraseOf(acct Account, source netip.Addr, known bool) factor {
	f := factor{name: fmt.Sprintf("passphrase|%s|%d|%s", acct.ID, micros(acct.PassphraseSet), acct.Realm)}
	if acct.Temporary != nil {
		f.name += fmt.Sprintf("|temporary|%d", micros(acct.Temporary.Expires))
	}
	return f.from(source, known)
}

// insideOf is the factor that a connection is which a passphrase and a code opened, for
// the codes that are asked inside: whatever is typed at logins, by strangers or by a
// thief of the passphrase, counts elsewhere.
func (g *guesses) insideOf(acct Account, source netip.Addr, known bool) factor {
	return factor{name: fmt.Sprintf("inside|%s|%d", acct.ID, micros(acct.PassphraseSet))}.from(source, known)
}

// keyOf is the factor that a proven key is: another one if it is added anew.
func keyOf(acct Account, key Key, source netip.Addr, known bool) factor {
	return factor{name: fmt.Sprintf("key|%s|%s|%d", acct.ID, key.Fingerprint, micros(key.Added)), keyed: true}.from(source, known)
}

func (f factor) from(source netip.Addr, known bool) factor {
	if known {
		f.own = sourceOf(source).String()
	}
	return f
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// tallies names what counts for f: codes in a row, in 30 days, from its network.
func (g *guesses) tallies(f factor) []TallyKey {
	return []TallyKey{
		g.keys.HashTally("codes|row|" + f.name), g.keys.HashTally("codes|month|" + f.name), g.keys.HashTally("codes|own|" + f.name + "|" + f.own),
	}
}

// guessState is what the tallies of a factor say now.
type guessState struct {
	row, month int
	since      time.Time // of the first of month
	ownLeft    bool      // a wrong code from this network would count only there
	closed     time.Time // until when codes from elsewhere open nothing; zero if they do
}

// judged tells whether a right code opens anything.
func (s guessState) judged() bool { return s.closed.IsZero() || s.ownLeft }

func (g *guesses) state(f factor, t []Tally, now time.Time) guessState {
	row, month, own := &t[0], &t[1], &t[2]
	fade(row, g.limits.monthLong, now)
	fade(month, g.limits.monthLong, now)
	fade(own, g.limits.ownLong, now)
	s := guessState{row: row.Failures, month: month.Failures, since: month.Since, ownLeft: f.own != "" && own.Failures < g.limits.own}
	if now.Before(row.Locked) {
		s.closed = row.Locked
	}
	if month.Failures >= g.limits.month {
		s.closed = later(s.closed, month.Since.Add(g.limits.monthLong))
	}
	if f.keyed && row.Failures >= g.limits.row && s.closed.IsZero() {
		s.closed = row.Since.Add(g.limits.monthLong)
	}
	return s
}

// fade forgets a window that is over.
func fade(t *Tally, window time.Duration, now time.Time) {
	if t.Failures > 0 && now.Sub(t.Since) >= window {
		*t = Tally{}
	}
}

// counter is where the tallies of f are.
func (g *guesses) counter(f factor) Counter {
	if f.typed {
		return g.typed
	}
	return g.store
}

func (g *guesses) look(ctx context.Context, f factor, now time.Time) (guessState, error) {
	t, err := g.counter(f).Tallies(ctx, g.tallies(f)...)
	if err != nil {
		return guessState{}, fmt.Errorf("%w: read wrong codes: %w", ErrUnavailable, err)
	}
	return g.state(f, t, now), nil
}

// guessed is what counts behind the passphrase of acct; nothing behind those of a
// directory, of which nobody here knows which one was right.
func (a *core) guessed(ctx context.Context, acct Account) (guessState, error) {
	if acct.directoryJudges() {
		return guessState{}, nil
	}
	return a.guesses.look(ctx, a.guesses.passphraseOf(acct, netip.Addr{}, false), a.now())
}

// guessedInside is what counts inside connections that the passphrase opened.
func (a *core) guessedInside(ctx context.Context, acct Account) (guessState, error) {
	return a.guesses.look(ctx, a.guesses.insideOf(acct, netip.Addr{}, false), a.now())
}

// warnedFrom is how many wrong codes behind the right passphrase are no owner's slip any
// more: each login is told of them, until the passphrase is another one.
const warnedFrom = 3

// charge is one wrong code, or one that is about to be judged behind a key.
type charge uint8

const (
	notCharged charge = iota
	chargedOwn        // to the network's own tries
	chargedAll        // to the factor's
)

// count counts one code, unless nothing is judged any more. after is the state
// with it; limit tells that this one reached a limit.
func (g *guesses) count(ctx context.Context, f factor, now time.Time) (c charge, after guessState, limit bool, err error) {
	err = g.edit(ctx, f, now, func(t []Tally) bool {
		switch before := g.state(f, t, now); {
		case before.ownLeft:
			bump(&t[2], now)
			c = chargedOwn
		case before.closed.IsZero():
			bump(&t[0], now)
			bump(&t[1], now)
			c = chargedAll
			if t[0].Failures >= g.limits.row && !f.keyed {
				t[0].Locked = now.Add(g.limits.pause)
			}
			limit = t[0].Failures >= g.limits.row || t[1].Failures >= g.limits.month
		}
		after = g.state(f, t, now)
		return c != notCharged
	})
	return c, after, limit, err
}

// uncount takes a charge back that was no guess.
func (g *guesses) uncount(ctx context.Context, f factor, c charge, now time.Time) error {
	if c == notCharged {
		return nil
	}
	return g.edit(ctx, f, now, func(t []Tally) bool {
		g.takeBack(f, t, c, now)
		return true
	})
}

func (g *guesses) takeBack(f factor, t []Tally, c charge, now time.Time) {
	g.state(f, t, now) // what is over goes first
	down := func(t *Tally) { t.Failures = max(0, t.Failures-1) }
	switch c {
	case chargedOwn:
		down(&t[2])
	case chargedAll:
		down(&t[0])
		down(&t[1])
	}
}

// right ends the row after a login with a code of the authenticator: not the 30
// days, and not while the factor is closed to others than this network.
func (g *guesses) right(ctx context.Context, f factor, c charge, now time.Time) error {
	if c == notCharged {
		switch s, err := g.look(ctx, f, now); {
		case err != nil:
			return err
		case s.row == 0 || !s.closed.IsZero():
			return nil
		}
	}
	return g.edit(ctx, f, now, func(t []Tally) bool {
		g.takeBack(f, t, c, now)
		if g.state(f, t, now).closed.IsZero() {
			t[0] = Tally{}
		}
		return true
	})
}

// restart begins a row anew, for a factor whose owner has shown another one.
func (g *guesses) restart(ctx context.Context, f factor, now time.Time) error {
	return g.edit(ctx, f, now, func(t []Tally) bool {
		t[0] = Tally{}
		return true
	})
}

// forgive forgets everything about the passphrase of acct, and what it opened, as an
// operator can.
func (g *guesses) forgive(ctx context.Context, acct Account, now time.Time) error {
	if err := g.pardon(ctx, acct.Name, now); err != nil {
		return err
	}
	for _, f := range []factor{g.passphraseOf(acct, netip.Addr{}, false), g.insideOf(acct, netip.Addr{}, false)} {
		if err := g.edit(ctx, f, now, func(t []Tally) bool {
			t[0], t[1] = Tally{}, Tally{}
			return true
		}); err != nil {
			return err
		}
	}
	return nil
}

func bump(t *Tally, now time.Time) {
	if t.Failures == 0 {
		t.Since = now
	}
	t.Failures++
}

// edit changes the tallies of f in one transaction, which the client's leaving
// doesn't cancel.
func (g *guesses) edit(ctx context.Context, f factor, now time.Time, change func([]Tally) bool) error {
	err := g.counter(f).Count(context.WithoutCancel(ctx), now, func(t []Tally) bool {
		if !change(t) {
			return false
		}
		for i, window := range []time.Duration{g.limits.monthLong, g.limits.monthLong, g.limits.ownLong} {
			t[i].Keep = now
			if t[i].Failures > 0 {
				t[i].Keep = later(t[i].Locked, t[i].Since.Add(window))
			}
		}
		return true
	}, g.tallies(f)...)
	if err != nil {
		return fmt.Errorf("%w: count wrong codes: %w", ErrUnavailable, err)
	}
	return nil
}

// begin notes that what was typed as the passphrase of name is about to be looked
// at; done ends that. It returns nil where too many are.
func (g *guesses) begin(acct Account, name, typed string) (done func()) {
	this := pending{g.digest(acct, typed), make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending[name]) >= pendingAtOnce {
		return nil
	}
	g.pending[name] = append(g.pending[name], this)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		close(this.over)
		rest := slices.DeleteFunc(slices.Clone(g.pending[name]), func(p pending) bool { return p == this })
		if g.pending[name] = rest; len(rest) == 0 {
			delete(g.pending, name)
		}
	}
}

// await returns once what came before behind the same passphrase of name has been
// counted, so that wrong codes which are tried at once with a right one can't outrun
// their count. What a passphrase may wait for its turn bounds it; what strangers type
// has no part in it.
func (g *guesses) await(ctx context.Context, acct Account, name, typed string) error {
	digest := g.digest(acct, typed)
	g.mu.Lock()
	before := slices.Clone(g.pending[name])
	g.mu.Unlock()
	for _, p := range before {
		if p.typed != digest {
			continue
		}
		select {
		case <-p.over:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
