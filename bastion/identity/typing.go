package identity

import (
	"context"
	"errors"

	"github.com/charmbracelet/x/ansi"

	"entry/audit"
	"entry/bastion/identity/secret"
)

// maxTypingErrors is how many typing errors in a temporary passphrase are pointed
// out in one dialogue. After that, what is typed is judged.
const maxTypingErrors = 5

// typePassphrase asks for the first factor. A temporary passphrase with a typing
// error is asked again and isn't judged: the string alone says so, whoever's it is,
// and nobody who has no authenticator yet ends at the question for a code. So is a code,
// for what is asked next would get the passphrase. What is typed the same once more may be
// somebody's own.
func (d *dialogue) typePassphrase(ctx context.Context) (string, error) {
	ask := d.a.issuer + " passphrase: "
	prompt, before := d.verdict+ask, ""
	for n := 0; ; n++ {
		typed, err := d.answer(ctx, prompt)
		if err != nil {
			return "", err
		}
		say := typingError(secret.FormOf(typed))
		if _, code := secret.ParseCode(typed); code {
			say = "That looks like a one-time code: the passphrase is asked first, then the code."
		}
		if say == "" || typed == before || n == maxTypingErrors {
			return typed, nil
		}
		prompt, before = say+"\n"+ask, typed
	}
}

// typingError says what is wrong with a temporary passphrase that can't be one, or
// returns "".
func typingError(f secret.Form) string {
	const again = " Type it again as it was given to you."
	switch f {
	case secret.WrongFirstHalf:
		return "That temporary passphrase has a typing error in its first half (two groups of five)." + again
	case secret.WrongSecondHalf:
		return "That temporary passphrase has a typing error in its second half (two groups of five)." + again
	case secret.WrongHalves:
		return "That temporary passphrase has a typing error; it has four groups of five." + again
	case secret.HalvesSwapped:
		return "Those are the two halves of a temporary passphrase the wrong way round: type the other one first."
	case secret.OnlyFirstHalf:
		return "That is the first half of a temporary passphrase: type both halves as one, the first one first."
	case secret.OnlySecondHalf:
		return "That is the second half of a temporary passphrase: type both halves as one, the first one first."
	}
	return ""
}

// worthless goes before the question for a code where a temporary passphrase didn't
// open an enrolment: whoever has no authenticator must not look for a code in vain.
// It depends on nothing but what was typed and whether the site has codes by SMS.
func (d *dialogue) worthless(typed string) string {
	if secret.FormOf(typed) != secret.Temporary {
		return ""
	}
	bySMS, without := "", "Without an authenticator it"
	if d.a.texter != nil {
		bySMS, without = "If a code comes by SMS now, enter it.\n", "If none comes, an authenticator's code is right. Without either the passphrase"
	}
	return "That temporary passphrase has no typing error.\n" + bySMS +
		ansi.Wordwrap(without+" is no longer valid: ask "+d.a.contact+" for a new one.", textWidth, "") + "\n" +
		"Enter goes back to the passphrase. "
}

// typeCode asks for the code behind the passphrase that was typed, or behind a key.
func (d *dialogue) typeCode(ctx context.Context, acct Account, typed string) (string, error) {
	ask := d.a.issuer + " one-time code: "
	if d.keyStands(acct) {
		code, err := d.answer(ctx, d.verdict+ask)
		if err != nil && !errors.Is(err, errNoAnswer) {
			if say := d.textProblem(acct, ""); say != "" {
				d.notice(ctx, say) // an empty answer is how people give up waiting
			}
		}
		return code, err
	}
	code, err := d.answer(ctx, d.conn.remarks()+d.worthless(typed)+ask)
	if err != nil && !errors.Is(err, errNoAnswer) {
		err = d.goBack(ctx, acct, typed)
	}
	return code, err
}

// goBack answers an empty code: back to the passphrase, which uses up one of the
// connection's dialogues.
func (d *dialogue) goBack(ctx context.Context, acct Account, typed string) error {
	// The words are of use to newcomers and told to everybody.
	bySMS := ""
	if d.a.texter != nil {
		bySMS = "If yours come by SMS and none did, the passphrase was mistyped, or none can be sent now: try again later. "
	}
	say := "No code was typed. " + bySMS + "Without an authenticator only a temporary passphrase works here; if yours does not, ask " + d.a.contact + "."
	if d.ahead.crowded() {
		say = "No code was typed, and " + d.a.issuer + " is too busy with other logins to send one by SMS: try again in a minute."
	} else if problem := d.textProblem(acct, typed); problem != "" {
		say = problem // an empty answer is how people give up waiting
	}
	if err := d.reportFailure(ctx, false, d.event(audit.LoginAbandoned, reasonEmptyAnswer)); err != nil {
		return err
	}
	return &again{text: say}
}
