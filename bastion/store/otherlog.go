package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"entry/audit/plain"
)

// otherLog is one that the database knows, and this process doesn't have.
type otherLog struct {
	node string
	size uint64
	at   time.Time // when its position was noted last
}

func otherLogs(ctx context.Context, tx *sql.Tx, own []*replayed) (all []otherLog, err error) {
	err = each(ctx, tx, `SELECT node, size, at FROM log_positions WHERE node <> ? ORDER BY node`, "", func(rows *sql.Rows) error {
		var (
			o  otherLog
			at int64
		)
		err := rows.Scan(&o.node, &o.size, &at)
		if o.at = fromMicros(at); err == nil && !slices.ContainsFunc(own, func(l *replayed) bool { return l.node == o.node }) {
			all = append(all, o)
		}
		return err
	})
	return all, err
}

// OtherServers are the names of logs whose servers have been on the database since then,
// besides this process's own.
func (s *Store) OtherServers(ctx context.Context, since time.Time) (names []string, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		all, err := otherLogs(ctx, tx, []*replayed{{node: s.nodeName()}})
		for _, o := range all {
			if !o.at.Before(since) {
				names = append(names, o.node)
			}
		}
		return err
	})
	return names, named("read the positions of logs", err)
}

// mostListed bounds how many logs a line names.
const mostListed = 5

func listed(logs []otherLog) string {
	var out []string
	for _, o := range logs[:min(len(logs), mostListed)] {
		out = append(out, fmt.Sprintf("the log %s (%s, %s)", o.node, plain.Count(int(o.size), "record"), plain.Moment(o.at)))
	}
	if n := len(logs) - len(out); n > 0 {
		out = append(out, plain.Count(n, "more"))
	}
	return strings.Join(out, ", ")
}

// remindFor is how long after a database was put back one is told of servers that
// haven't started since.
const remindFor = 30 * 24 * time.Hour

// Unread says which logs that the database knows no server has held against it since
// it was put back: what they took from accounts may be back. log is the caller's own.
func (s *Store) Unread(ctx context.Context, log Log, now time.Time) (said []string, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		var at int64
		err := tx.QueryRowContext(ctx, `SELECT at FROM put_back`).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) || err == nil && now.Sub(fromMicros(at)) > remindFor {
			return nil
		}
		if err != nil {
			return err
		}
		others, err := otherLogs(ctx, tx, []*replayed{{node: log.Name()}})
		if err != nil {
			return err
		}
		others = slices.DeleteFunc(others, func(o otherLog) bool { return !o.at.Before(fromMicros(at)) })
		if len(others) > 0 {
			said = append(said, fmt.Sprintf("the database was put back (found on %s), and no server has held it since against %s: what that took from accounts may be back until its server starts",
				plain.Moment(fromMicros(at)), listed(others)))
		}
		return nil
	})
	return said, named("read the positions of logs", err)
}

// notePositions notes that the logs have been held against the database.
func (r *reconciling) notePositions(ctx context.Context, tx *sql.Tx, now time.Time) error {
	if r.putBack() {
		// Another server has found the same before where what the database lacks of these
		// logs is all older than that: its log has been held against it since.
		if _, err := tx.ExecContext(ctx, `INSERT INTO put_back (id, at) VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at WHERE at <= ?`, micros(now), micros(r.last())); err != nil {
			return err
		}
	}
	for _, l := range r.logs {
		done := l.end.Size
		if l.past != nil {
			done = l.read
		}
		if _, err := tx.ExecContext(ctx, notePosition, l.node, l.end.Size, l.end.Root[:], done, micros(now)); err != nil {
			return err
		}
	}
	return nil
}
