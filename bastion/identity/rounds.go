package identity

import (
	"context"
	"errors"
	"fmt"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity/secret"
)

// errNoAnswer marks an Asker's failure: the client left, or the grace ended.
var errNoAnswer = errors.New("no answer")

// errLocked is the ErrExhausted of too many failures.
var errLocked = fmt.Errorf("%w: locked", ErrExhausted)

// answer asks one round. An empty answer and none at all end the dialogue. What is
// typed is never shown: at each of these prompts some type their passphrase by habit,
// also where a code or a key of the picture is asked for.
func (d *dialogue) answer(ctx context.Context, prompt string) (string, error) {
	s, err := d.ask.Ask(ctx, prompt, false)
	if err != nil {
		return "", fmt.Errorf("%w: %w: %w", ErrAbandoned, errNoAnswer, err)
	}
	if s == "" {
		return "", ErrAbandoned
	}
	return s, nil
}

// NothingTyped is what somebody reads who answered a login's question by Enter alone:
// the same for every name, at every question.
func (a *Authenticator) NothingTyped() string {
	return "nothing was typed, so you are not logged in. If you don't have what is asked for, ask " + a.contact + "."
}

// notice shows text in a round of its own, which is the only place that every
// client shows. What is answered, and whether, changes nothing; it isn't shown, for
// by habit it is a passphrase.
func (d *dialogue) notice(ctx context.Context, text string) {
	leave := " Press Enter to leave "
	if d.serving {
		leave = " Press Enter to go back to "
	}
	_, _ = d.ask.Ask(ctx, text+leave+d.a.issuer+": ", false) // a courtesy: the outcome stands
}

// locked tells how long a lock stands, after all answers: the same words for names
// that exist and names that don't, whatever was answered.
func (d *dialogue) locked(ctx context.Context, st lockState) error {
	e := d.event(audit.LoginLocked, reasonTooMany)
	e.Until = &st.until
	if err := d.reportFailure(ctx, false, e); err != nil {
		return d.end(ctx, err)
	}
	what := "this name from your address"
	if st.whole {
		what = "your address"
	}
	d.notice(ctx, fmt.Sprintf("Too many failed logins: nothing is accepted for %s for %s. Wait, or ask %s.", what, plain.Left(st.until.Sub(d.a.now())), d.a.contact))
	return errLocked
}

// end gives an error that closes the conversation its event and, where there is
// something to say, its words. Internals stay in the error.
func (d *dialogue) end(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrExhausted):
		return err
	case d.serving && errors.Is(err, ErrAbandoned):
		return err // no login was
	case errors.Is(err, ErrAbandoned) || ctx.Err() != nil:
		why := reasonEmptyAnswer
		if errors.Is(err, errNoAnswer) || ctx.Err() != nil {
			why = reasonNoAnswer
		}
		if d.user == "" { // left before it was looked for: a name that an account has is told as everywhere
			if _, loadErr := d.load(context.WithoutCancel(ctx)); loadErr != nil {
				return loadErr
			}
		}
		if logErr := d.reportFailure(ctx, false, d.event(audit.LoginAbandoned, why)); logErr != nil {
			return logErr
		}
		if !errors.Is(err, ErrAbandoned) {
			return fmt.Errorf("%w: %w", ErrAbandoned, err)
		}
		return err
	}
	_ = d.refund(ctx) // the store may be what failed; then this try stays counted
	text := d.a.issuer + " can't check logins at the moment, which is not your fault: try again later."
	why := reasonUnavailable
	var down *directoryDown
	switch {
	case errors.Is(err, secret.ErrBusy):
		text = d.a.issuer + " is busy checking other logins: try again in a minute."
	case errors.As(err, &down):
		why = reasonDirectory
		text = "The directory " + down.realm + " that knows your passphrase can't be asked right now, which is not your fault: try again later."
	}
	if !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if logErr := d.reportFailure(ctx, d.key != "", d.event(audit.LoginFailed, why)); logErr != nil {
		err = errors.Join(err, logErr)
	}
	d.notice(ctx, text)
	return err
}
