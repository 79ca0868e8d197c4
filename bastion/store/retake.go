package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity"
	"entry/bastion/identity/secret"
)

// retakes are the statements that take away again what a word names, on the
// account ?1; ?2 is what follows the word's colon, ?3 the time.
var retakes = map[string][]string{
	identity.TakenAccount:    {`DELETE FROM accounts WHERE id = ?1`},
	identity.TakenDisabled:   {`UPDATE accounts SET disabled = 1 WHERE id = ?1`},
	identity.TakenProven:     nil, // whatever is taken takes it along
	identity.TakenPassphrase: {`UPDATE accounts SET passphrase = '', passphrase_set = 0 WHERE id = ?1`},
	identity.TakenTemporary:  {`UPDATE accounts SET temporary = NULL, temporary_until = 0 WHERE id = ?1`},
	identity.TakenRecovery:   {`DELETE FROM recovery_codes WHERE account = ?1`},
	identity.TakenRealm:      {`UPDATE accounts SET realm = '', passphrase = '', passphrase_set = 0 WHERE id = ?1`},
	identity.TakenSMS:        {`UPDATE accounts SET phone = '', code_by_sms = 0, sms_since = 0 WHERE id = ?1`},
	identity.TakenPending:    {`UPDATE accounts SET reset_asked = 0 WHERE id = ?1`},
	identity.TakenDevice:     {`DELETE FROM authenticators WHERE account = ?1 AND ?2 IN ('', id)`},
	identity.TakenKey:        {`DELETE FROM public_keys WHERE account = ?1 AND ?2 IN ('', fingerprint)`},
	identity.TakenUse:        {`UPDATE public_keys SET suspended = ?3 WHERE account = ?1 AND fingerprint = ?2 AND suspended = 0`},
	identity.TakenAfter:      {`UPDATE accounts SET ends = ?2 * 1000000 WHERE id = ?1 AND (ends = 0 OR ends > ?2 * 1000000)`},
	takenClaim:               {`UPDATE public_keys SET proven = 0, shared = '' WHERE account = ?1 AND fingerprint = ?2`},
}

// takenClaim and a fingerprint are what a key was proven or shared to be that was
// removed and added anew; no log says it so.
const takenClaim = "claim:"

// parted is a word and what follows its colon.
func parted(w string) (kind, what string) {
	if i := strings.IndexByte(w, ':'); i >= 0 {
		return w[:i+1], w[i+1:]
	}
	return w, ""
}

func understood(w string) bool {
	kind, what := parted(w)
	if kind == identity.TakenAfter {
		if _, err := strconv.ParseInt(what, 10, 53); err != nil {
			return false
		}
	}
	_, ok := retakes[kind]
	return ok
}

