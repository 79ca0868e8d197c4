package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity/secret"
)

// newNumbers is where codes to numbers that aren't anybody's yet are counted: as many
// an hour for an account, and fewer a day, whatever networks it has, because somebody pays for each and
// earns by some.
const newNumbers = "new numbers"

// ChangePhone replaces the number that the account's codes go to, once a code that is
// sent there has come back through ask. The number before is told, where there is
// one, and what codes to it opened needs a code anew: remembered keys are forgotten.
// Whether codes go by SMS stays as it is. *Refusal for a number of another form,
// without a gateway, and after three wrong codes.
func (a SelfService) ChangePhone(ctx context.Context, p Proof, number string, ask Asker) error {
	d, acct, err := a.take(ctx, p, ask)
	if err != nil {
		return err
	}
	number = phoneDigits(number)
	if err := a.CheckPhone(number); err != nil {
		return err
	}
	if number == acct.Phone {
		return &Refusal{Text: "That is your number already."}
	}
	code, until := secret.NewCode(), a.now().Add(smsLifetime)
	e := d.event("", "")
	if err := a.send(ctx, acct.ID, newNumbers, number, a.issuer+" code for your new number: "+code+" (good for 2 minutes). Nobody will ask you for it but "+a.issuer+" itself.", e); err != nil {
		return a.notSent(ctx, number, e, err)
	}
	if err := d.textBack(ctx, code, until, number); err != nil {
		return err
	}
	if len(acct.Remembered) > 0 && a.bySMS(acct) {
		// First: whatever fails after it has let nobody in.
		forgotten := func(ctx context.Context) error { return a.store.Forget(ctx, acct.ID, "") }
		if err := a.logged(ctx, forgotten, d.event(audit.KeyForgotten, "")); err != nil {
			return unavailable(err)
		}
	}
	next := acct
	next.Phone = number
	if err := d.commit(ctx, acct, next, audit.UserChanged, noticePhoneChanged, "new number "+shortened(number)+", by its owner"); err != nil {
		return err
	}
	if acct.Phone != "" {
		// Whoever holds the old phone may be the owner, and this the thief's doing. If it
		// can't be told, the notice and the log still do.
		text := "Your number at " + a.issuer + " was changed to one " + shortened(number) + ". If that was not you, tell " + a.contact + " at once."
		if err := a.texter.Send(context.WithoutCancel(ctx), acct.Phone, text); err != nil {
			e.Type, e.Reason, e.Detail = audit.SMSFailed, string(reasonGateway), "to the number before, "+shortened(acct.Phone)
			return a.report(ctx, e)
		}
	}
	return nil
}

func phoneDigits(number string) string {
	return strings.NewReplacer(" ", "", "-", "").Replace(number)
}

// CheckPhone is a *Refusal for what ChangePhone refuses of a number, whoever's: no code need
// be asked for it then.
func (a SelfService) CheckPhone(number string) error {
	if err := a.SendsTexts(); err != nil {
		return err
	}
	if number = phoneDigits(number); !phoneNumber.MatchString(number) {
		return &Refusal{Text: "The number must have the form +46701234567: a plus sign, country code and number, digits only."}
	}
	return a.unreached(number)
}

// SendsTexts is a *Refusal where no SMS are sent: nothing need be asked then.
func (a SelfService) SendsTexts() error {
	if a.texter == nil {
		return &Refusal{Text: "No SMS are sent here: ask " + a.contact + "."}
	}
	return nil
}

// textBack asks for the code that was sent to number, at most three times.
func (d *dialogue) textBack(ctx context.Context, code string, until time.Time, number string) error {
	say := ""
	for range dialoguesPerConn {
		typed, err := d.answer(ctx, say+"Code that was sent to "+number+": ")
		if err != nil {
			return err
		}
		left := until.Sub(d.a.now())
		digits, _ := secret.ParseCode(typed)
		if left > 0 && left <= smsLifetime && subtle.ConstantTimeCompare([]byte(digits), []byte(code)) == 1 {
			return nil
		}
		say = notAccepted + " "
	}
	return &Refusal{Text: "Not accepted. Your number was not changed."}
}

// notSent says to its owner why nothing came to a number, and to the log.
func (a *core) notSent(ctx context.Context, number string, e audit.Event, err error) error {
	text, why := "The SMS could not be sent: look at the number, and try again later.", reasonGateway
	if errors.Is(err, errTooManyTexts) {
		text, why = fmt.Sprintf("%d codes were sent for you within an hour, the most there may be: wait.", smsPerHour), reasonTooManyTexts
	}
	if errors.Is(err, errTooManyNew) {
		text, why = "No more codes go to new numbers today: try again tomorrow, or ask "+a.contact+".", reasonTooManyNew
	}
	e.Type, e.Reason, e.Detail = audit.SMSFailed, string(why), "to the number "+shortened(number)
	if err := a.report(ctx, e); err != nil {
		return err
	}
	return &Refusal{Text: text}
}

// textsEnd is when the account's codes go by SMS no longer; zero for never, or where
// they don't.
func (a *core) textsEnd(acct Account) time.Time {
	if a.textsFor == 0 || !a.bySMS(acct) {
		return time.Time{}
	}
	return acct.SMSSince.Add(a.textsFor)
}

// moves tells whether the account's owner has to move to an app now.
func (a *core) moves(acct Account) bool {
	end := a.textsEnd(acct)
	return !end.IsZero() && !a.now().Before(end)
}

// textsWarning tells in each login until when codes go by SMS.
func (a *core) textsWarning(acct Account) string {
	end := a.textsEnd(acct)
	if end.IsZero() {
		return ""
	}
	return "Codes go to you by SMS until " + plain.Moment(end) + "; then an authenticator app gives them. Enrol it before that with ssh " + a.issuer + " enroll."
}
