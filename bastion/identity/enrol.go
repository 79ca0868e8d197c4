package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity/secret"
)

// Bounds on the rounds that a proven client may take; the grace bounds their time.
const (
	maxNewPassphrases = 8  // refused or mistyped new passphrases
	maxFirstCodes     = 5  // wrong first codes for one seed
	maxOther          = 25 // other answers to the question for it: letters for another view, what is no code

	recoveryCount = 10 // codes on a list
)

// firstDevice is the name of the authenticator that a login enrols.
const firstDevice = "app"

// proceed takes a client whose answers were right through what the account
// still lacks: a passphrase of its own, an authenticator.
func (d *dialogue) proceed(ctx context.Context, acct Account, v verdict) (Identity, error) {
	first := "passphrase"
	second := "+otp"
	switch {
	case d.touched:
		second = "+sk"
	case d.keyStands(acct):
		first = "publickey"
	case v.temporary:
		first = "temporary"
	}
	if d.a.bySMS(acct) && !d.touched {
		second = "+sms"
	}
	bare, moves := d.a.bare(acct), d.a.moves(acct)
	if err := d.agree(ctx, acct, v.recovery); err != nil {
		return Identity{}, err
	}
	if !v.temporary && !v.aged && !v.recovery && !bare && !moves {
		acct, err := d.rehash(ctx, acct, v.typed)
		if err != nil {
			return Identity{}, err
		}
		return d.finish(ctx, acct, first+second)
	}
	d.conn.openEnrolment()

	next, events := acct, []audit.Event(nil)
	told := []NoticeKind{}
	if v.temporary && acct.Realm != "" {
		next.Temporary = nil // the directory has the passphrase
		used := d.event(audit.UserChanged, "")
		used.Detail = "temporary passphrase used up"
		events = append(events, used)
	} else if v.temporary || v.aged {
		say := "Your temporary passphrase was right.\nNow choose one of your own: "
		if !v.temporary {
			say = "Your passphrase was right, but has to be changed.\nChoose a new one: "
		}
		passphrase, err := d.newPassphrase(ctx, acct, v.typed, say)
		if err != nil {
			return Identity{}, err
		}
		if next.Passphrase, err = d.a.hasher.Hash(ctx, passphrase); err != nil {
			return Identity{}, err
		}
		next.PassphraseSet, next.Temporary = d.a.now(), nil
		events = append(events, d.event(audit.PassphraseChanged, ""))
		told = append(told, noticePassphraseChanged)
	}
	if !bare && !v.recovery && !moves {
		saved, err := d.save(ctx, next, events...)
		if err != nil {
			return Identity{}, err
		}
		for _, kind := range told {
			d.tell(ctx, kind, "")
		}
		return d.finish(ctx, saved, first+second)
	}

	say := ""
	if moves {
		say = "Codes went to you by SMS until " + plain.Moment(d.a.textsEnd(acct)) + ".\nFrom now on an authenticator app gives them.\n"
	}
	if v.recovery {
		left := acct.recoveryLeft() // before this one was spent
		// Spent it stays, finished or not: what was typed may have been seen, and opens
		// what an authenticator does.
		say = fmt.Sprintf("Your recovery code was right, and is used up now (%d left). As your\nauthenticator may be gone, enrol a new one: its first code ends the old one.\n", max(0, left-1))
	}
	device, err := d.firstCode(ctx, acct, firstDevice, say)
	if err != nil {
		return Identity{}, err
	}
	// A recovery login means that the device is gone: whoever has it now must
	// not keep its codes.
	next.Authenticators, next.CodeBySMS = []EnrolledAuthenticator{device}, false
	next.SMSSince = time.Time{}
	var codes []string
	codes, next.Recovery = d.a.newRecovery(acct.ID)
	events = append(events, d.event(audit.AuthenticatorEnrolled, ""), d.event(audit.RecoveryCreated, ""))
	saved, err := d.save(ctx, next, events...)
	if err != nil {
		return Identity{}, err
	}
	for _, kind := range append(told, noticeDeviceAdded) {
		d.tell(ctx, kind, "")
	}
	if err := d.showRecovery(ctx, codes, "Your authenticator is enrolled. "); err != nil {
		return Identity{}, err
	}
	if v.recovery {
		return d.finish(ctx, saved, first+"+recovery")
	}
	return d.finish(ctx, saved, first+"+enrolment")
}

// newRecovery makes a list of recovery codes and what is stored of them.
func (a *core) newRecovery(account string) (codes []string, stored []RecoveryCode) {
	for range recoveryCount {
		code := secret.NewRecoveryCode()
		h, _ := a.keys.HashRecovery(account, code) // what was just made has the form
		codes, stored = append(codes, code), append(stored, RecoveryCode{Hash: h})
	}
	return codes, stored
}

