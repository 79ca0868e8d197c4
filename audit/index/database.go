package index

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// version is of the tables and of what is in them: a database of another one is made anew.
const version = 1

const tables = `
CREATE TABLE span (first INTEGER PRIMARY KEY, end INTEGER NOT NULL, segment INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
	since INTEGER NOT NULL, until INTEGER NOT NULL, sum BLOB NOT NULL, seal BLOB NOT NULL) STRICT;
CREATE TABLE part (number INTEGER NOT NULL, first INTEGER NOT NULL, data BLOB NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (number, first)) STRICT, WITHOUT ROWID;
CREATE TABLE file (segment INTEGER PRIMARY KEY, state BLOB NOT NULL, seal BLOB NOT NULL) STRICT;
`

// database has the rows. Each has a MAC, so that nothing else is asked of it than
// that most of them are there.
type database struct {
	path string
	db   *sql.DB
	sealer
}

// wait is how long somebody else who writes is waited for.
const wait = 5 * time.Second

// openDatabase opens the one at path. One that is of another version, or none, is made anew;
// damaged tells the latter.
func openDatabase(path string, s sealer) (d *database, damaged bool, err error) {
	for _, end := range endings {
		if ours, err := ownFile(path + end); err == nil && !ours {
			damaged = true
			removeDatabase(path)
		}
	}
	// Of two who switch a new file to its write-ahead log SQLite refuses one at once,
	// whatever it was told to wait (https://sqlite.org/c3ref/busy_handler.html).
	for giveUp := time.Now().Add(wait); ; time.Sleep(rand.N(20 * time.Millisecond)) {
		if d, err = tryDatabase(path, s); err == nil {
			return d, damaged, nil
		}
		if !busy(err) {
			break
		}
		if time.Now().After(giveUp) {
			return nil, false, err
		}
	}
	damaged = !errors.Is(err, errVersion)
	removeDatabase(path)
	d, err = tryDatabase(path, s)
	return d, damaged, err
}

var errVersion = errors.New("the database is of another version")

func tryDatabase(path string, s sealer) (_ *database, err error) {
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil { // SQLite gives the files beside it the same mode
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	u := url.URL{Scheme: "file", Path: path}
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_busy_timeout=%d&_journal_mode=WAL&_synchronous=NORMAL&_txlock=immediate", u.EscapedPath(), wait.Milliseconds()))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	d := &database{path: path, db: db, sealer: s}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

// prepare makes the tables in an empty database.
func (d *database) prepare() error {
	return d.write(func(tx *sql.Tx) error {
		var is, has int
		if err := tx.QueryRow("PRAGMA user_version").Scan(&is); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&has); err != nil {
			return err
		}
		switch {
		case is == version && has > 0:
			return nil
		case is != 0 || has > 0:
			return errVersion
		}
		_, err := tx.Exec(tables + fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	})
}

// write has f write in one transaction.
func (d *database) write(f func(*sql.Tx) error) error {
	tx, err := d.db.Begin()
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// endings are those of the names of a database's files.
var endings = []string{"", "-wal", "-shm", "-journal"}

func removeDatabase(path string) {
	for _, end := range endings {
		_ = os.Remove(path + end) // what can't be removed can't be made anew, which is told
	}
}

func busy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// errSeal says that a row isn't what was written, or isn't there.
var errSeal = errors.New("a row of the index isn't what was written there")

// spans are those whose rows are what was written, by their first records; others are the
// keys of those that aren't.
func (d *database) spans() (all map[uint64]span, others []uint64, err error) {
	all = map[uint64]span{}
	rows, err := d.db.Query("SELECT first, end, segment, start, stop, since, until, sum, seal FROM span")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }() // Err says what is wrong
	for rows.Next() {
		var s span
		var sum, seal []byte
		if err := rows.Scan(&s.first, &s.end, &s.segment, &s.from, &s.to, &s.since, &s.until, &sum, &seal); err != nil {
			return nil, nil, err
		}
		if copy(s.sum[:], sum) != len(s.sum) || !same(seal, d.seal(ofSpan, s, 0, nil)) {
			others = append(others, s.first)
			continue
		}
		all[s.first] = s
	}
	return all, others, rows.Err()
}

// terms is one bucket of a chunk; blocks is its blocks.
func (d *database) terms(s span, bucket int) ([]byte, error) { return d.part(s, ofTerms, bucket) }
func (d *database) blocks(s span) ([]byte, error)            { return d.part(s, ofBlocks, buckets) }

func (d *database) part(s span, kind byte, number int) ([]byte, error) {
	var data, seal []byte
	err := d.db.QueryRow("SELECT data, seal FROM part WHERE number = ? AND first = ?", number, int64(s.first)).Scan(&data, &seal)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !same(seal, d.seal(kind, s, number, data)) {
		err = errSeal
	}
	return data, err
}

// keep stores a chunk.
func (d *database) keep(c *chunk) error {
	return d.write(func(tx *sql.Tx) error {
		s := c.span
		if _, err := tx.Exec("INSERT OR REPLACE INTO span (first, end, segment, start, stop, since, until, sum, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			int64(s.first), int64(s.end), int64(s.segment), s.from, s.to, s.since, s.until, s.sum[:], d.seal(ofSpan, s, 0, nil)); err != nil {
			return err
		}
		put, err := tx.Prepare("INSERT OR REPLACE INTO part (number, first, data, seal) VALUES (?, ?, ?, ?)")
		if err != nil {
			return err
		}
		for i, b := range c.buckets {
			if b == nil {
				b = []byte{}
			}
			if _, err := put.Exec(i, int64(s.first), b, d.seal(ofTerms, s, i, b)); err != nil {
				return err
			}
		}
		_, err = put.Exec(buckets, int64(s.first), c.blocks, d.seal(ofBlocks, s, buckets, c.blocks))
		return errors.Join(err, put.Close())
	})
}

// drop forgets the chunk that begins with a record.
func (d *database) drop(first uint64) error {
	_, err := d.db.Exec("DELETE FROM span WHERE first = ?", int64(first))
	return err
}

// keepFile notes in which state a sealed file was when it had just these chunks.
func (d *database) keepFile(all []span, state string) error {
	of, data := fileOf(all, state)
	_, err := d.db.Exec("INSERT OR REPLACE INTO file (segment, state, seal) VALUES (?, ?, ?)", int64(of.first), []byte(state), d.seal(ofFile, of, 0, data))
	return err
}

// isFile tells whether a file in that state has just these chunks.
func (d *database) isFile(all []span, state string) (bool, error) {
	of, data := fileOf(all, state)
	var seal []byte
	err := d.db.QueryRow("SELECT seal FROM file WHERE segment = ?", int64(of.first)).Scan(&seal)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && same(seal, d.seal(ofFile, of, 0, data)), err
}

// fileOf is what the MAC of a file is of.
func fileOf(all []span, state string) (of span, data []byte) {
	of = span{segment: all[0].segment, first: all[0].first, end: all[len(all)-1].end}
	for _, s := range all {
		data = append(data, s.sum[:]...)
	}
	return of, append(data, state...)
}
