package identity

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"entry/audit"
)

// The words of audit.Change.Taken: what a change of an account took away. What it
// gave has none: nobody gives it again but a person.
const (
	TakenAccount    = "account"    // all of it
	TakenDisabled   = "disabled"   // any way in
	TakenProven     = "proven"     // what was proven before: remembered keys, approvals, connections
	TakenPassphrase = "passphrase" // the one before
	TakenTemporary  = "temporary"  // the temporary passphrase before
	TakenRecovery   = "recovery"   // the recovery codes before
	TakenRealm      = "realm"      // who judged the passphrase before
	TakenSMS        = "sms"        // codes to the number before
	TakenPending    = "pending"    // a reset that one operator asked for
	TakenDevice     = "device:"    // and the authenticator's ID; without one, all of them
	TakenKey        = "key:"       // and its fingerprint; without one, all of them
	TakenUse        = "use:"       // of the key with that fingerprint, which is suspended
	TakenAfter      = "after:"     // and the account's last second, since 1970
)

// What the log says of changes that gave something, or of locks, and a start reads.
const (
	NoEnd         = "no end"                          // the detail of an event that takes an account's end away
	KeyInUse      = "a suspended key is in use again" // likewise
	Unlocked      = "unlocked: "                      // begins the detail where a lock was lifted
	SharedKey     = "shared: "                        // where a key was added to be shared
	AccountLocked = string(reasonAccountLocked)
)

// EndsAfter is the word for an end, which is noted where it is moved later, too: it
// stands in place of the one before.
func EndsAfter(end time.Time) string { return TakenAfter + strconv.FormatInt(end.Unix(), 10) }

// taken are the words for what the change of before to next takes away. Where the log
// can't keep all of them, they say more: that all keys and authenticators went.
func taken(before, next Account) string {
	var out []string
	note := func(yes bool, word string) {
		if yes {
			out = append(out, word)
		}
	}
	note(next.Disabled && !before.Disabled, TakenDisabled)
	note(next.Epoch != before.Epoch, TakenProven)
	// A hash of another form is of the same passphrase as long as nobody set one.
	note(before.Passphrase != "" && (next.Passphrase == "" || !next.PassphraseSet.Equal(before.PassphraseSet)), TakenPassphrase)
	note(before.Temporary != nil && (next.Temporary == nil || next.Temporary.Hash != before.Temporary.Hash), TakenTemporary)
	note(slices.ContainsFunc(before.Recovery, func(r RecoveryCode) bool {
		return !slices.ContainsFunc(next.Recovery, func(n RecoveryCode) bool { return n.Hash == r.Hash })
	}), TakenRecovery)
	note(next.Realm != before.Realm, TakenRealm)
	note(before.Phone != "" && next.Phone != before.Phone || before.CodeBySMS && !next.CodeBySMS, TakenSMS)
	note(before.Pending != nil && (next.Pending == nil || *next.Pending != *before.Pending), TakenPending)
	for _, d := range before.Authenticators {
		note(!slices.ContainsFunc(next.Authenticators, func(n EnrolledAuthenticator) bool { return n.ID == d.ID }), TakenDevice+d.ID)
	}
	for _, k := range before.Keys {
		i := slices.IndexFunc(next.Keys, func(n Key) bool { return n.Fingerprint == k.Fingerprint })
		note(i < 0, TakenKey+k.Fingerprint)
		note(i >= 0 && k.Suspended.IsZero() && !next.Keys[i].Suspended.IsZero(), TakenUse+k.Fingerprint)
	}
	note(!next.Ends.IsZero() && !next.Ends.Equal(before.Ends), EndsAfter(next.Ends))
	if all := strings.Join(out, " "); len(all) <= audit.MaxDetail {
		return all
	}
	out = slices.DeleteFunc(out, func(w string) bool {
		return strings.HasPrefix(w, TakenDevice) || strings.HasPrefix(w, TakenKey) || strings.HasPrefix(w, TakenUse)
	})
	return strings.Join(append(out, TakenDevice, TakenKey), " ")
}

// saved is logged for a store.Save of next in place of before, whose first event
// says what it takes away.
func (a *core) saved(ctx context.Context, before, next Account, e ...audit.Event) (generation int64, err error) {
	e = slices.Clone(e)
	for i := range e {
		e[i].Change = &audit.Change{Account: next.ID, Generation: next.Generation + 1}
	}
	e[0].Change.Taken = taken(before, next)
	err = a.logged(ctx, func(ctx context.Context) (err error) {
		generation, err = a.store.Save(ctx, next)
		return err
	}, e...)
	return generation, err
}

// created is logged for a store.Create of acct.
func (a *core) created(ctx context.Context, acct Account, e audit.Event) error {
	e.Change = &audit.Change{Account: acct.ID, Generation: acct.Generation}
	return a.logged(ctx, func(ctx context.Context) error { return a.store.Create(ctx, acct) }, e)
}
