package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/session/group"
)

// lookingAtOnce bounds the passphrases that are looked at behind wrong codes. One
// more isn't: then its code counts for what was typed, so that nobody can guess for
// nothing beside a flood.
const lookingAtOnce = 64

// suspect counts a wrong code if the passphrase in front of it was right. That is
// found out beside the dialogue, for every name alike, so that no answer tells, by
// its words or by its time, whether a passphrase was. A code that is right at
// another time, by drift, is a wrong one: whoever typed it behind the right passphrase
// reads so with the next question for a code, see mayTell. What is no guess (a code that
// was used up, a passphrase typed here by habit) is only treated like one: else those
// who come with one code at once would close the passphrase to the one of them that it
// lets in.
func (d *dialogue) suspect(ctx context.Context, acct Account, typed string, drift time.Duration, guess bool) error {
	g, a := d.a.guesses, d.a
	// What nothing would be judged of counts for nothing, but costs the same.
	counts := guess && (d.charged || d.mayProve(acct, typed))
	asTyped, err := g.typedOf(ctx, acct, d.at.Name, typed, d.at.Source.Addr(), d.trusted)
	if err != nil {
		return err
	}
	unseen := func() {
		if counts {
			a.countTyped(ctx, asTyped)
			g.overlook(asTyped, a.now())
		}
	}
	done := g.begin(acct, d.at.Name, typed)
	if done == nil {
		unseen()
		return nil
	}
	select {
	case a.looking <- struct{}{}:
	default:
		unseen()
		done()
		return nil
	}
	var (
		known = d.user != "" && counts
		f     = g.passphraseOf(acct, d.at.Source.Addr(), d.trusted)
		many  = d.manyCodes("")
		ahead = d.ahead
		told  = d.mayTell(drift)
		conn  = d.conn
	)
	if ahead != nil {
		ahead.leave() // who leaves now has read the answer
	}
	// The dialogue may be over before its turn has come, so the group is the check's
	// own. It ends within the wait for that turn; Close waits for it.
	looking := group.New(context.WithoutCancel(ctx), a.panicked)
	looking.Go("passphrase behind a wrong code", func() {
		defer func() { <-a.looking }()
		defer done()
		defer looking.Cancel(nil)
		ctx := looking.Context()
		right, err := a.provenBehind(ctx, acct, typed, ahead)
		switch judges := acct.directoryJudges() && (ahead == nil || !ahead.judged); {
		case err != nil: // it had no turn
			unseen()
		case judges && known: // a directory isn't asked
			a.countTyped(ctx, asTyped)
		case right && known:
			// What fails here fails the next login too, which says so.
			_ = a.carry(ctx, acct, asTyped, f, many)
			_ = a.countCode(ctx, acct.ID, f, many)
			if told {
				conn.remark(driftText(drift))
			}
		}
	})
	return nil
}

// wrongInside counts a wrong code inside a connection that a passphrase opened: its
// login is the proof.
func (d *dialogue) wrongInside(ctx context.Context, acct Account, drift time.Duration) error {
	if d.mayTell(drift) {
		d.conn.remark(driftText(drift))
	}
	return d.a.countCode(ctx, acct.ID, d.a.guesses.insideOf(acct, d.at.Source.Addr(), d.trusted), d.manyCodes("inside a connection"))
}

// directoryJudges tells whether only a directory knows which passphrase is right.
func (a Account) directoryJudges() bool { return a.Realm != "" && a.Temporary == nil }

// provenBehind tells whether typed is the account's passphrase, as far as that is known
// here: a directory isn't asked.
func (a *core) provenBehind(ctx context.Context, acct Account, typed string, h *ahead) (bool, error) {
	temporary := acct.temporaryFor(typed)
	if h != nil { // it is being looked at
		err := h.wait()
		var down *directoryDown
		switch {
		case err == nil, h.judged, errors.As(err, &down):
			return temporary || h.judged && h.first.reason == "", nil
		case !errors.Is(err, errCrowded):
			return false, err
		}
	}
	stored := acct.Passphrase
	if stored == "" {
		stored = a.dummy.Passphrase
	}
	right, err := a.hasher.VerifyLater(ctx, stored, typed)
	return right || temporary, err
}

