package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"entry/bastion/identity"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := OpenSQLite(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Whatever a test did, the file is of one time; some tests have closed it already.
		if err := s.snapshot(context.Background(), func(tx *sql.Tx) error { return unmixed(context.Background(), tx) }); errors.Is(err, ErrMixed) {
			t.Error(err)
		}
		_ = s.Close()
	})
	return s
}

func TestSQLiteConforms(t *testing.T) {
	handles := func(t *testing.T, n int) []identity.Store {
		path := filepath.Join(t.TempDir(), "entry.db")
		var all []identity.Store
		for range n {
			all = append(all, open(t, path))
		}
		return all
	}
	conformance(t, handles)
	feedConformance(t, handles)
}

func TestPragmasHold(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "entry.db"))
	for name, db := range map[string]*sql.DB{"write": s.write, "read": s.read} {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
			var got string
			if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %q, %v", name, pragma, got, err)
			}
		}
	}
	if _, err := s.read.Exec("DELETE FROM accounts"); err == nil {
		t.Error("a reading connection can write")
	}
}

func TestFileIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd name ?%41#&_txlock=x")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "entry.db")
	s := open(t, path)
	if err := s.Create(t.Context(), full("alice")); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("%v %v", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f.Name(), info.Mode(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSQLite(path, nil); err == nil || !strings.Contains(err.Error(), "others may read it (mode 0640): chmod 600 it") {
		t.Errorf("readable by the group: %v", err)
	}
	if _, err := OpenSQLite(dir, nil); err == nil {
		t.Error("a directory was opened")
	}
	if _, err := OpenSQLite(filepath.Join(dir, "missing", "entry.db"), nil); err == nil {
		t.Error("a missing directory was made")
	}
}

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSQLite(path, nil); err == nil {
		t.Error("opened")
	}
}

func TestReopenKeepsState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry.db")
	s := open(t, path)
	if err := s.Create(t.Context(), full("alice")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path).Account(t.Context(), "alice"); err != nil {
		t.Error(err)
	}
}

