package store

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"slices"
	"time"

	"entry/bastion/access"
	"entry/policy"
)

var _ access.Book = (*Store)(nil)

// Serve begins a server, that of the log called node. Who waited for approval at
// the one before is gone.
func (s *Store) Serve(ctx context.Context, node string) error {
	s.node.Store(&node)
	_, err := s.exec(ctx, `DELETE FROM waiters WHERE node = ?`, node)
	return named("forget who waited", err)
}

func (s *Store) nodeName() string {
	if n := s.node.Load(); n != nil {
		return *n
	}
	return ""
}

// Wait implements access.Book.
func (s *Store) Wait(ctx context.Context, w access.Waiter, now time.Time) (request string, err error) {
	request = w.Request
	err = s.change(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM waiters WHERE until <= ?`, micros(now)); err != nil {
			return err
		}
		var all, own int
		err := tx.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE a.name = ?) FROM waiters w JOIN accounts a ON a.id = w.account`, w.Seat.User).Scan(&all, &own)
		if err != nil {
			return err
		}
		if all >= access.MaxWaiting || own >= access.MaxWaitingEach {
			return access.ErrCrowded
		}
		err = tx.QueryRowContext(ctx, `SELECT request FROM waiters WHERE account = (SELECT id FROM accounts WHERE name = ?)
			AND target = ? AND source = ? AND rule = ? AND gives = ? LIMIT 1`, w.Seat.User, w.Seat.Target, w.Seat.Source.String(), w.Rule, w.Gives).Scan(&request)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		n, err := affected(tx.ExecContext(ctx, `INSERT INTO waiters (id, request, account, epoch, target, source, rule, gives, until, node)
			SELECT ?, ?, id, epoch, ?, ?, ?, ?, ?, ? FROM accounts WHERE name = ?`,
			w.ID, request, w.Seat.Target, w.Seat.Source.String(), w.Rule, w.Gives, micros(w.Until), s.nodeName(), w.Seat.User))
		if err == nil && n == 0 {
			err = access.ErrNoRequest // the account is gone
		}
		return err
	})
	return request, named("wait for approval", err)
}

// Leave implements access.Book.
func (s *Store) Leave(ctx context.Context, id string) error {
	_, err := s.exec(ctx, `DELETE FROM waiters WHERE id = ?`, id)
	return named("leave off waiting", err)
}

// Waiters implements access.Book.
func (s *Store) Waiters(ctx context.Context, now time.Time) ([]access.Waiter, error) {
	var all []access.Waiter
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT w.id, request, name, target, source, rule, gives, until, account, w.epoch FROM waiters w
			JOIN accounts a ON a.id = w.account AND a.epoch = w.epoch WHERE until > ? ORDER BY until, w.id`, micros(now),
			func(rows *sql.Rows) error {
				var (
					w      access.Waiter
					source string
					until  int64
				)
				err := rows.Scan(&w.ID, &w.Request, &w.Seat.User, &w.Seat.Target, &source, &w.Rule, &w.Gives, &until, &w.Account, &w.Epoch)
				if err != nil {
					return err
				}
				w.Until = fromMicros(until)
				w.Seat.Source, err = netip.ParseAddr(source)
				all = append(all, w)
				return err
			})
	})
	return all, named("read who waits", err)
}

// Give implements access.Book.
func (s *Store) Give(ctx context.Context, w access.Waiter, a policy.Approval) error {
	return named("keep approval", s.changeAccounts(ctx, func(tx *sql.Tx) error {
		var byAccount string
		var byEpoch, gone int64
		err := tx.QueryRowContext(ctx, `SELECT id, epoch, disabled <> 0 OR ends <> 0 AND ends <= ? FROM accounts WHERE name = ?`, micros(a.At), a.By).Scan(&byAccount, &byEpoch, &gone)
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows): // an operator may have no account
			return err
		case gone != 0:
			return access.ErrNotApprover
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM approvals WHERE until <= ?1 OR account = ?2 AND target = ?3 AND source = ?4 AND rule = ?5
			AND approver = ?6 AND id NOT IN (SELECT approval FROM approval_uses)`,
			micros(a.At), w.Account, w.Seat.Target, w.Seat.Source.String(), a.Rule, a.By); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM approvals WHERE id IN
			(SELECT id FROM approvals ORDER BY until, id LIMIT max(0, (SELECT count(*) FROM approvals) - ?))`, access.MaxApprovals-1); err != nil {
			return err
		}
		n, err := affected(tx.ExecContext(ctx, `INSERT INTO approvals (account, target, source, rule, approver, acting, at, until, uses, request, gives, by_account, by_epoch)
			SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM accounts WHERE id = ? AND epoch = ? AND disabled = 0`,
			w.Seat.Target, w.Seat.Source.String(), a.Rule, a.By, a.Acting, micros(a.At), micros(a.Until), a.Uses, w.Request, a.Gives, byAccount, byEpoch, w.Account, w.Epoch))
		if err == nil && n == 0 {
			err = access.ErrNoRequest
		}
		return err
	}))
}

// stands tells of an approval p whether its approver's account is as it was then.
const stands = `(by_account = '' OR EXISTS (SELECT 1 FROM accounts b WHERE b.id = by_account AND b.epoch = by_epoch AND b.disabled = 0))`

// lasts is until when an approval p counts: no longer than its approver's account.
const lasts = `(SELECT min(p.until, coalesce((SELECT nullif(b.ends, 0) FROM accounts b WHERE b.id = by_account), p.until)))`

// usable are the approvals for the seat ?1 to ?3 at ?4 that ?5 rests on; with ?6
// also those that have a use left.
const usable = `FROM approvals p WHERE account = (SELECT id FROM accounts WHERE name = ?1) AND target = ?2 AND source = ?3 AND ` + lasts + ` > ?4 AND ` + stands + `
	AND (uses = 0 OR EXISTS (SELECT 1 FROM approval_uses u WHERE u.approval = p.id AND u.session = ?5)
		OR ?6 AND (SELECT count(*) FROM approval_uses u WHERE u.approval = p.id) < uses)`

// Given implements access.Book.
func (s *Store) Given(ctx context.Context, seat policy.Seat, use string, fresh bool, now time.Time) ([]policy.Approval, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT approver, rule, at, `+lasts+`, uses, acting, gives `+usable+` ORDER BY 4 DESC, id`,
		seat.User, seat.Target, seat.Source.String(), micros(now), use, fresh)
	if err != nil {
		return nil, named("read approvals", placed(s.path, err))
	}
	defer closeRows(rows)
	var all []policy.Approval
	for rows.Next() {
		var (
			a         policy.Approval
			at, until int64
		)
		if err := rows.Scan(&a.By, &a.Rule, &at, &until, &a.Uses, &a.Acting, &a.Gives); err != nil {
			return nil, named("read approvals", err)
		}
		a.At, a.Until = fromMicros(at), fromMicros(until)
		all = append(all, a)
	}
	return all, named("read approvals", rows.Err())
}