// countTyped counts one wrong code behind what was typed, where whether that was
// right isn't found out.
func (a *core) countTyped(ctx context.Context, f factor) {
	_, _, _, _ = a.guesses.count(ctx, f, a.now()) // in memory: it never fails
}

// manyCodes is what there is to say once wrong codes reach a limit: to the log and to
// the account's owner.
type manyCodes struct {
	event  audit.Event
	notice Notice
}

func (d *dialogue) manyCodes(where string) manyCodes {
	return manyCodes{d.event(audit.LoginLocked, reasonManyCodes), Notice{User: d.user, Kind: noticeCodesGuessed, Source: d.address(), Detail: where}}
}

// carry is guesses.carry that says so if a limit is reached. The codes came earlier, from
// anywhere: this connection may be their victim's, so neither event nor notice names it.
func (a *core) carry(ctx context.Context, acct Account, typed, f factor, say manyCodes) error {
	n, after, limit, err := a.guesses.carry(ctx, typed, f, a.now())
	if !acct.directoryJudges() { // behind a directory's, none is looked at
		a.guesses.placed(typed, n, a.now())
	}
	if err != nil || !limit {
		return err
	}
	say.event.Conn, say.event.Source, say.event.Detail = "", "", "came earlier, from connections that aren't known"
	say.notice.Source, say.notice.Detail = "", "earlier, from addresses that aren't known"
	return a.sayMany(ctx, acct.ID, after, say)
}

func (a *core) sayMany(ctx context.Context, account string, after guessState, say manyCodes) error {
	say.event.Until = &after.closed
	if err := a.report(ctx, say.event); err != nil {
		return err
	}
	return a.notifyHourly(ctx, account, say.notice)
}

// countCode counts one wrong code behind a right passphrase, or inside a connection
// that it opened.
func (a *core) countCode(ctx context.Context, account string, f factor, say manyCodes) error {
	c, after, limit, err := a.guesses.count(ctx, f, a.now())
	if err != nil || c != notCharged && !limit {
		return err
	}
	if limit {
		return a.sayMany(ctx, account, after, say)
	}
	return a.notifyHourly(ctx, account, say.notice)
}

// notifyHourly notifies of guesses, once an hour at most for an account and a kind, over
// all processes: who guesses must not be able to flood its owner, nor to hide one kind
// behind another.
func (a *core) notifyHourly(ctx context.Context, account string, n Notice) error {
	now, first := a.now(), false
	err := a.store.Count(context.WithoutCancel(ctx), now, func(t []Tally) bool {
		if first = !now.Before(t[0].Locked); first {
			end := now.Add(time.Hour)
			t[0] = Tally{Failures: 1, Since: now, Locked: end, Keep: end}
		}
		return first
	}, a.keys.HashTally("guessed|"+account+"|"+string(n.Kind)))
	if err != nil {
		return fmt.Errorf("%w: count notices: %w", ErrUnavailable, err)
	}
	if first {
		a.notify(ctx, n)
	}
	return nil
}

// keyCharge is the code that a dialogue has charged to its key.
type keyCharge struct {
	factor factor
	charge charge
	limit  bool // it was the last one that the key has
}

// chargeKey counts a code behind a proven key as wrong until it is judged, so that a
// thousand parallel ones can't all be. False means that the key has none left.
func (d *dialogue) chargeKey(ctx context.Context, acct Account) (bool, error) {
	i := slices.IndexFunc(acct.Keys, func(k Key) bool { return k.Fingerprint == d.key })
	if i < 0 {
		return false, nil // taken away meanwhile
	}
	f := keyOf(acct, acct.Keys[i], d.at.Source.Addr(), d.trusted)
	c, _, limit, err := d.a.guesses.count(ctx, f, d.a.now())
	if err != nil {
		return false, err
	}
	d.keyCharge = keyCharge{f, c, limit}
	if c == notCharged {
		return false, d.suspendKey(ctx, acct)
	}
	return true, nil
}

