package identity

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// ErrProof: the proof is none, was used, is older than two minutes, or its
// account has changed since: a fresh code is needed.
var ErrProof = errors.New("identity: a fresh code is needed")

// proofLifetime is how long a fresh code stands for the command it was asked in.
const proofLifetime = 2 * time.Minute

// Proof is a code given just now by the holder of an identity. It admits one
// operation. Only Fresh makes one; the zero Proof proves nothing.
type Proof struct {
	id    Identity
	at    Attempt // the connection it was given on, for events
	until time.Time
	step  int64 // of the code, for events
	spent *atomic.Bool
}

// Refusal is an error whose text is for the user: one sentence or two, saying
// what to do.
type Refusal struct {
	Text    string
	Misused bool // what was given can't be meant, such as a malformed number
	Unknown bool // nothing has the name that was given
}

func (r *Refusal) Error() string { return r.Text }

// Fresh asks the holder of id for a code that was not used yet, at most three
// times; where codes go by SMS, one is sent. The limits of Login apply, and a
// code of the login itself is used; a recovery code doesn't do, because whoever
// needs one has to enrol anew, by logging in with it. at is the client
// connection's attempt; its name and key are not used.
//
// Errors: ErrRefused, ErrAbandoned, ErrExhausted, ErrRevoked, ErrUnavailable; what
// there is to say has been said through ask.
func (a SelfService) Fresh(ctx context.Context, id Identity, at Attempt, ask Asker) (Proof, error) {
	if !id.Valid() {
		return Proof{}, ErrRevoked
	}
	d := a.serve(id, at, ask)
	d.key = id.key
	for range dialoguesPerConn {
		var retry *again
		switch err := d.fresh(ctx, id); {
		case err == nil:
			return Proof{id: id, at: d.at, until: a.now().Add(proofLifetime), step: d.step, spent: new(atomic.Bool)}, nil
		case errors.As(err, &retry):
			d.verdict = retry.text + " "
		case errors.Is(err, ErrRevoked), errors.Is(err, ErrRefused):
			return Proof{}, err
		default:
			return Proof{}, d.end(ctx, err)
		}
	}
	d.notice(ctx, d.verdict+"That was the last try. "+clockAdvice)
	return Proof{}, ErrRefused
}

// serve is a dialogue inside a connection whose user is proven.
func (a SelfService) serve(id Identity, at Attempt, ask Asker) *dialogue {
	at.Name, at.Key = id.user, nil
	return &dialogue{
		a: a.core, at: at, conn: NewConnState(), ask: ask, pair: a.lockout.pairOf(id.user, at.Source.Addr()), user: id.user, serving: true,
	}
}

// fresh asks for one code and judges it. It returns *again if another may follow.
func (d *dialogue) fresh(ctx context.Context, id Identity) error {
	d.charged, d.locks, d.keyCharge, d.passphrase = false, false, keyCharge{}, factor{}
	if err := d.textFresh(ctx, id); err != nil {
		return err
	}
	typed, err := d.answer(ctx, d.verdict+d.conn.remarks()+d.a.issuer+" one-time code: ")
	if err != nil {
		return err
	}
	if !d.formed(typed) {
		return &again{text: "That is no code: a one-time code has six digits."} // a passphrase, by habit, and no guess
	}
	open, err := d.charge(ctx)
	if err != nil {
		return err
	}
	acct, err := d.a.owned(ctx, id)
	if errors.Is(err, ErrRevoked) {
		if err := d.refund(ctx); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	now := d.a.now()
	if !open {
		if ok, err := d.proves(ctx, acct, answers{code: typed}, now); err != nil {
			return err
		} else if !ok {
			return d.locked(ctx, d.barred)
		}
	}
	v, err := d.freshCode(ctx, acct, typed, now)
	if err != nil {
		return err
	}
	if v.reason != "" {
		if err := d.refundKey(ctx); err != nil {
			return err
		}
		return d.failed(ctx, v)
	}
	d.conn.forget() // it stands for this command, and for nothing after it
	if err := d.codeAccepted(ctx); err != nil {
		return err
	}
	return d.succeeded(ctx)
}

// freshCode judges one code, and counts a wrong one against what the connection was
// opened with.
func (d *dialogue) freshCode(ctx context.Context, acct Account, typed string, now time.Time) (verdict, error) {
	if d.key != "" {
		if ok, err := d.chargeKey(ctx, acct); err != nil || !ok {
			return verdict{reason: reasonKeySuspended}, err
		}
	}
	kind, found, err := d.judgeCode(ctx, acct, answers{code: typed}, now)
	if err == nil {
		err = d.keyJudged(ctx, acct, kind)
	}
	if err != nil {
		return verdict{}, err
	}
	v := verdict{reason: reasonWrongCode}
	switch {
	case (kind == codeWrong || kind == codeEarly) && d.key == "":
		if err := d.wrongInside(ctx, acct, found.Drift); err != nil {
			return verdict{}, err
		}
	case now.Before(acct.LockedUntil) && d.key == "":
		v = verdict{reason: reasonAccountLocked}
		if kind == codeRight {
			v.text = d.a.lockedText(acct.LockedUntil)
		}
	case kind == codeRight && d.key != "":
		return verdict{}, nil
	case kind == codeRight:
		return d.tooManyCodes(ctx, acct, "")
	case kind == codeUsed:
		v = usedCode
	case kind == codeEarly:
		v = d.drifted(found.Drift)
	case kind == codeRecovery:
		v.text = "A recovery code is for logging in: that enrols a new device. Here a code of your authenticator is needed."
	}
	return v, nil
}

// take uses the proof up and returns the account and a dialogue for what it
// admits.
func (a SelfService) take(ctx context.Context, p Proof, ask Asker) (*dialogue, Account, error) {
	left := p.until.Sub(a.now())
	if p.spent == nil || p.spent.Swap(true) || left <= 0 || left > proofLifetime {
		return nil, Account{}, ErrProof
	}
	acct, err := a.owned(ctx, p.id)
	if err != nil {
		return nil, Account{}, err
	}
	d := a.serve(p.id, p.at, ask)
	d.step = p.step
	return d, acct, nil
}
