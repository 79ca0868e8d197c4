//go:build linux

package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/ca"
	"entry/configs"
	"entry/policy"
)

// userCARotation changes the CA whose certificates targets take.
type userCARotation struct{ *rotations }

func (u *userCARotation) state(context.Context) (admin.Rotation, error) {
	c := u.cfg.Keys.UserCA
	s, _, next, err := caState("user-ca", c)
	if err != nil || next == nil {
		return s, err
	}
	u.seenMu.Lock()
	defer u.seenMu.Unlock()
	seen, err := u.takes()
	if err != nil {
		return s, err
	}
	if p := u.policy(); p != nil {
		for _, t := range p.Targets() {
			if t.Kind != policy.SSH || t.Auth == policy.Passthrough {
				continue
			}
			s.Targets = append(s.Targets, seen.of(t.FullName(), ca.Fingerprint(next)))
		}
	}
	return s, nil
}

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func (u *userCARotation) begin(ctx context.Context, how admin.RotateHow) error {
	c := u.cfg.Keys.UserCA
	if u.log == nil {
		return errors.New("the audit log is only looked at")
	}
	if err := u.forget(); err != nil {
		return err
	}
	announce := func(key ssh.PublicKey) error {
		return u.announce(ctx, audit.RotationBegun, "user-ca", ca.Fingerprint(key), how.Reason)
	}
	if err := ca.MakeNext(c, "entry user CA", how.Next, announce); errors.Is(err, ca.ErrNext) {
		return &admin.Error{Status: http.StatusBadRequest, Text: err.Error() + " (--next FILE.pub)"}
	} else if err != nil {
		return err
	}
	err := u.distinct()
	var next *ca.Authority
	if err == nil {
		if next, err = ca.OpenNext(c); err == nil && next == nil {
			err = errors.New("the next user CA is gone again")
		}
	}
	if err == nil && u.live != nil {
		err = u.live.Follow(next)
	}
	if err != nil {
		return errors.Join(err, u.abort(ctx, admin.RotateHow{Reason: "it can't be used"}))
	}
	return nil
}

func (u *userCARotation) finish(ctx context.Context, how admin.RotateHow) error {
	s, err := u.state(ctx)
	if err != nil {
		return err
	}
	if u.policy() == nil && !how.Force {
		return conflict("the policy can't be read, so nobody knows which targets need which CA: entry policy validate says why")
	}
	var unready []string
	for _, t := range s.Targets {
		switch t.Takes {
		case admin.TakesNow:
			unready = append(unready, t.Target+" (takes only the present one, at "+plain.Word(t.Address)+")")
		case admin.TakesNever:
			unready = append(unready, t.Target+" (nobody went there since)")
		}
	}
	detail := how.Reason
	if len(unready) > 0 {
		if !how.Force {
			return conflict("these targets may be closed to everybody without the present CA: %s. Put the next one's line into their TrustedUserCAKeys and log in once, or finish all the same with --force --reason TEXT", plain.List(unready, 50))
		}
		detail += "; forced, though these targets may not take it yet: " + plain.List(unready, 10)
	}
	next, err := ca.OpenNext(u.cfg.Keys.UserCA) // what can't sign can't follow
	if err != nil {
		return conflict("the next user CA can't be used: %v", err)
	}
	if err := u.announce(ctx, audit.RotationFinished, "user-ca", ca.Fingerprint(next.PublicKey()), detail); err != nil {
		return err
	}
	if err := ca.PlaceNext(u.cfg.Keys.UserCA); err != nil {
		return err
	}
	if u.live != nil {
		u.live.Turn()
	}
	return u.forget()
}

func (u *userCARotation) abort(ctx context.Context, how admin.RotateHow) error {
	if err := u.announceAborted(ctx, "user-ca", u.cfg.Keys.UserCA, how); err != nil {
		return err
	}
	if u.live != nil {
		if err := u.live.Follow(nil); err != nil {
			return err
		}
	}
	return errors.Join(ca.DropNext(u.cfg.Keys.UserCA), u.forget())
}

// forget takes away what was seen.
func (r *rotations) forget() error {
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	r.seen = nil
	return dropFiles(seenFile(r.cfg.Keys.UserCA))
}

// seenFile has which CA's certificate each target took, while another one is to follow. It
// says nothing that decides about access: where it is lost, targets count as not looked at.
func seenFile(c configs.CA) string { return ca.NextFile(c) + ".seen" }

// maxSeen bounds that file, in bytes.
const maxSeen = 4 << 20

// takenCAs are those, by target and address.
type takenCAs struct {
	Targets map[string]map[string]takenCA `json:"targets"`
}

// maxAddresses bounds how many machines of a target are told apart.
const maxAddresses = 64

type takenCA struct {
	By string    `json:"by"` // fingerprint
	At time.Time `json:"at"`
}

func (t *takenCAs) of(target, next string) admin.TargetTakes {
	out := admin.TargetTakes{Target: target, Takes: admin.TakesNever}
	all := t.Targets[target]
	for _, address := range slices.Sorted(maps.Keys(all)) {
		at := all[address].At
		if all[address].By != next {
			return admin.TargetTakes{Target: target, Takes: admin.TakesNow, Address: address, At: &at}
		}
		out = admin.TargetTakes{Target: target, Takes: admin.TakesNext, Address: address, At: &at}
	}
	return out
}

// takes reads what was seen. It is called with seenMu.
func (r *rotations) takes() (*takenCAs, error) {
	if r.seen != nil {
		return r.seen, nil
	}
	seen := &takenCAs{Targets: map[string]map[string]takenCA{}}
	if path := seenFile(r.cfg.Keys.UserCA); exists(path) {
		text, err := configs.ReadFile(path, maxSeen)
		if err != nil {
			return nil, err
		}
		if json.Unmarshal(text, seen) != nil || seen.Targets == nil {
			seen.Targets = map[string]map[string]takenCA{} // a file that somebody cut: it is seen again
		}
	}
	r.seen = seen
	return seen, nil
}

// taken hears whose certificate a target took at one of its addresses. What is new is on record, and kept over a
// restart.
func (r *rotations) taken(target, address string, by ssh.PublicKey) error {
	if r.live.Next() == nil {
		return nil
	}
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	seen, err := r.takes()
	if err != nil {
		return err
	}
	print := ca.Fingerprint(by)
	if _, known := seen.Targets[target][address]; seen.Targets[target][address].By == print || !known && len(seen.Targets[target]) >= maxAddresses {
		return nil
	}
	ctx, cancel := context.WithTimeout(Self(context.Background()), 10*time.Second)
	defer cancel()
	detail := "takes certificates by the present user CA, and not yet by the one that is to follow"
	if next := r.live.Next(); next == nil {
		return nil // it was finished meanwhile
	} else if ca.Fingerprint(next) == print {
		detail = "takes certificates by the user CA that is to follow"
	}
	e := audit.Event{Type: audit.RotationSeen, Reason: "user-ca", Target: target, Destination: address, Key: print, Detail: detail}
	if err := r.log.Append(ctx, audit.ByActor(ctx, e)); err != nil {
		return err
	}
	if seen.Targets[target] == nil {
		seen.Targets[target] = map[string]takenCA{}
	}
	seen.Targets[target][address] = takenCA{print, time.Now().UTC().Truncate(time.Second)}
	text, err := json.Marshal(seen)
	if err == nil {
		err = WriteSecret(seenFile(r.cfg.Keys.UserCA), string(text))
	}
	if err != nil {
		return fmt.Errorf("keep which user CA %s takes: %w", target, err)
	}
	return nil
}
