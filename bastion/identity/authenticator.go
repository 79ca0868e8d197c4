package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entry/audit"
	"entry/bastion/identity/secret"
	"entry/configs"
	"entry/session/group"
)

// Options are what an Authenticator is made of. Store, Events and Secret are
// required.
type Options struct {
	// Config's Name, Login and Operators say how accounts are held; Name stands in
	// prompts and authenticator apps. Required, and treated as read-only.
	Config *configs.Config
	Store  Store
	// Events stores events and returns once they are durable. Its error is
	// fatal to the login or the change in hand.
	Events func(ctx context.Context, e ...audit.Event) error
	// Secret is 32 random bytes that live outside the database. The keys for
	// seeds, recovery codes and unknown names are derived from it (HKDF-SHA256).
	// Losing it means enrolling everybody anew.
	Secret []byte
	// Secrets are Secret with those before it and the next one, and stand in its place; only
	// where there are any.
	Secrets secret.Secrets
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Realms are the directories that may judge passphrases, by name. A name is
	// 1 to 64 printable ASCII characters. The map must not change.
	Realms map[string]FirstFactor
	// Texter sends codes by SMS to accounts that an operator has given a number.
	// Nil sends none, and such accounts don't get in. With one, every dialogue
	// counts as a try once its passphrase is answered and costs one hash.
	Texter Texter
	// Terms is the user agreement: plain text of at most 16 KiB, which is shown and has
	// to be accepted once a version. Empty for none.
	Terms string
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
	contact   string // whom users ask, for texts
	keys      secret.Keys
	hasher    *secret.Hasher
	lockout   *lockout
	lifetimes lifetimes
	dummy     Account

	temp          time.Duration // of temporary passphrases
	remembering   remembering
	touchIsCode   bool
	resetNeedsTwo bool
	notice        func(context.Context, Notice)
	realms        map[string]FirstFactor
	looked        turns
	members       *memberships
	texter        Texter
	textsFor      time.Duration // how long codes go by SMS; 0 for good
	countries     []string      // to which numbers, by their beginnings; nil for all
	terms         terms
	sending       chan struct{} // holds one token for each code that is being sent
	guesses       *guesses
	looking       chan struct{} // holds one token for each passphrase that is looked at behind a wrong code
	strangers     *strangers
	beside        *underway // first factors that are judged ahead of a code
	panicked      func(*group.Panic)
}

// New returns an Authenticator, or an error that names the field that is wrong.
func New(o Options) (*Authenticator, error) {
	if o.Config == nil || o.Store == nil || o.Events == nil {
		return nil, errors.New("identity: Options.Config, Options.Store and Options.Events are required")
	}
	login := o.Config.Login
	a := &core{
		store: o.Store, events: o.Events, now: o.Now, temp: login.TemporaryPassphrase, issuer: o.Config.Name, contact: o.Config.Guides.Contact,
		hasher:      secret.NewHasher(secret.HasherOptions{}),
		remembering: remembering(login.Remembered), touchIsCode: login.TouchIsCode,
		resetNeedsTwo: o.Config.Operators.ResetNeedsTwo, notice: o.Notify, realms: o.Realms, looked: turns{last: map[string]string{}}, members: newMemberships(o.Realms),
		texter: o.Texter, sending: make(chan struct{}, smsAtOnce), looking: make(chan struct{}, lookingAtOnce), strangers: &strangers{}, beside: &underway{},
	}
	var err error
	if a.terms, err = newTerms(o.Terms); err != nil {
		return nil, err
	}
	if o.Config.SMS != nil {
		a.textsFor, a.countries = o.Config.SMS.Until, o.Config.SMS.Countries
	}
	if o.Panicked != nil {
		a.panicked = func(p *group.Panic) { o.Panicked(p) }
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.temp <= 0 {
		return nil, errors.New("identity: login.temporary_passphrase is not positive")
	}
	if login.PassphraseAge < 0 || login.Inactivity < 0 {
		return nil, errors.New("identity: login.passphrase_age or login.inactivity is negative")
	}
	if err := a.remembering.check(); err != nil {
		return nil, err
	}
	if err := validIssuer(a.issuer); err != nil {
		return nil, err
	}
	a.lifetimes = lifetimes{inactivity: login.Inactivity, passphrase: login.PassphraseAge, issuer: a.issuer, contact: a.contact}
	for name, realm := range a.realms {
		if realm == nil || !validRealm(name) {
			return nil, errors.New("identity: a name in Options.Realms is empty, too long or not printable ASCII")
		}
	}
	if a.keys, err = o.secrets().Keys(); err != nil {
		return nil, fmt.Errorf("identity: Options.Secret: %w", err)
	}
	if a.dummy, err = a.dummyAccount(); err != nil {
		return nil, err
	}
	a.guesses = newGuesses(o.Store, a.keys)
	a.lockout = &lockout{limits: usualLimits, store: o.Store, ledger: o.Store, keys: a.keys}
	return &Authenticator{core: a, SelfService: SelfService{a}, Operators: Operators{a}}, nil
}

// validIssuer keeps the label of the otpauth URI unambiguous.
func validIssuer(s string) error {
	if s == "" || len(s) > configs.MaxName {
		return fmt.Errorf("identity: the configuration's name has 1 to %d bytes", configs.MaxName)
	}
	for _, r := range s {
		if r < ' ' || r > '~' || r == ':' {
			return errors.New("identity: the configuration's name must be printable ASCII without a colon")
		}
	}
	return nil
}

func (o Options) secrets() secret.Secrets {
	if o.Secrets.Now != nil {
		return o.Secrets
	}
	return secret.Secrets{Now: o.Secret}
}

// UseSecrets takes other secrets from now on. What was made by those that aren't among them
// doesn't open any more.
func (a *core) UseSecrets(s secret.Secrets) error {
	keys, err := s.Keys()
	if err == nil {
		a.keys.Become(keys)
	}
	return err
}

// SealAnew seals every authenticator's seed by the present secret that another one sealed, all
// of them or none, and says how many.
func (a *core) SealAnew(ctx context.Context) (int, error) {
	n, err := a.store.SealAnew(ctx, a.keys.SealAnew)
	if err != nil {
		return 0, fmt.Errorf("%w: seal authenticators anew: %w", ErrUnavailable, err)
	}
	return n, nil
}

// FileDigest stands in the log for something of a file, or a search; see secret.Keys'
// HashFile.
func (a *core) FileDigest(kind string, b []byte) string { return a.keys.HashFile(kind, b) }