// save commits what the dialogue has changed, if nobody was faster.
func (d *dialogue) save(ctx context.Context, next Account, e ...audit.Event) (Account, error) {
	faster := verdict{
		reason: reasonChanged,
		text:   "Not saved: this account was changed meanwhile, by another login or an administrator. Log in with what was set there.",
	}
	// Looked at first, so that the log rarely has to take an event back.
	now, err := d.a.store.Account(ctx, next.Name)
	switch {
	case errors.Is(err, ErrNoAccount), err == nil && (now.ID != next.ID || now.Generation != next.Generation):
		return Account{}, d.failed(ctx, faster)
	case err != nil:
		return Account{}, fmt.Errorf("%w: read account: %w", ErrUnavailable, err)
	}
	generation, err := d.a.saved(ctx, now, next, e...)
	next.Generation = generation
	switch {
	case errors.Is(err, ErrUnavailable):
		return Account{}, err
	case errors.Is(err, ErrChanged):
		return Account{}, d.failed(ctx, faster)
	case err != nil:
		return Account{}, fmt.Errorf("%w: save account: %w", ErrUnavailable, err)
	}
	return next, nil
}

// newPassphrase asks until two equal answers satisfy the rules. old is the
// passphrase that is to be replaced; "" where it isn't known. say goes before the
// rule, which is told before it is broken.
func (d *dialogue) newPassphrase(ctx context.Context, acct Account, old, say string) (string, error) {
	say += fmt.Sprintf("%d characters or more, best several unrelated words.\n", minCharacters)
	for range maxNewPassphrases {
		p, err := d.answer(ctx, say+"New "+d.a.issuer+" passphrase: ")
		if err != nil {
			return "", err
		}
		if say = refusePassphrase(p, acct.Name, d.a.issuer, acct.Temporary); say != "" {
			say += " "
			continue
		}
		if sameText(p, old) {
			say = "Refused: it is the old one. "
			continue
		}
		repeat, err := d.answer(ctx, "Repeat new "+d.a.issuer+" passphrase: ")
		if err != nil {
			return "", err
		}
		if sameText(repeat, p) {
			return p, nil
		}
		say = "The two were not the same. "
	}
	return "", d.tooManyRounds(ctx, say)
}

// firstCode shows a fresh seed and returns its sealed authenticator once a code
// of it has come back. say goes before. Nothing is stored yet.
func (d *dialogue) firstCode(ctx context.Context, acct Account, name, say string) (EnrolledAuthenticator, error) {
	seed := secret.NewSeed()
	v := seedView{issuer: d.a.issuer, user: acct.Name, seed: seed}
	prompt, err := v.prompt()
	if say != "" {
		prompt = "\n" + say + strings.TrimPrefix(prompt, "\n")
	}
	if err != nil {
		return EnrolledAuthenticator{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for wrong, other := 0, 0; wrong < maxFirstCodes && other < maxOther; {
		typed, err := d.answer(ctx, prompt)
		if err != nil {
			return EnrolledAuthenticator{}, err
		}
		digits, isCode := secret.ParseCode(typed)
		switch {
		case v.switched(typed):
			if prompt, err = v.prompt(); err != nil {
				return EnrolledAuthenticator{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
		case isLetter(typed):
			prompt = "There is no such choice: " + choices + ". " + d.a.issuer + " one-time code: "
		case !isCode: // an arrow key, a question mark, five digits: no guess
			prompt = "That is no code: type the six digits that the app shows. " + d.a.issuer + " one-time code: "
		}
		if !isCode {
			other++
			continue
		}
		wrong++
		now := d.a.now()
		m, err := secret.FindStep(seed, digits, now, -1)
		switch {
		case err != nil:
			return EnrolledAuthenticator{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		case m.Acceptable():
			id := secret.NewID()
			return EnrolledAuthenticator{
				ID: id, Name: name, Sealed: d.a.keys.SealSeed(acct.ID, id, seed), Created: now, LastStep: m.Step, Used: now,
			}, nil
		case m.Found:
			prompt = driftText(m.Drift) + " " + d.a.issuer + " one-time code: "
		default:
			prompt = notAccepted + " The code must come from the key shown above. " + d.a.issuer + " one-time code: "
		}
	}
	return EnrolledAuthenticator{}, d.tooManyRounds(ctx, notAccepted+" ")
}

// tooManyRounds ends a conversation that goes nowhere. Nothing was saved.
func (d *dialogue) tooManyRounds(ctx context.Context, say string) error {
	if d.serving {
		return &Refusal{Text: say + "That was tried too often, and nothing was changed."}
	}
	if err := d.a.report(ctx, d.event(audit.LoginAbandoned, reasonRounds)); err != nil {
		return err
	}
	d.notice(ctx, say+"That was tried too often. Nothing was saved: connect again and start over.")
	return ErrExhausted
}

// showRecovery shows the codes, the only time. They are saved already: a client
// that leaves here has enrolled, and can have new codes made.
func (d *dialogue) showRecovery(ctx context.Context, codes []string, say string) error {
	var b strings.Builder
	b.WriteString("\n" + say + "These are your recovery codes for " + d.a.issuer + ":\n" +
		"if you lose the device, each stands once for a one-time code. They are shown\n" +
		"only now; keep them, but not on this computer.\n")
	for i := 0; i < len(codes); i += 2 {
		b.WriteString("  " + codes[i] + "   " + codes[i+1] + "\n")
	}
	b.WriteString("Press Enter when you have kept them, to go on with " + d.a.issuer + ": ")
	if _, err := d.ask.Ask(ctx, b.String(), false); err != nil {
		return fmt.Errorf("%w: %w: %w", ErrAbandoned, errNoAnswer, err)
	}
	return nil
}