// keyJudged settles what chargeKey counted.
func (d *dialogue) keyJudged(ctx context.Context, acct Account, code codeKind) error {
	c := d.keyCharge
	switch {
	case c.charge == notCharged:
		return nil
	case (code == codeWrong || code == codeEarly) && c.limit:
		d.keyCharge = keyCharge{}
		return d.suspendKey(ctx, acct)
	case code == codeWrong || code == codeEarly: // which may be right soon
		d.keyCharge = keyCharge{}
		return nil
	case code == codeRight || code == codeRecovery:
		return nil // until it is known what becomes of the dialogue
	}
	return d.refundKey(ctx)
}

func (d *dialogue) refundKey(ctx context.Context) error {
	c := d.keyCharge
	d.keyCharge = keyCharge{}
	return d.a.guesses.uncount(ctx, c.factor, c.charge, d.a.now())
}

// codeAccepted ends the row of wrong codes of the factor that was proven with a
// right one.
func (d *dialogue) codeAccepted(ctx context.Context) error {
	c := d.keyCharge
	d.keyCharge = keyCharge{}
	switch {
	case c.charge != notCharged:
		return d.a.guesses.right(ctx, c.factor, c.charge, d.a.now())
	case d.passphrase.name != "":
		return d.a.guesses.right(ctx, d.passphrase, notCharged, d.a.now())
	}
	return nil
}

// suspendKey takes the key that the dialogue has proven out of use, until its owner
// re-enables it by another factor.
func (d *dialogue) suspendKey(ctx context.Context, acct Account) error {
	e := d.event(audit.LoginLocked, reasonKeySuspended)
	done := errors.New("suspended already")
	err := Operators{d.a}.change(ctx, acct.Name, e, func(now *Account) error {
		now.Keys = slices.Clone(now.Keys)
		for i, k := range now.Keys {
			if now.ID == acct.ID && k.Fingerprint == d.key && k.Suspended.IsZero() {
				now.Keys[i].Suspended = d.a.now()
				return nil
			}
		}
		return done
	})
	switch {
	case errors.Is(err, done), errors.Is(err, ErrNoAccount):
		return nil
	case err != nil:
		return fmt.Errorf("%w: suspend key: %w", ErrUnavailable, err)
	}
	return d.a.notifyHourly(ctx, acct.ID, Notice{User: acct.Name, Kind: noticeKeySuspended, Source: d.address(), Detail: d.key})
}

// tooManyCodes is the verdict on a right code behind a right passphrase that too
// many wrong ones went before; one without a reason if there were not. Nobody else
// is told. What counted in memory for this passphrase counts with the rest from here.
func (d *dialogue) tooManyCodes(ctx context.Context, acct Account, typed string) (verdict, error) {
	g, source, say := d.a.guesses, d.at.Source.Addr(), d.a.manyCodesText
	f := g.insideOf(acct, source, d.trusted)
	if d.serving {
		say = d.a.manyInsideText
	} else {
		if err := g.await(ctx, acct, d.at.Name, typed); err != nil {
			return verdict{}, err
		}
		f = g.passphraseOf(acct, source, d.trusted)
		asTyped, err := g.typedOf(ctx, acct, d.at.Name, typed, source, d.trusted)
		if err == nil {
			err = d.a.carry(ctx, acct, asTyped, f, d.manyCodes(""))
		}
		if err != nil {
			return verdict{}, err
		}
	}
	s, err := g.look(ctx, f, d.a.now())
	if err != nil {
		return verdict{}, err
	}
	if s.judged() {
		d.passphrase = f
		return verdict{}, nil
	}
	return verdict{reason: reasonManyCodes, innocent: true, text: say(s.closed)}, nil
}

func (a *core) manyInsideText(until time.Time) string {
	return "Right, but refused: after many wrong codes inside connections of yours no code opens anything there until " + plain.Moment(until) +
		", unless a key opened the connection. If the codes were not yours, end what is open and tell " + a.contact + "."
}

func (a *core) manyCodesText(until time.Time) string {
	return "Right, but refused: after many wrong codes behind your passphrase it opens nothing from here until " + plain.Moment(until) +
		". Log in with a key, or from a network where you did before; if the codes were not yours, change your passphrase there."
}
