//go:build linux

package site

import (
	"context"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/admin"
	"entry/bastion/ca"
	"entry/configs"
)

// caState is what is alike in the state of both CAs: the present key, and the one that is
// to follow it, nil for none.
func caState(what string, c configs.CA) (s admin.Rotation, now, next ssh.PublicKey, err error) {
	s.What = what
	public := c.PublicKey
	if c.File != "" {
		public = c.File + ".pub"
	}
	if now, err = ca.LoadPublic(public); err != nil {
		return s, nil, nil, err
	}
	s.Now = authorized(now)
	key, since, ok, err := ca.Next(c)
	if !since.IsZero() {
		s.Begun, s.NextFile = &since, ca.NextFile(c)
	}
	if !ok {
		return s, now, nil, err
	}
	s.Next = authorized(key)
	return s, now, key, nil
}

// announceAborted says that the CA that was to follow doesn't, by its key where that can
// be read.
func (r *rotations) announceAborted(ctx context.Context, what string, c configs.CA, how admin.RotateHow) error {
	key, _, _, err := ca.Next(c)
	print := ""
	if err == nil {
		print = ca.Fingerprint(key)
	}
	return r.announce(ctx, audit.RotationAborted, what, print, how.Reason)
}
