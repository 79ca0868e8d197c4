package bastion

import (
	"context"
	"net/netip"
	"time"

	"entry/bastion/identity"
)

const (
	// familiarFor is how long a login makes its network a known one.
	familiarFor = 30 * 24 * time.Hour

	// maxNetworks bounds the table; past it the one unseen longest is forgotten.
	maxNetworks = 1 << 16
)

// networks remembers from where somebody has logged in lately. Its user's lock
// guards it.
type networks struct {
	seen map[netip.Prefix]time.Time // the last login
}

func newNetworks() *networks { return &networks{seen: map[netip.Prefix]time.Time{}} }

func (n *networks) has(p netip.Prefix, now time.Time) bool {
	at, ok := n.seen[p]
	return ok && now.Sub(at) < familiarFor
}

func (n *networks) note(p netip.Prefix, at time.Time) {
	if _, ok := n.seen[p]; !ok && len(n.seen) >= maxNetworks {
		oldest := p
		for k, t := range n.seen {
			if oldest == p || t.Before(n.seen[oldest]) {
				oldest = k
			}
		}
		delete(n.seen, oldest)
	}
	if at.After(n.seen[p]) {
		n.seen[p] = at
	}
}

// knows tells whether somebody has logged in from there lately.
func (a *admission) knows(from netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.familiar.has(sourceOf(from), a.now())
}

// remember makes those networks known from which somebody logged in before this
// server started, here or at another one on the same database.
func (a *admission) remember(ctx context.Context, accounts *identity.Authenticator) error {
	logins, err := accounts.Sources(ctx, a.now().Add(-familiarFor))
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range logins {
		if addr, err := netip.ParseAddr(l.Source); err == nil {
			a.familiar.note(sourceOf(addr), l.At)
		}
	}
	return nil
}
