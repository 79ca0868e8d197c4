package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/segment"
)

// Log is the audit log of this process. *audit.Log implements it.
type Log interface {
	Name() string
	KeyName() string // of the key that signs it now
	Before() ([]*audit.Past, error)
	Position() audit.Position
	At(size uint64) (p audit.Position, ok bool, err error)
	Since(size uint64) iter.Seq2[audit.Event, error]
	Append(ctx context.Context, e ...audit.Event) error
}

// Reconcile says that this process is the server of that log, and brings the
// database up to it and to the logs before it: what they say was taken away, and an
// older database has back, is taken away again, for changes of accounts as a whole or
// not at all. What gave access is not done again. Alarms about it are in the log
// before. It returns what it did, a line an account, nothing after a clean end.
//
// A change that came here is known by the account's generation, noted in its own
// transaction for the log that has it; so a crash between the two is told from
// one after both, and servers that share the database don't hide each other's
// changes. Records that say less than that (of older versions) take more away,
// never less. Before the first note of a log's position nothing is done, unless
// the log says that another database knew it, or the database knows one before it.
//
// Of a log before this one as many records are read as can be.
//
// The errors are *audit.Behind, *NotReplayed and those of logs and database.
func (s *Store) Reconcile(ctx context.Context, log Log, now time.Time) (did []string, err error) {
	node := log.Name()
	s.node.Store(&node)
	r, err := s.compare(ctx, log)
	if err != nil {
		return nil, err
	}
	// Other servers on this database hear of it, and end what they have open.
	err = named("reconcile", s.changeAccounts(ctx, func(tx *sql.Tx) error {
		if err := r.apply(ctx, tx, now); err != nil {
			return err
		}
		if alarms := r.alarms(); len(alarms) > 0 {
			if err := log.Append(ctx, alarms...); err != nil {
				return err
			}
		}
		if err := r.notePositions(ctx, tx, now); err != nil {
			return err
		}
		return noteKey(ctx, tx, node, log.KeyName())
	}))
	if err != nil {
		return r.did, err
	}
	unread, err := s.Unread(ctx, log, now)
	return append(r.did, unread...), err
}

// compare finds what the database lacks of the log and of those before it.
func (s *Store) compare(ctx context.Context, log Log) (*reconciling, error) {
	before, err := log.Before()
	if err != nil {
		return nil, err
	}
	r := &reconciling{takes: map[string]*taking{}, steps: map[string]int64{}, bounds: bounds{map[string]lock{}, map[string]int64{}}}
	for _, b := range before {
		r.logs = append(r.logs, &replayed{node: b.Name(), past: b})
	}
	r.logs = append(r.logs, &replayed{node: log.Name(), end: log.Position()})
	if err := s.snapshot(ctx, func(tx *sql.Tx) error { return r.load(ctx, tx) }); err != nil {
		return nil, named("reconcile", err)
	}
	chained := false // the database knows a log before
	for _, l := range r.logs {
		l.chained, r.replayed = chained, l
		if l.past != nil {
			err = r.readPast(l)
		} else {
			err = r.readOpen(log)
		}
		if err != nil {
			return nil, err
		}
		chained = chained || l.known || l.marked
	}
	return r, nil
}

// readOpen goes through what the database may lack of the log of this process.
func (r *reconciling) readOpen(log Log) error {
	if r.known && r.from.Position != r.end { // after a clean end they are the same, and nothing is read
		switch at, ok, err := log.At(r.from.Size); {
		case err != nil:
			return err
		case r.end.Size < r.from.Size:
			return &audit.Behind{Has: r.end.Size, Known: r.from.Size}
		case !ok || at != r.from.Position:
			return &audit.Behind{Has: r.end.Size, Known: r.from.Size, Other: true}
		}
	}
	if r.end.Size <= r.from.done {
		return nil
	}
	return r.read(log)
}

// reconciling is what a start finds that the database lacks of its logs.
type reconciling struct {
	newest   time.Time       // that the database has of anything
	accounts map[string]held // by ID
	names    map[string]string
	limited  bool // there are approvals for few sessions
	others   []otherLog

	logs      []*replayed // the first first; this process's is the last
	*replayed             // the one that is read

	takes  map[string]*taking
	steps  map[string]int64 // by account
	spent  []fact           // recovery codes; what is "" for one that isn't said
	forgot []fact           // remembered keys; what is "" for all of them
	used   []use
	bounds bounds

	given     []given
	withdrawn []withdrawal
	holds     []evidence.Hold
	unerased  []string // orders that were withdrawn

	told []audit.Event
	did  []string
}

type held struct {
	name    string
	created time.Time
}

type fact struct {
	account, what string
	at            time.Time
}

type use struct {
	account, target, source, approvers, session string
	at                                          time.Time
}

// given is an approval, which took the place of those before.
type given struct {
	withdrawal
	target, source, rule string
	at                   time.Time
}

type withdrawal struct{ account, request, by string }

