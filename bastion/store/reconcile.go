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
	"entry/bastion/identity"
)

// Log is the audit log of this process. *audit.Log implements it.
type Log interface {
	Name() string
	Position() audit.Position
	At(size uint64) (p audit.Position, ok bool, err error)
	Since(size uint64) iter.Seq2[audit.Event, error]
	Append(ctx context.Context, e ...audit.Event) error
}

// crashLag is how much younger than the database's note of its position a log
// can be after a crash; what is older was put back.
const crashLag = 30 * time.Second

// Reconcile says that this process is the server of that log, and brings the
// database up to it: what the log says was taken away, and an older database has
// back, is taken away again, for changes of accounts as a whole or not at all.
// What gave access is not done again. Alarms about it are in the log before. It
// returns what it did, a line an account, nothing after a clean end.
//
// A change that came here is known by the account's generation, noted in its own
// transaction for the log that has it; so a crash between the two is told from
// one after both, and servers that share the database don't hide each other's
// changes. Records that say less than that (of older versions) take more away,
// never less. Before the first note of a log's position nothing is done, unless
// the log says that another database knew it.
//
// The errors are *LogBehind, *NotReplayed and those of log and database.
func (s *Store) Reconcile(ctx context.Context, log Log, now time.Time) (did []string, err error) {
	node := log.Name()
	s.node.Store(&node)
	end := log.Position()
	r, err := s.compare(ctx, log)
	if err != nil {
		return nil, err
	}
	// Other servers on this database hear of it, and end what they have open.
	return r.did, named("reconcile", s.changeAccounts(ctx, func(tx *sql.Tx) error {
		if err := r.apply(ctx, tx); err != nil {
			return err
		}
		if alarms := r.alarms(); len(alarms) > 0 {
			if err := log.Append(ctx, alarms...); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, notePosition, node, end.Size, end.Root[:], end.Size, micros(now))
		return err
	}))
}

// compare finds what the database lacks of the log.
func (s *Store) compare(ctx context.Context, log Log) (*reconciling, error) {
	node, end := log.Name(), log.Position()
	r := &reconciling{node: node, takes: map[string]*taking{}, steps: map[string]int64{}}
	if err := s.snapshot(ctx, func(tx *sql.Tx) error { return r.load(ctx, tx) }); err != nil {
		return nil, named("reconcile", err)
	}
	if r.known && r.from.Position != end { // after a clean end they are the same, and nothing is read
		switch at, ok, err := log.At(r.from.Size); {
		case err != nil:
			return nil, err
		case end.Size < r.from.Size:
			return nil, &LogBehind{Has: end.Size, Known: r.from.Size}
		case !ok || at != r.from.Position:
			return nil, &LogBehind{Has: end.Size, Known: r.from.Size, Other: true}
		}
	}
	if end.Size > r.from.done {
		if err := r.read(log); err != nil {
			return nil, err
		}
	}
	if !r.known && !r.marked {
		r = &reconciling{node: node} // the first database of this log, as far as anybody can tell
	}
	return r, nil
}

// reconciling is what a start finds that the database lacks of the log.
type reconciling struct {
	node     string
	from     position
	known    bool      // from is
	newest   time.Time // that the database has of anything
	applied  map[string]int64
	accounts map[string]held // by ID
	names    map[string]string
	limited  bool // there are approvals for few sessions

	marked bool // another database has had this log
	last   time.Time
	takes  map[string]*taking
	steps  map[string]int64 // by account
	spent  []fact           // recovery codes; what is "" for one that isn't said
	forgot []fact           // remembered keys
	used   []use

	withdrawn []withdrawal

	told []audit.Event
	did  []string
}

type held struct {
	name    string
	created time.Time
}

// taking is what the log takes from one account.
type taking struct {
	generation int64
	words      []word
}

type word struct {
	text       string
	kind       audit.Type
	generation int64
}

type fact struct {
	account, what string
	at            time.Time
}

type use struct {
	account, target, source, session string
	at                               time.Time
}

type withdrawal struct{ account, request, by string }

