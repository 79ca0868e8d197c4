package identity

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Remember says how long a key that was proven together with a code stands for
// both.
type Remember struct {
	// Lifetime counts from the code. Zero means 12h, the time for which a
	// connection may open channels; negative means that no key is remembered.
	Lifetime time.Duration
	// Bits4 and Bits6 are how much of an IPv4 and an IPv6 address has to be the
	// same. Zero means 32 and 64.
	Bits4, Bits6 int
}

func (r Remember) withDefaults() Remember {
	if r.Lifetime == 0 {
		r.Lifetime = maxRemembered
	}
	if r.Bits4 == 0 {
		r.Bits4 = 32
	}
	if r.Bits6 == 0 {
		r.Bits6 = 64
	}
	return r
}

// maxRemembered is how long a code can stand for a key: a connection accepts no
// channel 12 h after its code, so that more would promise what isn't kept.
const maxRemembered = 12 * time.Hour

func (r Remember) check() error {
	switch {
	case r.Lifetime > maxRemembered:
		return errors.New("identity: Options.Remember.Lifetime is longer than 12h")
	case r.Bits4 < 8 || r.Bits4 > 32:
		return errors.New("identity: Options.Remember.Bits4 is not between 8 and 32")
	case r.Bits6 < 16 || r.Bits6 > 128:
		return errors.New("identity: Options.Remember.Bits6 is not between 16 and 128")
	}
	return nil
}

// network is what a source counts as. The zero Prefix is no network.
func (r Remember) network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := r.Bits4
	if a.Is6() {
		bits = r.Bits6
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

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
// False without an error means that the dialogue has to be had. The only error
// is ErrUnavailable. at.Key must be proven, not just offered.
func (a *Authenticator) Remembered(ctx context.Context, at Attempt) (Identity, bool, error) {
	return Identity{}, false, nil
}

// RememberedKeys lists what stands for a code now, the newest first.
func (a *Authenticator) RememberedKeys(ctx context.Context, id Identity) ([]RememberedKey, error) {
	return nil, ErrUnavailable
}

// Forget ends what is remembered of the key with that fingerprint, from every
// network, or of all keys if it is empty. It returns ErrNoKey if there was
// nothing. No code is asked: it takes access away.
func (a *Authenticator) Forget(ctx context.Context, id Identity, fingerprint string) error {
	return ErrUnavailable
}