// load reads what the database is.
func (r *reconciling) load(ctx context.Context, tx *sql.Tx) (err error) {
	r.accounts, r.names = map[string]held{}, map[string]string{}
	for _, l := range r.logs {
		if l.from, l.known, err = readPosition(ctx, tx, l.node); err != nil {
			return err
		}
		l.applied = map[string]int64{}
		err = each(ctx, tx, `SELECT account, generation FROM applied WHERE node = ?`, l.node, func(rows *sql.Rows) error {
			var (
				id string
				n  int64
			)
			err := rows.Scan(&id, &n)
			l.applied[id] = n
			return err
		})
		if err != nil {
			return err
		}
	}
	if r.others, err = otherLogs(ctx, tx, r.logs); err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT id, name, created FROM accounts WHERE id <> ?`, "", func(rows *sql.Rows) error {
		var (
			id, name string
			created  int64
		)
		err := rows.Scan(&id, &name, &created)
		r.accounts[id], r.names[name] = held{name, fromMicros(created)}, id
		return err
	})
	if err != nil {
		return err
	}
	var newest int64
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM approvals WHERE uses > 0), max(
		(SELECT coalesce(max(at), 0) FROM logins), (SELECT coalesce(max(max(created, last_login, passphrase_set, active_since)), 0) FROM accounts),
		(SELECT coalesce(max(max(created, used)), 0) FROM authenticators), (SELECT coalesce(max(added), 0) FROM public_keys),
		(SELECT coalesce(max(used), 0) FROM recovery_codes))`).Scan(&r.limited, &newest)
	r.newest = fromMicros(newest)
	return err
}

// read goes through what the database may lack of one log.
func (r *reconciling) read(log interface {
	Since(size uint64) iter.Seq2[audit.Event, error]
}) error {
	l := r.replayed
	if !l.known && !l.chained { // by time, if at all
		var away *segment.Absent
		for e, err := range log.Since(0) {
			if err != nil && !audit.Told(err) {
				return err
			}
			if l.marked = err == nil && e.Change != nil; l.marked {
				break
			}
			_ = errors.As(err, &away)
		}
		if !l.marked && away != nil && l.past == nil {
			return notHere(away) // what it has may be of another database
		}
		if !l.marked {
			return nil // the first database of this log, as far as anybody can tell
		}
	}
	l.read = l.from.done
	for e, err := range log.Since(l.from.done) {
		l.read++
		var bad *audit.BadRecord
		var away *segment.Absent
		switch {
		case errors.As(err, &away) && l.past == nil:
			return notHere(away)
		case errors.As(err, &away):
			l.unreadable = append(l.unreadable, away.From)
			l.read += away.To - away.From
			continue
		case errors.As(err, &bad) && l.past != nil:
			l.unreadable = append(l.unreadable, l.read)
			continue
		case errors.As(err, &bad):
			return &NotReplayed{Seq: l.read, Why: "it " + bad.Why}
		case err != nil:
			return err
		}
		if !l.known && !l.chained && !e.Time.After(r.newest) {
			continue // the database has it: it has younger things
		}
		if l.read > l.from.Size {
			l.unsaid(e)
		}
		if err := r.event(e); err != nil {
			return err
		}
	}
	return nil
}

// notHere says of records that the database lacks that their segment isn't there.
func notHere(a *segment.Absent) *NotReplayed {
	return &NotReplayed{Seq: a.From, Absent: true, Why: fmt.Sprintf("its segment of the audit log isn't there, which has the records up to %d", a.To)}
}

func (r *reconciling) event(e audit.Event) error {
	r.bounds.count(e)
	switch e.Type { // of no account
	case audit.HoldPlaced:
		r.holds = append(r.holds, evidence.HoldOf(e))
		return nil
	case audit.ErasureWithdrawn:
		r.unerased = append(r.unerased, e.Ref)
		return nil
	case audit.HoldReleased:
		// One that the database has stays, as nothing is given back; one that it lacks
		// needn't be placed.
		r.holds = slices.DeleteFunc(r.holds, func(h evidence.Hold) bool { return h.ID == e.Ref })
		return nil
	}
	id, ok := r.names[e.User]
	ok = ok && !r.accounts[id].created.After(e.Time) // else it is of another account of that name
	if ok {
		r.bounds.note(id, e)
	}
	if e.Change != nil || lacking[e.Type] != nil {
		return r.change(e)
	}
	if !ok {
		return nil
	}
	if e.Step > 0 {
		r.steps[id] = max(r.steps[id], e.Step)
	}
	switch {
	case e.Type == audit.RecoveryUsed:
		r.spent = append(r.spent, fact{id, e.Hash, e.Time})
	case e.Type == audit.KeyForgotten:
		r.forgot = append(r.forgot, fact{id, e.Key, e.Time})
	case e.Type == audit.ApprovalGiven:
		w := withdrawal{id, e.Ref, e.Approver}
		if e.Reason == notApplied {
			r.given = slices.DeleteFunc(r.given, func(x given) bool { return x.withdrawal == w })
			break
		}
		rule, _, _ := strings.Cut(e.Rule, " (") // and its place in the policy
		r.given = append(r.given, given{w, e.Target, e.Source, rule, e.Time})
	case e.Type == audit.ApprovalWithdrawn:
		w := withdrawal{id, e.Ref, e.Approver}
		r.withdrawn = slices.DeleteFunc(r.withdrawn, func(x withdrawal) bool { return x == w })
		if e.Reason != notApplied {
			r.withdrawn = append(r.withdrawn, w)
		}
	case r.limited && e.Approver != "" && (e.Type == audit.SessionStarted || e.Type == audit.ForwardOpened):
		source, _, _ := strings.Cut(strings.TrimPrefix(e.Source, "["), "]")
		if source == e.Source {
			source, _, _ = strings.Cut(e.Source, ":")
		}
		session := e.Session
		if session == "" {
			session = "connection " + e.Conn
		}
		r.used = append(r.used, use{id, e.Target, source, e.Approver, session, e.Time})
	}
	return nil
}
