package identity

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/configs"
)

// remembering says how long a key that was proven together with a code stands
// for both, and how much of the address has to be the same.
type remembering configs.Remembered

// maxRemembered is how long a code can stand for a key: a connection accepts no
// channel 12 h after its code, so that more would promise what isn't kept.
const maxRemembered = 12 * time.Hour

func (r remembering) check() error {
	switch {
	case r.Lifetime < 0 || r.Lifetime > maxRemembered:
		return errors.New("identity: remembered_keys.lifetime is not between 0 and 12h")
	case r.IPv4 < 8 || r.IPv4 > 32:
		return errors.New("identity: remembered_keys.ipv4 is not between 8 and 32")
	case r.IPv6 < 16 || r.IPv6 > 128:
		return errors.New("identity: remembered_keys.ipv6 is not between 16 and 128")
	}
	return nil
}

// network is what a source counts as. The zero Prefix is no network.
func (r remembering) network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := r.IPv4
	if a.Is6() {
		bits = r.IPv6
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// byRemembrance is the method of a login that nothing was typed for.
const byRemembrance = "publickey+remembered"

// RememberedKey is a key that needs no code from one network for a while.
type RememberedKey struct {
	Fingerprint string       `json:"fingerprint"` // SHA256:…
	Comment     string       `json:"comment"`     // of the registered key
	Network     netip.Prefix `json:"network"`
	Since       time.Time    `json:"since"` // when the code was given
	Until       time.Time    `json:"until"`
	Used        time.Time    `json:"used,omitzero"` // last login without a code; zero before the first
}

// Remembered logs the holder of at.Key in without a word, if that key was proven
// together with a code from the same network within the lifetime and the account
// still stands as it stood then. The Identity's method is "publickey+remembered"
// and its At the time of that code, so that no chain of connections outlives it.
// False without an error means that the dialogue has to be had. turn, if it isn't nil,
// is called where nothing else is in the way, before anything is put on record. Errors
// are its and ErrUnavailable. at.Key must be proven, not just offered.
func (a *Authenticator) Remembered(ctx context.Context, at Attempt, turn func(context.Context) error) (Identity, bool, error) {
	network := a.remembering.network(at.Source.Addr())
	if a.remembering.Lifetime == 0 || at.Key == nil || !network.IsValid() {
		return Identity{}, false, nil
	}
	now := a.now()
	d := &dialogue{a: a.core, at: at, conn: NewConnState(), pair: a.lockout.pairOf(at.Name, at.Source.Addr()), key: ssh.FingerprintSHA256(at.Key)}
	acct, err := d.load(ctx)
	if err != nil {
		return Identity{}, false, err
	}
	r, ok := a.remembering.remembrance(acct, d.key, network, now)
	if !ok || !a.admitsKey(acct, at.Key, now) || a.terms.wanted(acct) || a.moves(acct) {
		return Identity{}, false, nil
	}
	// Whether its source is locked, or the account after guesses at the passphrase,
	// doesn't matter: what is proven here can't be guessed.
	if turn != nil {
		if err := turn(ctx); err != nil {
			return Identity{}, false, err
		}
	}
	switch bar, err := d.join(ctx, acct); {
	case err != nil:
		return Identity{}, false, err
	case bar != "":
		return Identity{}, false, a.report(ctx, d.notThere(acct, bar)) // the directory judges what they type
	}
	until := a.remembering.until(r)
	id, err := d.admit(ctx, acct, Identity{method: byRemembrance, at: r.Since}, &until, func(ctx context.Context) error {
		return a.store.RecordRemembered(ctx, acct.ID, acct.Generation, d.loginInfo(now, byRemembrance), r)
	})
	if errors.Is(err, ErrRevoked) {
		// Taken away at this very moment; the dialogue says what there is to say.
		return Identity{}, false, a.report(ctx, d.event(audit.LoginFailed, reasonRevoked))
	}
	return id, err == nil, err
}

// remembrance is what is remembered of a key from a network now. The network is
// compared as a whole: under a narrower setting what was remembered of a wider
// one counts no more.
func (r remembering) remembrance(acct Account, fingerprint string, network netip.Prefix, now time.Time) (Remembrance, bool) {
	for _, one := range acct.Remembered {
		if one.Fingerprint == fingerprint && one.Network == network && r.counts(one, now) {
			return one, true
		}
	}
	return Remembrance{}, false
}

// until is the end of one under the lifetime of today.
func (r remembering) until(one Remembrance) time.Time {
	if short := one.Since.Add(r.Lifetime); short.Before(one.Until) {
		return short
	}
	return one.Until
}

// counts tells whether one still stands for a code. A clock that went back to
// before the code proves nothing about how old it is.
func (r remembering) counts(one Remembrance, now time.Time) bool {
	return r.Lifetime > 0 && !now.Before(one.Since) && now.Before(r.until(one))
}

// remembrance is what a login by key and code, or key and touch, leaves behind:
// nil for every other login.
func (d *dialogue) remembrance(method string, now time.Time) *Remembrance {
	network := d.a.remembering.network(d.at.Source.Addr())
	if d.a.remembering.Lifetime == 0 || d.key == "" || !network.IsValid() {
		return nil
	}
	r := &Remembrance{Fingerprint: d.key, Network: network, Since: now, Until: now.Add(d.a.remembering.Lifetime)}
	switch method {
	case "publickey+otp", "passphrase+otp", "publickey+sms", "passphrase+sms": // the latter with a key: see keyStands
		r.Authenticator = d.authenticator
	case "passphrase+sk":
	default:
		return nil
	}
	return r
}

// RememberedKeys lists what stands for a code now, the newest first: not what is
// remembered of suspended keys.
func (a SelfService) RememberedKeys(ctx context.Context, id Identity) ([]RememberedKey, error) {
	acct, err := a.owned(ctx, id)
	if err != nil {
		return nil, err
	}
	var all []RememberedKey
	for _, r := range acct.Remembered {
		i := slices.IndexFunc(acct.Keys, func(k Key) bool { return k.Fingerprint == r.Fingerprint })
		if i < 0 || !acct.Keys[i].Suspended.IsZero() || !a.remembering.counts(r, a.now()) {
			continue
		}
		all = append(all, RememberedKey{Fingerprint: r.Fingerprint, Comment: acct.Keys[i].Comment, Network: r.Network, Since: r.Since, Until: a.remembering.until(r), Used: r.Used})
	}
	return all, nil
}

// Forget ends what is remembered of the key with that fingerprint, from every
// network, or of all keys if it is empty. It returns ErrNoKey if there was
// nothing. No code is asked: it takes access away.
func (a SelfService) Forget(ctx context.Context, id Identity, fingerprint string) error {
	acct, err := a.owned(ctx, id)
	if err != nil {
		return err
	}
	var events []audit.Event
	for _, r := range acct.Remembered {
		if (fingerprint == "" || r.Fingerprint == fingerprint) && a.remembering.counts(r, a.now()) &&
			!slices.ContainsFunc(events, func(e audit.Event) bool { return e.Key == r.Fingerprint }) {
			events = append(events, audit.Event{Type: audit.KeyForgotten, User: acct.Name, Key: r.Fingerprint})
		}
	}
	if len(events) == 0 {
		return ErrNoKey
	}
	err = a.logged(ctx, func(ctx context.Context) error { return a.store.Forget(ctx, acct.ID, fingerprint) }, events...)
	return storeFailed(err)
}
