package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit/plain"
	"entry/bastion/identity/secret"
)

// verdict is what the answers of one dialogue come to. Without a reason they
// are right.
type verdict struct {
	reason reason
	text   string // for the user; "" means "Not accepted."
	// innocent verdicts are not counted: the answers were right once.
	innocent    bool
	locked      bool      // nothing was evaluated
	accountLock time.Time // end of the account's lock that this verdict began

	temporary bool // the passphrase is temporary and must be replaced
	aged      bool // the passphrase is right but too old, and must be replaced
	recovery  bool // a recovery code stood for the code
	// typed is the right passphrase; "" where a key or a directory stood for it.
	typed string
}

// usedCode is said only after a right passphrase, or inside a connection.
var usedCode = verdict{reason: reasonCodeUsed, innocent: true, text: "Code already used, wait for the next one."}

// judge evaluates both answers as one. The code goes first, being cheap, and
// only one that lies in a window lets the passphrase be hashed.
func (d *dialogue) judge(ctx context.Context, acct Account, in answers) (verdict, error) {
	open, err := d.charge(ctx)
	if err != nil {
		return verdict{}, err
	}
	if acct.LockedUntil, err = d.lockNow(ctx, acct); err != nil {
		return verdict{}, err
	}
	now := d.a.now()
	if !open {
		if ok, err := d.proves(ctx, acct, in, now); err != nil || !ok {
			return verdict{locked: true}, err
		}
	}
	if d.key != "" && (d.touched || d.formed(in.code)) {
		if ok, err := d.chargeKey(ctx, acct); err != nil || !ok {
			return verdict{reason: reasonKeySuspended}, err
		}
	}
	code, found := codeTouch, secret.Match{}
	if !d.touched {
		if code, found, err = d.judgeCode(ctx, acct, in, now); err != nil {
			return verdict{}, err
		}
		if err := d.keyJudged(ctx, acct, code); err != nil {
			return verdict{}, err
		}
	}
	if code != codeWrong && code != codeEarly { // else nothing may show how long it takes
		if err := d.awaitAhead(ctx); err != nil {
			return verdict{}, err
		}
	}
	v, err := d.judgeBoth(ctx, acct, in, code, found, now)
	if err != nil {
		return verdict{}, err
	}
	if v.reason != "" {
		if err := d.refundKey(ctx); err != nil { // the code was none of its owner's guesses
			return verdict{}, err
		}
	}
	if d.user == "" {
		v = verdict{reason: reasonUnknownUser} // whatever the dummy made of it
	}
	return v, nil
}

// lockNow is until when acct is locked by now: answers may have been typed for as long as
// the grace is, and what was locked meanwhile isn't judged.
func (d *dialogue) lockNow(ctx context.Context, acct Account) (time.Time, error) {
	now, err := d.load(ctx)
	if err == nil && now.ID == acct.ID && now.LockedUntil.After(acct.LockedUntil) {
		return now.LockedUntil, nil
	}
	return acct.LockedUntil, err
}