func migrationsOf(t *testing.T, files map[string]string) []migration {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys["m/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	all, err := readMigrations(fsys, "m")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMigrations(t *testing.T) {
	const first, second = "CREATE TABLE a (x INTEGER) STRICT;", "CREATE TABLE b (y INTEGER) STRICT; INSERT INTO b VALUES (1);"
	old := migrationsOf(t, map[string]string{"0001_a.sql": first})
	both := migrationsOf(t, map[string]string{"0001_a.sql": first, "0002_b.sql": second})
	changed := migrationsOf(t, map[string]string{"0001_a.sql": first + " "})
	broken := migrationsOf(t, map[string]string{"0001_a.sql": first, "0002_b.sql": second + "SYNTAX;"})
	path := filepath.Join(t.TempDir(), "entry.db")
	try := func(all []migration) error {
		s, err := openSQLite(path, all, busyWait, time.Now)
		if err == nil {
			err = s.Close()
		}
		return err
	}
	if err := try(old); err != nil {
		t.Fatal(err)
	}
	if err := try(broken); err == nil || !strings.Contains(err.Error(), "0002_b.sql") {
		t.Errorf("broken: %v", err)
	}
	if err := try(old); err != nil {
		t.Errorf("after a broken one: %v", err)
	}
	for range 2 {
		if err := try(both); err != nil {
			t.Fatal(err)
		}
	}
	if err := try(old); !errors.Is(err, errNewerSchema) || !strings.Contains(err.Error(), "has schema 2 (0002_b.sql), this entry knows up to 1: start the entry that wrote it") {
		t.Errorf("newer: %v", err)
	}
	if err := try(changed); !errors.Is(err, errOtherSchema) || !strings.Contains(err.Error(), "made with another 0001_a.sql") {
		t.Errorf("changed: %v", err)
	}
}

// TestKeysFromBeforeSuspension: a database of the schema before keys could be
// suspended has all of them in use.
func TestKeysFromBeforeSuspension(t *testing.T) {
	all, err := readMigrations(embedded, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "entry.db")
	old, err := openSQLite(path, all[:5], busyWait, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		`INSERT INTO accounts (id, name, generation, epoch, disabled, passphrase, passphrase_set, temporary_until, created, last_login) VALUES ('a', 'alice', 1, 0, 0, '', 0, 0, 0, 0)`,
		`INSERT INTO public_keys (account, fingerprint, line, comment, added) VALUES ('a', 'SHA256:x', 'ssh-ed25519 AAAA', '', 1)`,
	} {
		if _, err := old.write.ExecContext(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := open(t, path).Account(t.Context(), "alice")
	if err != nil || len(a.Keys) != 1 || !a.Keys[0].Suspended.IsZero() {
		t.Errorf("%+v %v", a, err)
	}
}

func TestMigrationNames(t *testing.T) {
	for _, name := range []string{"1_a.sql", "0002_a.sql", "0000_a.sql", "a.sql", "0001.sql"} {
		if _, err := readMigrations(fstest.MapFS{"m/" + name: &fstest.MapFile{}}, "m"); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestProcessesStartTogether opens a fresh file from many sides at once: one
// migrates, the others find it done.
func TestProcessesStartTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := OpenSQLite(path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestOpenBesideWriter: a fresh file that another program writes to can't be
// switched to WAL, which SQLite says at once. Opening waits for it, and gives up
// in time.
func TestOpenBesideWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry.db")
	all, err := readMigrations(embedded, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := prepareFile(path); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := openSQLite(path, all, time.Minute, time.Now)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	if _, err := openSQLite(path, all, 50*time.Millisecond, time.Now); !isBusy(err) {
		t.Errorf("beside a writer: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("after the writer: %v", err)
	}
}

func TestClosedAndLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry.db")
	all, err := readMigrations(embedded, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	s, err := openSQLite(path, all, 10*time.Millisecond, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), full("alice")); err != nil {
		t.Fatal(err)
	}
	other := open(t, path)
	tx, err := other.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	calls := func() map[string]error {
		ctx := context.Background()
		_, errAccount := s.Account(ctx, "alice")
		_, errAccounts := s.Accounts(ctx)
		_, errSave := s.Save(ctx, full("alice"))
		_, errStep := s.SpendStep(ctx, "id-alice-d1", 99, day)
		_, errCode := s.SpendRecovery(ctx, "id-alice", [32]byte{7}, day)
		errCount := s.CountFailures(ctx, "id-alice", day, func([]identity.Tally) bool { return true })
		_, errLogins := s.LastLogins(ctx, "id-alice")
		_, errTallies := s.Tallies(ctx, identity.TallyKey{1})
		_, errStanding := s.Standing(ctx, "alice", "SHA256:x")
		_, errChanged := s.Changed(ctx, 0)
		return map[string]error{
			"read LastLogins": errLogins, "read Tallies": errTallies, "read Standing": errStanding, "read Changed": errChanged, "LowerSteps": s.LowerSteps(ctx, "id-alice", 1),
			"Forget": s.Forget(ctx, "id-alice", ""), "Count": s.Count(ctx, day, func([]identity.Tally) bool { return true }, identity.TallyKey{1}),
			"RecordRemembered": s.RecordRemembered(ctx, "id-alice", 1, identity.LoginInfo{At: day}, identity.Remembrance{}),
			"read Account":     errAccount, "read Accounts": errAccounts,
			"Create": s.Create(ctx, full("bob")), "Save": errSave, "Delete": s.Delete(ctx, "id-alice", 1),
			"SpendStep": errStep, "SpendRecovery": errCode, "CountFailures": errCount,
			"RecordLogin": s.RecordLogin(ctx, "id-alice", 1, identity.LoginInfo{At: day}, nil), "ClearFailures": s.ClearFailures(ctx, "id-alice"),
		}
	}
	answered := func(err error) bool {
		return err == nil || errors.Is(err, identity.ErrNoAccount) || errors.Is(err, identity.ErrChanged) || errors.Is(err, identity.ErrExists)
	}
	for name, err := range calls() {
		if reads := strings.HasPrefix(name, "read "); reads != answered(err) {
			t.Errorf("another process writes; %s: %v", name, err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range calls() {
		if answered(err) {
			t.Errorf("closed; %s: %v", name, err)
		}
	}
}
