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

// Authenticator proves who clients are, and keeps their accounts: what the server
// asks is its own, what users do to their accounts is SelfService's, what
// operators do to them Operators'. It is safe for concurrent use. All it counts is
// in the store: any number of Authenticators, in any number of processes, may work
// on one database.
type Authenticator struct {
	*core
	SelfService
	Operators
}

// core is what all of them work with.
type core struct {
	store     Store
	events    func(context.Context, ...audit.Event) error
	now       func() time.Time
	issuer    string
	keys      secret.Keys
	hasher    *secret.Hasher
	lockout   *lockout
	lifetimes lifetimes
	dummy     Account

	temp          time.Duration // of temporary passphrases
	remembering   Remember
	touchIsCode   bool
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
	a := &core{
		store: o.Store, events: o.Events, now: o.Now, temp: o.TempLifetime, issuer: o.Issuer,
		hasher:      secret.NewHasher(secret.HasherOptions{}),
		remembering: o.Remember.withDefaults(), touchIsCode: o.TouchIsCode,
		resetNeedsTwo: o.ResetNeedsTwo, notice: o.Notify, realms: o.Realms,
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
	if o.PassphraseAge < 0 {
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
	a.lifetimes = lifetimes{inactivity: max(o.Inactivity, 0), passphrase: o.PassphraseAge, issuer: a.issuer}
	if o.Inactivity == 0 {
		a.lifetimes.inactivity = 180 * 24 * time.Hour
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
	a.lockout = &lockout{limits: usualLimits, store: o.Store, keys: a.keys}
	return &Authenticator{core: a, SelfService: SelfService{a}, Operators: Operators{a}}, nil
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