// apply does it, in one transaction, and notes what had an effect.
func (r *reconciling) apply(ctx context.Context, tx *sql.Tx, now time.Time) error {
	for _, id := range slices.Sorted(maps.Keys(r.takes)) {
		t := r.takes[id]
		words := t.words()
		took, err := t.apply(ctx, tx, id, words, r.last())
		if err != nil {
			return err
		}
		if took {
			r.note(id, said(words))
		}
		for node, generation := range t.of {
			if generation == 0 {
				continue // its records don't say
			}
			if err := noteApplied(ctx, tx, id, node, generation); err != nil {
				return err
			}
		}
	}
	// again does what is harmless where the database has it.
	again := func(id, what, statement string, args ...any) error {
		n, err := affected(tx.ExecContext(ctx, statement, args...))
		if err == nil && n > 0 {
			r.note(id, what)
		}
		return err
	}
	var errs []error
	for id, step := range r.steps {
		errs = append(errs, again(id, "a one-time code", `UPDATE authenticators SET last_step = ?1 WHERE account = ?2 AND last_step < ?1`, step, id))
	}
	for _, f := range r.spent {
		errs = append(errs, again(f.account, "a recovery code", `UPDATE recovery_codes SET used = ? WHERE account = ? AND used = 0 AND ? IN ('', lower(hex(hash)))`,
			micros(f.at), f.account, f.what))
	}
	for _, f := range r.forgot {
		errs = append(errs, again(f.account, "a remembered key", `DELETE FROM remembered_keys WHERE account = ? AND ? IN ('', fingerprint) AND since <= ?`,
			f.account, f.what, micros(f.at)))
	}
	for _, g := range r.given {
		// As Give does; but one whose uses the database lacks goes, too.
		errs = append(errs, again(g.account, "an approval that another one replaced", `DELETE FROM approvals WHERE account = ? AND approver = ? AND request <> ?
			AND target = ? AND source = ? AND rule = ? AND at <= ? AND id NOT IN (SELECT approval FROM approval_uses)`,
			g.account, g.by, g.request, g.target, g.source, g.rule, micros(g.at)))
	}
	for _, w := range r.withdrawn {
		errs = append(errs, again(w.account, "an approval that was withdrawn", `DELETE FROM approvals WHERE account = ? AND request = ? AND approver = ?`,
			w.account, w.request, w.by))
	}
	for _, h := range r.holds {
		n, err := affected(tx.ExecContext(ctx, placeHold, holdArgs(h)...))
		if err == nil && n > 0 {
			what := "the hold " + h.ID + " on " + h.What()
			r.told = append(r.told, audit.Event{Type: audit.AlarmBehind, Ref: h.ID, Detail: "the database was older than this log; placed again: " + what})
			r.did = append(r.did, what+": placed again")
		}
		errs = append(errs, err)
	}
	for _, id := range r.unerased {
		n, err := affected(tx.ExecContext(ctx, withdrawErasure, id))
		if err == nil && n > 0 {
			what := "the erasure " + id
			r.told = append(r.told, audit.Event{Type: audit.AlarmBehind, Ref: id, Detail: "the database was older than this log; withdrawn again: " + what})
			r.did = append(r.did, what+": withdrawn again")
		}
		errs = append(errs, err)
	}
	for _, u := range r.used {
		// What has come here is noted for whatever the session rests on.
		errs = append(errs, again(u.account, "an approval for few sessions", `INSERT INTO approval_uses (approval, session) SELECT id, ?1 FROM approvals p
			WHERE account = ?2 AND target = ?3 AND source = ?4 AND at <= ?5 AND until > ?5 AND instr(', ' || ?6 || ', ', ', ' || approver || ', ') > 0
			AND (SELECT count(*) FROM approval_uses WHERE approval = p.id) < uses AND NOT EXISTS (SELECT 1 FROM approval_uses WHERE session = ?1)`,
			u.session, u.account, u.target, u.source, micros(u.at), u.approvers))
	}
	errs = append(errs, r.bounds.apply(ctx, tx, r.putBack(), now, r.note))
	if r.putBack() {
		// Whatever was spent until then and has no record of its own.
		_, err := tx.ExecContext(ctx, `UPDATE authenticators SET last_step = ?1 WHERE last_step < ?1`, secret.NewestStep(r.last()))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// note has what was taken from an account told.
func (r *reconciling) note(id, what string) {
	name := r.accounts[id].name
	r.told = append(r.told, audit.Event{Type: audit.AlarmBehind, User: name, Detail: "the database was older than this log; taken away again: " + what})
	r.did = append(r.did, name+": "+what)
}

// putBack tells whether the database is one that was put back.
func (r *reconciling) putBack() bool { return slices.ContainsFunc(r.logs, (*replayed).putBack) }

// last is when the youngest was written of what the database doesn't know of.
func (r *reconciling) last() (at time.Time) {
	for _, l := range r.logs {
		if l.last.After(at) {
			at = l.last
		}
	}
	return at
}

// apply takes what words say, and tells whether that is anything.
func (t *taking) apply(ctx context.Context, tx *sql.Tx, id string, words []string, at time.Time) (took bool, err error) {
	for _, w := range words {
		kind, what := parted(w)
		// An end that the account has, or an earlier one, is no loss.
		took = took || kind != identity.TakenAfter
		for _, statement := range retakes[kind] {
			n, err := affected(tx.ExecContext(ctx, statement, id, what, micros(at)))
			if err != nil {
				return false, err
			}
			took = took || n > 0
		}
	}
	if !took {
		// The log has had this generation, whatever it gave: were it used for another
		// change, that one would pass for applied.
		_, err := tx.ExecContext(ctx, `UPDATE accounts SET generation = max(generation, ?) WHERE id = ?`, t.generation, id)
		return false, err
	}
	for _, table := range []string{"remembered_keys", "approvals", "waiters"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE account = ?`, id); err != nil {
			return false, err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE accounts SET generation = max(generation + 1, ?), epoch = epoch + 1 WHERE id = ?`, t.generation, id)
	return true, err
}

// alarms are the events about it.
func (r *reconciling) alarms() []audit.Event {
	alarm := func(reason, what string) {
		r.did = append(r.did, what)
		r.told = append(r.told, audit.Event{Type: audit.AlarmBehind, Reason: reason, Detail: what})
	}
	if len(r.told) > 0 || r.putBack() {
		what := "what this log took from accounts was taken again; what it gave them since was not"
		if len(r.logs) > 1 {
			what = "what this log and those before it took from accounts was taken again; what they gave them since was not"
		}
		if at := r.noted(); !at.IsZero() {
			what = "the database was of " + plain.Moment(at) + ": " + what
		}
		alarm("database-behind", what)
	}
	for _, l := range r.logs {
		if n := len(l.unreadable); n > 0 {
			alarm("unreadable", fmt.Sprintf("%s of the log before, %s, can't be read, the first of them %d: what they took from accounts isn't taken again", plain.Count(n, "record"), l.node, l.unreadable[0]))
		}
	}
	if l := r.logs[len(r.logs)-1]; !l.known && !l.chained && !l.marked && len(r.others) > 0 {
		alarm("other-log", "this log is new to the database, which knows "+listed(r.others)+": unless this is a further server's first start, its log and key were replaced: put the newest copies back")
	}
	return r.told
}

// noted is the last time that the database knows of from any of its logs.
func (r *reconciling) noted() (at time.Time) {
	for _, l := range r.logs {
		if l.from.at.After(at) {
			at = l.from.at
		}
	}
	return at
}