// load reads what the database is.
func (r *reconciling) load(ctx context.Context, tx *sql.Tx) (err error) {
	if r.from, r.known, err = readPosition(ctx, tx, r.node); err != nil {
		return err
	}
	r.applied, r.accounts, r.names = map[string]int64{}, map[string]held{}, map[string]string{}
	err = each(ctx, tx, `SELECT account, generation FROM applied WHERE node = ?`, r.node, func(rows *sql.Rows) error {
		var (
			id string
			n  int64
		)
		err := rows.Scan(&id, &n)
		r.applied[id] = n
		return err
	})
	if err != nil {
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

// read goes through what the database may lack.
func (r *reconciling) read(log Log) error {
	seq := r.from.done
	for e, err := range log.Since(r.from.done) {
		var bad *audit.BadRecord
		switch {
		case errors.As(err, &bad):
			return &NotReplayed{Seq: seq + 1, Why: "it " + bad.Why}
		case err != nil:
			return err
		}
		seq = e.Seq
		r.marked = r.marked || e.Change != nil
		r.last = e.Time
		if !r.known && !e.Time.After(r.newest) {
			continue // the database has it: it has younger things
		}
		if err := r.event(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *reconciling) event(e audit.Event) error {
	if e.Change != nil || lacking[e.Type] != nil {
		return r.change(e)
	}
	id, ok := r.names[e.User]
	if !ok || r.accounts[id].created.After(e.Time) { // of another account of that name
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
	case e.Type == audit.ApprovalWithdrawn:
		w := withdrawal{id, e.Ref, e.Approver}
		r.withdrawn = slices.DeleteFunc(r.withdrawn, func(x withdrawal) bool { return x == w })
		if e.Reason != "not-applied" {
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
		r.used = append(r.used, use{id, e.Target, source, session, e.Time})
	}
	return nil
}

// lacking are the words for records of versions that didn't say what a change
// took: all that it can have taken.
var lacking = map[audit.Type][]string{
	audit.UserDisabled:          {identity.TakenDisabled, identity.TakenProven, identity.TakenTemporary},
	audit.UserEnabled:           {},
	audit.UserRemoved:           {identity.TakenAccount},
	audit.UserReset:             {identity.TakenPassphrase, identity.TakenTemporary, identity.TakenRecovery, identity.TakenDevice, identity.TakenProven, identity.TakenPending},
	audit.UserInvited:           {identity.TakenTemporary, identity.TakenProven},
	audit.PassphraseChanged:     {identity.TakenPassphrase, identity.TakenTemporary},
	audit.AuthenticatorEnrolled: {identity.TakenTemporary, identity.TakenSMS},
	audit.AuthenticatorRemoved:  {identity.TakenDevice},
	audit.RecoveryCreated:       {identity.TakenRecovery},
	audit.KeyAdded:              {},
	audit.KeyRemoved:            {identity.TakenKey},
}

// change notes what a change of an account took.
func (r *reconciling) change(e audit.Event) error {
	id, generation := r.names[e.User], int64(0)
	words := lacking[e.Type]
	if c := e.Change; c != nil {
		id, generation, words = c.Account, c.Generation, strings.Fields(c.Taken)
		if strings.HasSuffix(c.Taken, "…") {
			return &NotReplayed{Seq: e.Seq, Why: "it doesn't say all that it took away"}
		}
		if generation <= r.applied[id] {
			return nil
		}
	} else if r.accounts[id].created.After(e.Time) {
		return nil
	}
	if _, ok := r.accounts[id]; !ok {
		return nil // the database never had it, or has it no more
	}
	t := r.takes[id]
	if t == nil {
		t = &taking{}
		r.takes[id] = t
	}
	if e.Reason == "not-applied" {
		t.words = slices.DeleteFunc(t.words, func(w word) bool { return w.kind == e.Type && w.generation == generation })
		return nil
	}
	t.generation = max(t.generation, generation)
	t.undo(e)
	for _, w := range words {
		if w == identity.TakenKey {
			w += e.Key
		}
		if !understood(w) {
			return &NotReplayed{Seq: e.Seq, Why: fmt.Sprintf("it took %.60q, which this version of entry doesn't know", w)}
		}
		t.words = append(t.words, word{w, e.Type, generation})
	}
	return nil
}

// undo drops what e gave again: not to be more than the log's last word, nor more
// than the database has.
func (t *taking) undo(e audit.Event) {
	drop := func(prefix string) {
		t.words = slices.DeleteFunc(t.words, func(w word) bool { return strings.HasPrefix(w.text, prefix) })
	}
	switch {
	case e.Type == audit.UserEnabled:
		drop(identity.TakenDisabled)
	case e.Type == audit.KeyAdded && e.Key != "":
		drop(identity.TakenKey + e.Key)
	case e.Type == audit.UserChanged && e.Key != "":
		drop(identity.TakenUse + e.Key)
	case e.Type == audit.UserChanged && (e.Until != nil || e.Detail == identity.NoEnd):
		drop(identity.TakenAfter)
	}
}
