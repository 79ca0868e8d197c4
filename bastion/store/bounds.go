package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/bastion/access"
	"entry/bastion/identity"
)

// bounds are what the logs say of limits that an older database has less of.
type bounds struct {
	locks map[string]lock  // by account
	moved map[string]int64 // bytes, by the day and the owner of a limit, with a space between
}

// lock is the end of an account's lock; before is the one that was lifted last.
type lock struct{ until, before time.Time }

// note takes in e, which is about the account.
func (b *bounds) note(account string, e audit.Event) {
	l := b.locks[account]
	switch {
	case e.Type == audit.LoginLocked && e.Reason == identity.AccountLocked && e.Until != nil:
		l.until = *e.Until
	case e.Type != audit.UserEnabled && e.Type != audit.UserReset && (e.Type != audit.UserChanged || !strings.HasPrefix(e.Detail, identity.Unlocked)):
		return
	case e.Reason == notApplied:
		l.until = l.before
	default:
		l = lock{before: l.until}
	}
	b.locks[account] = l
}

// count takes in what a session or a connection that is over has moved. It counts for
// the day on which it ended: more than then, where the database knew of a part.
func (b *bounds) count(e audit.Event) {
	if e.Type != audit.SessionEnded && (e.Type != audit.ForwardClosed || e.Session != "") || e.User == "" {
		return
	}
	down, up, lab := access.DayOwners(e.User, e.Lab, e.Target)
	day := dayOf(e.Time) + " "
	b.moved[day+down] += e.BytesDown
	b.moved[day+up] += e.BytesUp
	b.moved[day+lab] += e.BytesDown + e.BytesUp
}

// apply locks again, and counts today's bytes in a database that was put back. told
// is called for each lock.
func (b *bounds) apply(ctx context.Context, tx *sql.Tx, putBack bool, now time.Time, told func(account, what string)) error {
	var errs []error
	for _, account := range slices.Sorted(maps.Keys(b.locks)) {
		l := b.locks[account]
		if !now.Before(l.until) {
			continue
		}
		n, err := affected(tx.ExecContext(ctx, `UPDATE accounts SET locked_until = ?1 WHERE id = ?2 AND locked_until < ?1`, micros(l.until), account))
		if errs = append(errs, err); n > 0 {
			told(account, "logins by passphrase until its lock is over")
		}
	}
	for key, n := range b.moved {
		day, owner, _ := strings.Cut(key, " ")
		if !putBack || n == 0 || day < dayOf(now) {
			continue
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO usage (day, owner, bytes) VALUES (?, ?, ?)
			ON CONFLICT (day, owner) DO UPDATE SET bytes = bytes + excluded.bytes`, day, owner, n)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
