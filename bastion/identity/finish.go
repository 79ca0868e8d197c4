package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
)

// finish stores and logs the login, in the order that the package documentation
// argues for. acct has the generation that the login was judged by.
func (d *dialogue) finish(ctx context.Context, acct Account, method string) (Identity, error) {
	now := d.a.now()
	if d.key != "" {
		switch err := d.a.prove(ctx, acct, d.key, d.event("", "")); {
		case errors.Is(err, ErrKeyTaken):
			return Identity{}, d.failed(ctx, verdict{
				reason: reasonKeyTaken,
				text:   "Right, but this key is in use by another account, and a key belongs to one: log in with your passphrase, and ask " + d.a.contact + ".",
			})
		case err != nil:
			return Identity{}, err
		}
	}
	switch bar, err := d.join(ctx, acct); { // where a temporary passphrase stood for the directory's
	case err != nil:
		return Identity{}, err
	case bar != "":
		return Identity{}, d.failed(ctx, verdict{reason: reasonBarred, innocent: true,
			text: "Right, but the directory " + acct.Realm + " doesn't let your account in (" + bar + "): ask " + d.a.contact + "."})
	}
	r := d.remembrance(method, now)
	record := func(ctx context.Context) error {
		return d.a.store.RecordLogin(ctx, acct.ID, acct.Generation, d.loginInfo(now, method), r)
	}
	if r != nil {
		e := d.event(audit.KeyRemembered, "")
		e.Until = &r.Until
		plain := record
		record = func(ctx context.Context) error { return d.a.logged(ctx, plain, e) }
	}
	id, err := d.admit(ctx, acct, Identity{method: method, at: now}, nil, record)
	if errors.Is(err, ErrRevoked) {
		return Identity{}, d.failed(ctx, verdict{reason: reasonRevoked, text: "This account was changed during the login."})
	}
	if err != nil {
		return Identity{}, err
	}
	d.conn.forget()
	return id, nil
}

// admit records a login and returns the identity that it proves. It returns
// ErrRevoked if the account has changed since it was read.
func (d *dialogue) admit(ctx context.Context, acct Account, id Identity, until *time.Time, record func(context.Context) error) (Identity, error) {
	keep := context.WithoutCancel(ctx)
	err := record(keep)
	switch {
	case errors.Is(err, ErrChanged):
		return Identity{}, ErrRevoked
	case errors.Is(err, ErrUnavailable):
		return Identity{}, err
	case err != nil:
		return Identity{}, fmt.Errorf("%w: store login: %w", ErrUnavailable, err)
	}
	e := d.event(audit.LoginSucceeded, "")
	e.Method, e.Until = id.method, until
	if err := d.a.report(ctx, e); err != nil {
		return Identity{}, err
	}
	id.user, id.account, id.key = acct.Name, acct.ID, d.key
	id.epoch = acct.Epoch
	id.realm, id.member = acct.Realm, d.member
	id.warnings = d.a.warnings(keep, acct)
	if _, err := d.a.standing(keep, id); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// warnings are what the owner of acct has to know at a login, one sentence a line.
func (a *core) warnings(ctx context.Context, acct Account) string {
	say := a.lifetimes.warnings(acct, a.now())
	// A store that can't tell, though it has just noted the login, is told of elsewhere.
	if s, err := a.guessed(ctx, acct); err == nil && s.month >= warnedFrom {
		say = strings.TrimPrefix(say+"\n"+plain.Count(s.month, "wrong code")+" came behind your right passphrase since "+plain.Moment(s.since)+", more than five in a day or from a network where you hadn't logged in. If you mistyped them, or your phone's clock is wrong (set it to automatic), that is all. If not, somebody has your passphrase: change it with ssh "+a.issuer+" passwd, and tell "+a.contact+".", "\n")
	}
	if n, since, err := a.guessedRecovery(ctx, acct); err == nil && n >= warnedFrom {
		say = strings.TrimPrefix(say+"\n"+plain.Count(n, "wrong passphrase")+" came with right recovery codes of yours, the first on "+plain.Moment(since)+
			": if that wasn't you, somebody has your list. Make a new one with ssh "+a.issuer+" recovery, and tell "+a.contact+".", "\n")
	}
	if texts := a.textsWarning(acct); texts != "" {
		say = strings.TrimPrefix(say+"\n"+texts, "\n")
	}
	for _, k := range acct.Keys {
		if k.Suspended.IsZero() {
			continue
		}
		if say != "" {
			say += "\n"
		}
		say += "Your key " + k.Fingerprint + " is suspended since " + plain.Moment(k.Suspended) + ": somebody who has it guessed at your codes. Remove it with ssh " +
			a.issuer + " keys remove, or, if that was you, use it again with ssh " + a.issuer + " keys enable."
	}
	return say
}

func (d *dialogue) loginInfo(at time.Time, method string) LoginInfo {
	return LoginInfo{At: at, Source: d.address(), Method: method}
}

// address is where the client is, without its port.
func (d *dialogue) address() string { return d.at.Source.Addr().Unmap().String() }
