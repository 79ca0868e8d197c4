package identity

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
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

// codeKind is how the second answer relates to an account.
type codeKind uint8

const (
	codeWrong    codeKind = iota
	codeRight             // spent by this connection
	codeUsed              // in time, but spent elsewhere
	codeEarly             // the authenticator's clock is off; never accepted
	codeRecovery          // an unused recovery code
	codeNeedless          // right temporary passphrase, no authenticator yet
	codeTouch             // a security key was touched, and that stands for it
)

// judge evaluates both answers as one. The code goes first, being cheap, and
// only one that lies in a window lets the passphrase be hashed.
func (d *dialogue) judge(ctx context.Context, acct Account, in answers) (verdict, error) {
	if ok, err := d.charge(ctx); err != nil || !ok {
		return verdict{locked: true}, err
	}
	if err := d.ahead.wait(); err != nil {
		return verdict{}, err
	}
	now := d.a.now()
	code, found, err := codeTouch, secret.Match{}, error(nil)
	if !d.touched {
		code, found, err = d.judgeCode(ctx, acct, in, now)
	}
	if err != nil {
		return verdict{}, err
	}
	v, err := d.judgeBoth(ctx, acct, in, code, found, now)
	if err == nil && d.user == "" {
		v = verdict{reason: reasonUnknownUser} // whatever the dummy made of it
	}
	return v, err
}

func (d *dialogue) judgeBoth(ctx context.Context, acct Account, in answers, code codeKind, found secret.Match, now time.Time) (verdict, error) {
	isTemporary := acct.temporaryFor(in.passphrase)
	bare := d.a.bare(acct)
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
	}
	if now.Before(acct.LockedUntil) {
		// Told only to a holder of a right code, who can't be guessing.
		v := verdict{reason: reasonAccountLocked}
		if code != codeUsed && code != codeEarly {
			v.text = lockedText(acct)
		}
		return v, nil
	}
	if !isTemporary && !d.keyStands(acct) {
		first, err := d.firstFactor(ctx, acct, in.passphrase, code)
		if err != nil {
			return verdict{}, err
		}
		if first.reason == reasonWrongPassphrase {
			return d.wrongPassphrase(ctx, acct, code, now)
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
		return verdict{reason: reasonClockDrift, innocent: true, text: driftText(found.Drift)}, nil
	case d.a.unfit(acct.standing(""), now).reason != "":
		return d.a.unfit(acct.standing(""), now), nil
	case expired:
		return d.expired(acct), nil
	}
	if code == codeRecovery {
		if ok, err := d.spendRecovery(ctx, acct, in.code, now); err != nil || !ok {
			return verdict{reason: reasonRecoveryUsed}, err
		}
	}
	v := verdict{temporary: isTemporary, recovery: code == codeRecovery}
	if !isTemporary && !d.keyStands(acct) && acct.Realm == "" {
		v.typed, v.aged = in.passphrase, d.a.aged(acct, now)
	}
	return v, nil
}

// wrongPassphrase counts against the account only if the code was its own:
// strangers can't lock an owner out.
func (d *dialogue) wrongPassphrase(ctx context.Context, acct Account, code codeKind, now time.Time) (verdict, error) {
	v := verdict{reason: reasonWrongPassphrase}
	if code == codeWrong || code == codeEarly || code == codeNeedless {
		return v, nil
	}
	l := d.a.limits
	until, err := d.a.store.CountFailure(context.WithoutCancel(ctx), acct.ID, now, l.AccountFailures, l.AccountWindow)
	if err != nil {
		return verdict{}, fmt.Errorf("%w: count failure: %w", ErrUnavailable, err)
	}
	v.accountLock = until
	return v, nil
}

