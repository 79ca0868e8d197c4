package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"entry/audit"
)

const (
	maxTerms  = 16 << 10 // bytes
	textWidth = 76       // columns of longer texts, which clients don't break at words
	termsPage = 20       // lines that are shown at once
	maxAgrees = 3        // answers that are neither yes nor leaving
)

// terms is a user agreement. The zero terms are none.
type terms struct {
	version string // of the text: the first 12 digits of its SHA-256, in hex
	pages   []string
}

// newTerms splits an agreement into pages, or says what can't be shown of it.
func newTerms(text string) (terms, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	switch {
	case text == "":
		return terms{}, nil
	case len(text) > maxTerms:
		return terms{}, fmt.Errorf("the user agreement is longer than %d KiB", maxTerms>>10)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
		return terms{}, errors.New("the user agreement holds something that can't be shown: plain text in UTF-8 is wanted, without tabs")
	}
	sum := sha256.Sum256([]byte(text))
	t := terms{version: hex.EncodeToString(sum[:])[:12]}
	lines := strings.Split(ansi.Wordwrap(text, textWidth, ""), "\n")
	for len(lines) > 0 {
		n := min(termsPage, len(lines))
		t.pages, lines = append(t.pages, strings.Join(lines[:n], "\n")), lines[n:]
	}
	return t, nil
}

// CheckTerms says why a text can't be the user agreement; nil if it can.
func CheckTerms(text string) error {
	t, err := newTerms(text)
	if err == nil && t.version == "" {
		err = errors.New("there is no text")
	}
	return err
}

// wanted tells whether the owner of acct has yet to accept this version.
func (t terms) wanted(acct Account) bool { return t.version != "" && acct.Terms != t.version }

// agree shows the agreement to somebody whose answers were right, and notes that it
// was accepted; nobody gets in without.
// recovery tells that a recovery code was used up for it.
func (d *dialogue) agree(ctx context.Context, acct Account, recovery bool) error {
	t := d.a.terms
	if !t.wanted(acct) {
		return nil
	}
	d.conn.openEnrolment() // reading takes longer than a login
	for i, page := range t.pages[:len(t.pages)-1] {
		// Shown is nothing: by habit it may be a passphrase.
		if _, err := d.ask.Ask(ctx, fmt.Sprintf("\n%s\n\nPress Enter for page %d of %d of the terms of %s: ", page, i+2, len(t.pages), d.a.issuer), false); err != nil {
			return fmt.Errorf("%w: %w: %w", ErrAbandoned, errNoAnswer, err)
		}
	}
	prompt := "\n" + t.pages[len(t.pages)-1] + "\n\nDo you accept these terms of " + d.a.issuer + "? Type yes, or no: "
	for range maxAgrees {
		typed, err := d.answer(ctx, prompt)
		if err != nil {
			return err
		}
		switch strings.ToLower(strings.TrimSpace(typed)) {
		case "yes":
			return d.accepted(ctx, acct)
		case "no":
			return d.declined(ctx, recovery)
		}
		prompt = "Do you accept the terms above? Type yes, or no: "
	}
	return d.declined(ctx, recovery)
}

// accepted logs and notes it.
func (d *dialogue) accepted(ctx context.Context, acct Account) error {
	e := d.event(audit.TermsAccepted, "")
	e.Detail = "version " + d.a.terms.version
	err := d.a.logged(ctx, func(ctx context.Context) error {
		return d.a.store.AcceptTerms(ctx, acct.ID, d.a.terms.version, d.a.now())
	}, e)
	switch {
	case errors.Is(err, ErrChanged):
		return d.failed(ctx, verdict{reason: reasonRevoked, text: "This account was changed during the login."})
	case err != nil:
		return unavailable(err)
	}
	return nil
}

func (d *dialogue) declined(ctx context.Context, recovery bool) error {
	if err := d.a.report(ctx, d.event(audit.LoginFailed, reasonTerms)); err != nil {
		return err
	}
	changed := "nothing was changed"
	if recovery {
		changed = "nothing was changed but that the recovery code is used up"
	}
	d.notice(ctx, "Without accepting the terms there is no login, and "+changed+". Questions: ask "+d.a.contact+".")
	return ErrExhausted
}