// Use implements access.Book.
func (s *Store) Use(ctx context.Context, seat policy.Seat, rules []string, use string, now time.Time) (n int, err error) {
	// Most approvals are for any number of sessions: they cost no transaction.
	given, err := s.Given(ctx, seat, use, true, now)
	if err != nil || !slices.ContainsFunc(given, func(a policy.Approval) bool { return a.Uses > 0 && slices.Contains(rules, a.Rule) }) {
		return 0, err
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		for _, rule := range rules {
			got, err := affected(tx.ExecContext(ctx, `INSERT INTO approval_uses (approval, session) SELECT id, ?5 `+usable+` AND uses > 0 AND rule = ?7 ON CONFLICT DO NOTHING`,
				seat.User, seat.Target, seat.Source.String(), micros(now), use, true, rule))
			if err != nil {
				return err
			}
			n += int(got)
		}
		return nil
	})
	return n, named("use approvals", err)
}

// Unuse implements access.Book.
func (s *Store) Unuse(ctx context.Context, use string) error {
	_, err := s.exec(ctx, `DELETE FROM approval_uses WHERE session = ?`, use)
	return named("give back approvals", err)
}

// Approvals implements access.Book.
func (s *Store) Approvals(ctx context.Context, now time.Time) (all []access.Approval, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		all, err = approvals(ctx, tx, lasts+` > ? AND `+stands, now)
		return err
	})
	return all, named("read approvals", err)
}

// approvals are those of which where, with now for its ?, is so.
func approvals(ctx context.Context, tx *sql.Tx, where string, now time.Time) (all []access.Approval, err error) {
	err = each(ctx, tx, `SELECT request, name, target, source, rule, approver, acting, at, `+lasts+`, uses, gives,
		(SELECT count(*) FROM approval_uses u WHERE u.approval = p.id)
		FROM approvals p JOIN accounts a ON a.id = p.account WHERE `+where+` ORDER BY 9, p.id`, micros(now),
		func(rows *sql.Rows) error {
			var (
				a         access.Approval
				source    string
				at, until int64
			)
			err := rows.Scan(&a.Request, &a.Seat.User, &a.Seat.Target, &source, &a.Rule, &a.By, &a.Acting, &at, &until, &a.Uses, &a.Gives, &a.Used)
			if err != nil {
				return err
			}
			a.At, a.Until = fromMicros(at), fromMicros(until)
			a.Seat.Source, err = netip.ParseAddr(source)
			all = append(all, a)
			return err
		})
	return all, err
}

// Lapse implements access.Book.
func (s *Store) Lapse(ctx context.Context, now time.Time) (all []access.Approval, err error) {
	const lapsed = `until > ? AND NOT ` + stands
	var some bool // looked for at every change of any account: mostly there are none
	err = s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM approvals p WHERE `+lapsed+`)`, micros(now)).Scan(&some)
	if err != nil || !some {
		return nil, named("read approvals", placed(s.path, err))
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		if all, err = approvals(ctx, tx, lapsed, now); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM approvals AS p WHERE `+lapsed, micros(now))
		return err
	})
	return all, named("end approvals", err)
}

// Withdraw implements access.Book.
func (s *Store) Withdraw(ctx context.Context, request, by string) error {
	return named("withdraw approval", s.changeAccounts(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM approvals WHERE request = ? AND approver = ?`, request, by)
		return err
	}))
}
