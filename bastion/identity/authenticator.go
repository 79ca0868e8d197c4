package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entry/audit"
	"entry/bastion/identity/secret"
	"entry/session/group"
)

// Options are what an Authenticator is made of. Store, Events and Secret are
// required.
type Options struct {
	Store Store
	// Events stores events and returns once they are durable. Its error is
	// fatal to the login or the change in hand.
	Events func(ctx context.Context, e ...audit.Event) error
	// Secret is 32 random bytes that live outside the database. The keys for
	// seeds, recovery codes and unknown names are derived from it (HKDF-SHA256).
	// Losing it means enrolling everybody anew.
	Secret []byte
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// TempLifetime is how long a temporary passphrase is good. Zero means 240h.
	TempLifetime time.Duration
	// Issuer names this jump host in prompts and in authenticator apps. Empty
	// means "entry".
	Issuer string
	Limits Limits
	// Remember is how long key + code stand for the key alone.
	Remember Remember
	// TouchIsCode lets the touch of a security key (sk-…) stand for the code,
	// beside the passphrase. See touch.go for what that proves.
	TouchIsCode bool
	// Inactivity is how long an account may go without a login before it
	// expires. Zero means 180 days; negative means for ever.
	Inactivity time.Duration
	// PassphraseAge is how old a passphrase may become before a login asks for a
	// new one. Zero means any age.
	PassphraseAge time.Duration
	// ResetNeedsTwo makes Reset and ResetPassphrase wait for ConfirmReset by a
	// second operator.
	ResetNeedsTwo bool
	// Realms are the directories that may judge passphrases, by name. A name is
	// 1 to 64 printable ASCII characters. The map must not change.
	Realms map[string]FirstFactor
	// Texter sends codes by SMS to accounts that an operator has given a number.
	// Nil sends none, and such accounts don't get in. With one, every dialogue
	// counts as a try once its passphrase is answered and costs one hash.
	Texter Texter
	// Notify hears of what users should know about their accounts, after it is
	// durable. It must not block: logins wait for it. Nil drops notices.
	Notify func(context.Context, Notice)
	// Panicked hears of a panic on a goroutine beside a dialogue, with its stack, for
	// the server's log; it must not block. The panic ends that dialogue and nothing
	// else: its login is refused (ErrUnavailable), or its code by SMS counts as not
	// sent. Nil drops them.
	Panicked func(error)
}

// Limits bound failed logins. Each zero field takes its default.
type Limits struct {
	// NameFailures in Window lock that name from that source for Lock.
	// Zero means 9: three connections of three dialogues, and fewer than the 10
	// of PCI DSS 8.3.4.
	NameFailures int
	// SourceFailures in Window lock the source for Lock, except for names that
	// have logged in from there. Zero means 90.
	SourceFailures int
	// Window and Lock are 30 min each when zero (PCI DSS 8.3.4 asks for 30).
	Window, Lock time.Duration
	// AccountFailures are wrong passphrases after a right code that lock the
	// account from everywhere for AccountWindow. Zero means 10 in 24h.
	AccountFailures int
	AccountWindow   time.Duration
}

func (l Limits) withDefaults() Limits {
	set := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	span := func(t *time.Duration, d time.Duration) {
		if *t == 0 {
			*t = d
		}
	}
	set(&l.NameFailures, 9)
	set(&l.SourceFailures, 90)
	set(&l.AccountFailures, 10)
	span(&l.Window, 30*time.Minute)
	span(&l.Lock, 30*time.Minute)
	span(&l.AccountWindow, 24*time.Hour)
	return l
}

func (l Limits) check() error {
	if l.NameFailures < 1 || l.SourceFailures < 1 || l.AccountFailures < 1 ||
		l.Window < 0 || l.Lock < 0 || l.AccountWindow < 0 {
		return errors.New("identity: a limit is negative")
	}
	return nil
}

// Authenticator runs dialogues and changes accounts. It is safe for concurrent
// use. All it counts is in the store: any number of Authenticators, in any
// number of processes, may work on one database.
type Authenticator struct {
	store   Store
	events  func(context.Context, ...audit.Event) error
	now     func() time.Time
	temp    time.Duration
	issuer  string
	limits  Limits
	keys    secret.Keys
	hasher  *secret.Hasher
	lockout *lockout
	dummy   Account

	remembering   Remember
	touchIsCode   bool
	inactivity    time.Duration // 0 for never
	passphraseAge time.Duration // 0 for any
	resetNeedsTwo bool
	notice        func(context.Context, Notice)
	realms        map[string]FirstFactor
	texter        Texter
	sending       chan struct{} // holds one token for each code that is being sent
	panicked      func(*group.Panic)
}

// New returns an Authenticator, or an error that names the field that is wrong.
func New(o Options) (*Authenticator, error) {
	if o.Store == nil || o.Events == nil {
		return nil, errors.New("identity: Options.Store and Options.Events are required")
	}
	a := &Authenticator{
		store: o.Store, events: o.Events, now: o.Now, temp: o.TempLifetime, issuer: o.Issuer,
		limits: o.Limits.withDefaults(), hasher: secret.NewHasher(secret.HasherOptions{}),
		remembering: o.Remember.withDefaults(), touchIsCode: o.TouchIsCode, inactivity: max(o.Inactivity, 0),
		passphraseAge: o.PassphraseAge, resetNeedsTwo: o.ResetNeedsTwo, notice: o.Notify, realms: o.Realms,
		texter: o.Texter, sending: make(chan struct{}, smsAtOnce),
	}
	if o.Panicked != nil {
		a.panicked = func(p *group.Panic) { o.Panicked(p) }
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.temp == 0 {
		a.temp = 240 * time.Hour
	}
	if a.temp < 0 {
		return nil, errors.New("identity: Options.TempLifetime is negative")
	}
	if o.Inactivity == 0 {
		a.inactivity = 180 * 24 * time.Hour
	}
	if a.passphraseAge < 0 {
		return nil, errors.New("identity: Options.PassphraseAge is negative")
	}
	if err := a.remembering.check(); err != nil {
		return nil, err
	}
	if a.issuer == "" {
		a.issuer = "entry"
	}
	if err := validIssuer(a.issuer); err != nil {
		return nil, err
	}
	if err := a.limits.check(); err != nil {
		return nil, err
	}
	for name, realm := range a.realms {
		if realm == nil || !validRealm(name) {
			return nil, errors.New("identity: a name in Options.Realms is empty, too long or not printable ASCII")
		}
	}
	var err error
	if a.keys, err = secret.DeriveKeys(o.Secret); err != nil {
		return nil, fmt.Errorf("identity: Options.Secret: %w", err)
	}
	if a.dummy, err = a.dummyAccount(); err != nil {
		return nil, err
	}
	a.lockout = &lockout{limits: a.limits, store: o.Store, keys: a.keys}
	return a, nil
}

// validIssuer keeps the label of the otpauth URI unambiguous.
func validIssuer(s string) error {
	if len(s) > 32 {
		return errors.New("identity: Options.Issuer is longer than 32 bytes")
	}
	for _, r := range s {
		if r < ' ' || r > '~' || r == ':' {
			return errors.New("identity: Options.Issuer must be printable ASCII without a colon")
		}
	}
	return nil
}