func (d *dialogue) judgeBoth(ctx context.Context, acct Account, in answers, code codeKind, found secret.Match, now time.Time) (verdict, error) {
	isTemporary := acct.temporaryFor(in.passphrase)
	bare, guess := d.a.bare(acct), code != codeUsed && code != codeRecovery && d.formed(in.code)
	// A code that isn't used up by being typed is shown to whoever looks over a shoulder or
	// finds the list, and then tells a passphrase.
	var t try
	if !isTemporary && !d.keyStands(acct) && !now.Before(acct.LockedUntil) && (code == codeUsed || code == codeRecovery) {
		seen := d.seenCode(acct, code, in.code)
		t = d.a.lockout.namedTry(seen.name, seen.most)
		switch free, _, err := t.begin(ctx, d.a.now); {
		case err != nil:
			return verdict{}, err
		case !free && code == codeRecovery:
			code = codeWrong // whatever stands before it: it counts for nothing more
			if err := d.a.notifyHourly(ctx, acct.ID, Notice{User: acct.Name, Kind: noticeRecoveryGuess, Source: d.address()}); err != nil {
				return verdict{}, err
			}
		case !free:
			code = codeWrong
		}
	}
	if (code == codeWrong || code == codeEarly) && d.key == "" {
		if err := d.suspect(ctx, acct, in.passphrase, found.Drift, guess); err != nil {
			return verdict{}, err
		}
	}
	expired := isTemporary && !now.Before(acct.Temporary.Expires)
	switch {
	case code == codeNeedless:
	case (bare || d.a.bySMS(acct)) && expired:
		return d.expired(acct), nil
	case bare:
		return verdict{reason: reasonWrongPassphrase}, nil
	case code == codeWrong:
		if say := d.textProblem(acct, in.passphrase); say != "" {
			return verdict{reason: reasonNoText, innocent: true, text: say}, nil
		}
		return verdict{reason: reasonWrongCode}, nil
	case code == codeEarly && !d.keyStands(acct):
		// Answered as a wrong one, in words and in time: no other answer may tell which
		// code will be right soon. See suspect for what its owner reads.
		return verdict{reason: reasonClockDrift}, nil
	}
	if now.Before(acct.LockedUntil) && !d.keyStands(acct) {
		// Told only to a holder of a right code, who can't be guessing.
		v := verdict{reason: reasonAccountLocked}
		if code != codeUsed {
			v.text = d.a.lockedText(acct.LockedUntil)
		}
		return v, nil
	}
	if !isTemporary && !d.keyStands(acct) {
		if code == codeRight {
			t = d.a.lockout.accountTry(acct)
			switch free, until, err := t.begin(ctx, d.a.now); {
			case err != nil:
				return verdict{}, err
			case !free: // since the account was read
				return verdict{reason: reasonAccountLocked, text: d.a.lockedText(until)}, nil
			}
		}
		first, err := d.firstFactor(ctx, acct, in.passphrase)
		o := outcomeOf(ctx, first, err)
		if code == codeRight && err == nil && first.reason != reasonWrongPassphrase {
			o = tryNone // a directory's word, whatever was typed
		}
		until, settling := t.settle(ctx, o, d.a.now())
		if err = errors.Join(err, settling); err != nil {
			return verdict{}, err
		}
		if first.reason == reasonWrongPassphrase {
			if d.a.bySMS(acct) {
				d.conn.forget() // a code that was sent counts once as well
			}
			return d.wrongPassphrase(ctx, acct, code, until)
		}
		if first.reason != "" {
			if code == codeUsed && !first.innocent {
				first.text = "" // neither factor is proven
			}
			return first, nil
		}
	}
	switch {
	case code == codeUsed:
		return usedCode, nil
	case code == codeEarly:
		return d.drifted(found.Drift), nil
	case d.a.lifetimes.unfit(acct.standing(""), now).reason != "":
		return d.a.lifetimes.unfit(acct.standing(""), now), nil
	case expired:
		return d.expired(acct), nil
	}
	if d.key == "" && code != codeNeedless {
		if v, err := d.tooManyCodes(ctx, acct, in.passphrase); err != nil || v.reason != "" {
			return v, err
		}
	}
	if code == codeRecovery {
		if ok, err := d.spendRecovery(ctx, acct, in.code, now); err != nil || !ok {
			return verdict{reason: reasonRecoveryUsed}, err
		}
	}
	v := verdict{temporary: isTemporary, recovery: code == codeRecovery}
	if !isTemporary && !d.keyStands(acct) && acct.Realm == "" {
		v.typed, v.aged = in.passphrase, d.a.lifetimes.aged(acct, now)
	}
	return v, nil
}

// drifted is the verdict on a code behind a proven key that is right at another
// time. Only a network with a login before is told: elsewhere a thief of the first
// factor would try one again whose time is yet to come, and who has seen one that is
// past would try passphrases with it.
func (d *dialogue) drifted(drift time.Duration) verdict {
	if !d.mayTell(drift) {
		return verdict{reason: reasonClockDrift}
	}
	return verdict{reason: reasonClockDrift, innocent: true, text: driftText(drift)}
}

func (d *dialogue) mayTell(drift time.Duration) bool { return drift != 0 && d.trusted }

// expired is said only after the right temporary passphrase (and code, if there
// is an authenticator): to its holder, who needs to know what to do.
func (d *dialogue) expired(acct Account) verdict {
	if v := d.a.lifetimes.unfit(acct.standing(""), d.a.now()); v.reason != "" {
		return v
	}
	return verdict{
		reason: reasonExpired, innocent: true,
		text: "This temporary passphrase expired on " + plain.Moment(acct.Temporary.Expires) + ": ask " + d.a.contact + " for a new one.",
	}
}

// temporaryFor tells whether typed is the account's temporary passphrase,
// expired or not.
func (a Account) temporaryFor(typed string) bool {
	h := secret.HashTemporary(typed)
	want := [32]byte{}
	if a.Temporary != nil {
		want = a.Temporary.Hash
	}
	return subtle.ConstantTimeCompare(h[:], want[:]) == 1 && a.Temporary != nil
}

// admitsKey tells whether key may be the first factor of acct: never while the
// passphrase is temporary or too old, because a reset must reach whoever planted
// a key, never without an authenticator, because then nothing would be second, and
// never while the key is suspended.
func (a *core) admitsKey(acct Account, key ssh.PublicKey, now time.Time) bool {
	if key == nil || a.lifetimes.unfit(acct.standing(""), now).reason != "" || acct.Temporary != nil || (acct.Passphrase == "" && acct.Realm == "") ||
		a.bare(acct) || a.lifetimes.aged(acct, now) {
		return false
	}
	print := ssh.FingerprintSHA256(key)
	return slices.ContainsFunc(acct.Keys, func(k Key) bool { return k.Fingerprint == print && k.Suspended.IsZero() })
}

func (a *core) lockedText(until time.Time) string {
	return "This account is locked until " + plain.Moment(until) + " after many wrong passphrases: wait, or ask " + a.contact + "."
}
