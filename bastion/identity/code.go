package identity

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity/secret"
)

// codeKind is how the second answer relates to an account.
type codeKind uint8

const (
	codeWrong    codeKind = iota
	codeRight             // spent by this dialogue
	codeUsed              // in time, but spent elsewhere
	codeEarly             // the authenticator's clock is off; never accepted, and counted like a wrong one
	codeRecovery          // an unused recovery code
	codeNeedless          // right temporary passphrase, no authenticator yet
	codeTouch             // a security key was touched, and that stands for it
)

// judgeCode finds what kind of code the second answer is and spends a right one.
func (d *dialogue) judgeCode(ctx context.Context, acct Account, in answers, now time.Time) (codeKind, secret.Match, error) {
	bare := d.a.bare(acct)
	if bare && !in.split && in.code == "" {
		return codeNeedless, secret.Match{}, nil
	}
	code, _ := secret.ParseCode(in.code)
	found, err := d.findCode(acct, code, now)
	if err != nil {
		return codeWrong, secret.Match{}, err
	}
	recovery := d.findRecovery(acct, in.code)
	switch {
	case bare:
		return codeWrong, secret.Match{}, nil
	case d.a.bySMS(acct) && d.conn.wasTexted(acct.ID, code, now):
		return codeRight, secret.Match{}, nil
	case d.a.bySMS(acct) && !recovery:
		return codeWrong, secret.Match{}, nil
	case found.Acceptable():
		kind, err := d.spend(ctx, found)
		return kind, found.Match, err
	case found.Found:
		return codeEarly, found.Match, nil
	case recovery:
		return codeRecovery, secret.Match{}, nil
	}
	return codeWrong, secret.Match{}, nil
}

// formed tells whether typed may be a code at all, whoever's: anything else, such as a
// passphrase by habit, is refused like a wrong code and no guess at one.
func (d *dialogue) formed(typed string) bool {
	_, code := secret.ParseCode(typed)
	_, recovery := d.a.keys.HashRecovery(d.user, typed)
	return code || recovery
}

// ownMatch is a match and the authenticator it was found on.
type ownMatch struct {
	secret.Match
	authenticator string
}

// findCode looks for code on all authenticators of the account; on the dummy's
// for an account without one, so that the work is the same.
func (d *dialogue) findCode(acct Account, code string, now time.Time) (ownMatch, error) {
	holder, devices := acct.ID, acct.Authenticators
	if len(devices) == 0 {
		holder, devices = d.a.dummy.ID, d.a.dummy.Authenticators
	}
	var best ownMatch
	for _, dev := range devices {
		seed, err := d.a.keys.OpenSeed(holder, dev.ID, dev.Sealed)
		if err != nil {
			return ownMatch{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		m, err := secret.FindStep(seed, code, now, dev.LastStep)
		if err != nil {
			return ownMatch{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if m.Found && (!best.Found || (m.Acceptable() && !best.Acceptable())) {
			best = ownMatch{Match: m, authenticator: dev.ID}
		}
	}
	return best, nil
}

// spend uses the step up, before the passphrase is looked at: whatever comes of
// this dialogue, nothing else can use the code, on this connection either. Else a
// thief of one factor could find out, behind none or a wrong one, which code is
// right, where nothing counts against the factor, and then show both.
func (d *dialogue) spend(ctx context.Context, m ownMatch) (codeKind, error) {
	won, err := d.a.store.SpendStep(context.WithoutCancel(ctx), m.authenticator, m.Step, d.a.now())
	if err != nil {
		return codeWrong, fmt.Errorf("%w: spend code: %w", ErrUnavailable, err)
	}
	if !won {
		return codeUsed, nil
	}
	d.step, d.authenticator = m.Step, m.authenticator
	return codeRight, nil
}

// recoveryLeft is how many recovery codes of an account are unused.
func (a Account) recoveryLeft() (n int) {
	for _, r := range a.Recovery {
		if r.Used.IsZero() {
			n++
		}
	}
	return n
}

// findRecovery looks for an unused recovery code, in constant work.
func (d *dialogue) findRecovery(acct Account, answer string) bool {
	hashes, ok := d.a.keys.RecoveryHashes(acct.ID, answer)
	hit := 0
	for _, r := range acct.Recovery {
		if r.Used.IsZero() {
			for _, h := range hashes {
				hit |= subtle.ConstantTimeCompare(r.Hash[:], h[:])
			}
		}
	}
	return ok && hit == 1
}

// spendRecovery uses a recovery code up, after the right first factor, so that
// a mistyped passphrase doesn't cost one of ten.
func (d *dialogue) spendRecovery(ctx context.Context, acct Account, answer string, now time.Time) (bool, error) {
	hashes, _ := d.a.keys.RecoveryHashes(acct.ID, answer)
	var h [32]byte
	won := false
	for _, h = range hashes {
		var err error
		if won, err = d.a.store.SpendRecovery(context.WithoutCancel(ctx), acct.ID, h, now); err != nil {
			return false, fmt.Errorf("%w: spend recovery code: %w", ErrUnavailable, err)
		}
		if won {
			break
		}
	}
	if !won {
		return false, nil
	}
	e := d.event(audit.RecoveryUsed, "")
	e.Hash = hex.EncodeToString(h[:])
	if err := d.a.report(ctx, e); err != nil {
		return false, err
	}
	d.tell(ctx, noticeRecoveryUsed, "")
	return true, nil
}

// clockAdvice is what everybody reads whose tries are over, whatever was wrong: the
// commonest reason for a code that isn't accepted tells nothing about this one.
const clockAdvice = "An app's codes change every 30 seconds: see that your phone sets its clock by itself."

// driftText diagnoses a clock that is ahead of entry's.
func driftText(drift time.Duration) string {
	way := "ahead"
	if drift < 0 {
		way = "behind"
	}
	return fmt.Sprintf("The clock of your authenticator is about %s %s: set it to automatic, then use a new code.",
		plain.Left(drift.Abs()), way)
}
