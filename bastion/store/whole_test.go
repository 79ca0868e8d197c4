package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/e2e/testkit"
)

// says is what a database says of accounts and logs.
type says struct {
	accounts  []identity.Account
	positions map[string]audit.Position
}

func (s *Store) says(t *testing.T, nodes ...string) says {
	t.Helper()
	out := says{accounts: testkit.Must(s.Accounts(t.Context()))(t), positions: map[string]audit.Position{}}
	testkit.Check(t, s.snapshot(t.Context(), func(tx *sql.Tx) error {
		for _, n := range nodes {
			p, _, err := readPosition(t.Context(), tx, n)
			if err != nil {
				return err
			}
			out.positions[n] = p.Position
		}
		return nil
	}))
	return out
}

// An older main file beside a newer write-ahead log, and the reverse, is refused and
// left as it is: the log's position would vouch for accounts of before it.
func TestMainFileAndLogOfDifferentTimes(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	n := newNode(t, db)
	n.enrolledAccount()
	testkit.Must(n.auth.AddUser(t.Context(), "bob"))(t)
	n.keep()
	testkit.Must(n.auth.AddUser(t.Context(), "carol"))(t)
	copyDB(t, db, db+".crashed") // with its write-ahead log
	n.kill()
	testkit.Check(t, n.open())
	testkit.Check(t, n.auth.Disable(t.Context(), "alice"))
	n.kill()
	testkit.Check(t, n.open())
	testkit.Check(t, n.log.Append(t.Context(), audit.Event{Type: audit.LoginFailed}))
	testkit.Check(t, n.store.NotePosition(t.Context(), n.log.Position(), n.log.Position().Size, time.Now()))
	copyDB(t, db, db+".new")
	n.kill()
	for _, tt := range []struct{ main, wal string }{{".old", ".new"}, {".new", ".crashed"}} {
		copyDB(t, db+tt.main, db)
		testkit.Check(t, os.WriteFile(db+"-wal", testkit.Must(os.ReadFile(db+tt.wal+"-wal"))(t), 0o600))
		_ = os.Remove(db + "-shm")
		before := [2][]byte{testkit.Must(os.ReadFile(db))(t), testkit.Must(os.ReadFile(db + "-wal"))(t)}
		if _, err := OpenSQLite(db, nil); !errors.Is(err, ErrMixed) {
			t.Errorf("%s beside the log of %s: %v", tt.main, tt.wal, err)
		}
		if _, err := Look(t.Context(), db); !errors.Is(err, ErrMixed) {
			t.Errorf("looked at, %s beside the log of %s: %v", tt.main, tt.wal, err)
		}
		if now := [2][]byte{testkit.Must(os.ReadFile(db))(t), testkit.Must(os.ReadFile(db + "-wal"))(t)}; !reflect.DeepEqual(now, before) {
			t.Errorf("%s beside the log of %s was changed", tt.main, tt.wal)
		}
	}
	// What belongs together is taken, after a crash too.
	for _, whole := range []string{".old", ".new", ".crashed"} {
		copyDB(t, db+whole, db)
		_ = os.Remove(db + "-shm")
		s, err := OpenSQLite(db, nil)
		if err != nil {
			t.Errorf("%s: %v", whole, err)
			continue
		}
		testkit.Check(t, s.Close())
	}
}

// Whatever pages of two times a file has, it is refused, or says what it said at one
// of them.
func TestPagesOfDifferentTimes(t *testing.T) {
	const page = 4096
	db := filepath.Join(t.TempDir(), "entry.db")
	n := newNode(t, db)
	n.enrolledAccount()
	for i := range 40 {
		testkit.Must(n.auth.AddUser(t.Context(), fmt.Sprintf("u%02d", i)))(t)
	}
	n.kill()
	copyDB(t, db, db+".0")
	testkit.Check(t, n.open())
	testkit.Check(t, n.auth.Disable(t.Context(), "alice"))
	testkit.Check(t, n.auth.Disable(t.Context(), "u07"))
	testkit.Check(t, n.auth.Remove(t.Context(), "u31"))
	testkit.Must(n.auth.AddUser(t.Context(), "zoe"))(t)
	node := n.log.Name()
	n.kill()
	copyDB(t, db, db+".1")
	var pages [2][][]byte
	var said [2]says
	for i := range pages {
		pages[i] = slices.Collect(slices.Chunk(testkit.Must(os.ReadFile(fmt.Sprintf("%s.%d", db, i)))(t), page))
		s := open(t, fmt.Sprintf("%s.%d", db, i))
		said[i] = s.says(t, node)
		testkit.Check(t, s.Close())
	}
	var differ []int
	for i := range min(len(pages[0]), len(pages[1])) {
		if !bytes.Equal(pages[0][i], pages[1][i]) {
			differ = append(differ, i)
		}
	}
	if len(differ) < 4 {
		t.Fatalf("only the pages %v differ", differ)
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused, passed := 0, 0
	for range testkit.Long(100, 2000) {
		base := random.IntN(2)
		file := slices.Clone(pages[base])
		for _, i := range differ {
			if random.IntN(8) == 0 {
				file[i] = pages[1-base][i]
			}
		}
		for _, end := range []string{"-wal", "-shm"} {
			_ = os.Remove(db + end)
		}
		testkit.Check(t, os.WriteFile(db, bytes.Join(file, nil), 0o600))
		s, err := OpenSQLite(db, nil)
		if errors.Is(err, ErrMixed) {
			refused++
			continue
		}
		testkit.Check(t, err)
		if got := s.says(t, node); !reflect.DeepEqual(got, said[0]) && !reflect.DeepEqual(got, said[1]) {
			t.Errorf("a file of both times was taken: %+v", got)
		}
		passed++
		testkit.Check(t, s.Close())
	}
	if refused == 0 || passed == 0 {
		t.Errorf("%d pages differ; %d mixtures were refused, %d taken", len(differ), refused, passed)
	}
}
