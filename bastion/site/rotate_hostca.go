//go:build linux

package site

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/ca"
)

// hostCAOverlap is how long users are given both CAs' lines before the present one may be
// given up: nobody can tell who has taken them. A month has everybody's holidays.
const hostCAOverlap = 30 * 24 * time.Hour

// hostCARotation changes the CA by which clients know this server and its targets. The host
// keys stay, so that whoever pins those sees nothing of it.
type hostCARotation struct{ *rotations }

func (h *hostCARotation) state(context.Context) (admin.Rotation, error) {
	c := h.cfg.Keys.HostCA
	s, now, next, err := caState("host-ca", c)
	if err != nil || next == nil {
		return s, err
	}
	ready := s.Begun.Add(hostCAOverlap)
	s.Ready = &ready
	for _, key := range []ssh.PublicKey{now, next} {
		if p := h.policy(); p != nil {
			line, err := ca.KnownHostsCA(key, append(p.HostPatterns(), h.cfg.Name)...)
			if err != nil {
				return s, err
			}
			s.KnownHosts = append(s.KnownHosts, line)
		}
	}
	if c.Offline() {
		s.Certificates, err = ca.NotBy(h.cfg.Keys.Directory, next)
	}
	return s, err
}

func (h *hostCARotation) begin(ctx context.Context, how admin.RotateHow) error {
	c := h.cfg.Keys.HostCA
	if h.log == nil {
		return errors.New("the audit log is only looked at")
	}
	announce := func(key ssh.PublicKey) error {
		return h.announce(ctx, audit.RotationBegun, "host-ca", ca.Fingerprint(key), how.Reason)
	}
	if err := ca.MakeNext(c, "entry host CA", how.Next, announce); errors.Is(err, ca.ErrNext) {
		return &admin.Error{Status: http.StatusBadRequest, Text: err.Error() + " (--next FILE.pub)"}
	} else if err != nil {
		return err
	}
	err := h.distinct()
	if err == nil && h.host != nil {
		err = h.host.Reopen(c)
	}
	if err != nil {
		return errors.Join(err, h.abort(ctx, admin.RotateHow{Reason: "it can't be used"}))
	}
	return nil
}

func (h *hostCARotation) finish(ctx context.Context, how admin.RotateHow) error {
	c := h.cfg.Keys.HostCA
	s, err := h.state(ctx)
	if err != nil {
		return err
	}
	// Without these a client would be shown no certificate at all, so there is no forcing it.
	if len(s.Certificates) > 0 {
		return conflict("these host certificates are by the present CA: %s. Have the next one sign them first, where it is kept", plain.List(s.Certificates, 20))
	}
	detail := how.Reason
	if left := time.Until(*s.Ready); left > 0 {
		if !how.Force {
			return conflict("users have been given both lines since %s alone, and who took theirs before will be asked about a host key. Wait until %s, or, when all have them, finish with --force --reason TEXT", plain.Time(*s.Begun), plain.Time(*s.Ready))
		}
		detail += "; forced, " + plain.Span(left.Truncate(time.Hour)) + " before a month was over"
	}
	key, _, _, err := ca.Next(c)
	if err == nil && !c.Offline() {
		_, err = ca.OpenNext(c) // what can't sign can't follow
	}
	if err != nil {
		return conflict("the next host CA can't be used: %v", err)
	}
	if err := h.announce(ctx, audit.RotationFinished, "host-ca", ca.Fingerprint(key), detail); err != nil {
		return err
	}
	if err := ca.PlaceNext(c); err != nil {
		return err
	}
	if h.host != nil {
		h.host.Turn()
	}
	return nil
}

func (h *hostCARotation) abort(ctx context.Context, how admin.RotateHow) error {
	if err := h.announceAborted(ctx, "host-ca", h.cfg.Keys.HostCA, how); err != nil {
		return err
	}
	if h.host != nil {
		h.host.Follow(nil, nil)
	}
	return ca.DropNext(h.cfg.Keys.HostCA)
}