// expired is said only after the right temporary passphrase (and code, if there
// is an authenticator): to its holder, who needs to know what to do.
func (d *dialogue) expired(acct Account) verdict {
	if v := d.a.unfit(acct.standing(""), d.a.now()); v.reason != "" {
		return v
	}
	return verdict{
		reason: reasonExpired, innocent: true,
		text: "This temporary passphrase expired on " + utc(acct.Temporary.Expires) + ": ask your lab's administrator for a new one.",
	}
}

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
	keptAuth, keptStep := d.conn.spent()
	var best ownMatch
	for _, dev := range devices {
		seed, err := d.a.keys.OpenSeed(holder, dev.ID, dev.Sealed)
		if err != nil {
			return ownMatch{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		kept := int64(-1)
		if dev.ID == keptAuth {
			kept = keptStep
		}
		m, err := secret.FindStep(seed, code, now, dev.LastStep, kept)
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
// this dialogue, no other connection can use the code. This one can, once more.
func (d *dialogue) spend(ctx context.Context, m ownMatch) (codeKind, error) {
	if auth, step := d.conn.spent(); auth == m.authenticator && step == m.Step {
		return codeRight, nil
	}
	won, err := d.a.store.SpendStep(context.WithoutCancel(ctx), m.authenticator, m.Step, d.a.now())
	if err != nil {
		return codeWrong, fmt.Errorf("%w: spend code: %w", ErrUnavailable, err)
	}
	if !won {
		return codeUsed, nil
	}
	d.conn.remember(m.authenticator, m.Step)
	return codeRight, nil
}

// findRecovery looks for an unused recovery code, in constant work.
func (d *dialogue) findRecovery(acct Account, answer string) bool {
	h, ok := d.a.keys.HashRecovery(acct.ID, answer)
	hit := 0
	for _, r := range acct.Recovery {
		if r.Used.IsZero() {
			hit |= subtle.ConstantTimeCompare(r.Hash[:], h[:])
		}
	}
	return ok && hit == 1
}

// spendRecovery uses a recovery code up, after the right first factor, so that
// a mistyped passphrase doesn't cost one of ten.
func (d *dialogue) spendRecovery(ctx context.Context, acct Account, answer string, now time.Time) (bool, error) {
	h, _ := d.a.keys.HashRecovery(acct.ID, answer)
	won, err := d.a.store.SpendRecovery(context.WithoutCancel(ctx), acct.ID, h, now)
	if err != nil {
		return false, fmt.Errorf("%w: spend recovery code: %w", ErrUnavailable, err)
	}
	if !won {
		return false, nil
	}
	if err := d.a.report(ctx, d.event(audit.RecoveryUsed, "")); err != nil {
		return false, err
	}
	d.tell(ctx, NoticeRecoveryUsed, "")
	return true, nil
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
// a key, and never without an authenticator, because then nothing would be second.
func (a *Authenticator) admitsKey(acct Account, key ssh.PublicKey, now time.Time) bool {
	if key == nil || a.unfit(acct.standing(""), now).reason != "" || acct.Temporary != nil || (acct.Passphrase == "" && acct.Realm == "") ||
		a.bare(acct) || a.aged(acct, now) {
		return false
	}
	print := ssh.FingerprintSHA256(key)
	for _, k := range acct.Keys {
		if k.Fingerprint == print {
			return true
		}
	}
	return false
}

// dummyAccount stands in for unknown names: it has one of everything, and
// nobody knows any of it. It is in no store, so nothing of it can be spent.
func (a *Authenticator) dummyAccount() (Account, error) {
	acct := Account{ID: secret.NewID(), Generation: -1, Passphrase: a.hasher.Dummy()}
	dev := secret.NewID()
	acct.Authenticators = []EnrolledAuthenticator{{ID: dev, Sealed: a.keys.SealSeed(acct.ID, dev, secret.NewSeed())}}
	_, acct.Recovery = a.newRecovery(acct.ID)
	return acct, nil
}

// driftText diagnoses a clock that is ahead of entry's.
func driftText(drift time.Duration) string {
	way := "ahead"
	if drift < 0 {
		way = "behind"
	}
	return fmt.Sprintf("The clock of your authenticator is about %s %s: set it to automatic, then use a new code.",
		minutesLeft(time.Time{}.Add(drift.Abs()), time.Time{}), way)
}

func lockedText(acct Account) string {
	return "This account is locked until " + utc(acct.LockedUntil) + " after many wrong passphrases: wait, or ask your lab's administrator."
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
