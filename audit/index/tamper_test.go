//go:build linux

package index

import (
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"entry/audit"
	"entry/e2e/testkit"
)

// file is the database of the place's index.
func (p *place) file() string {
	p.t.Helper()
	all := testkit.Must(filepath.Glob(filepath.Join(p.folder, "*.db")))(p.t)
	if len(all) != 1 {
		p.t.Fatal(all)
	}
	return all[0]
}

// Whatever is done to the database, a search tells what the log says, and the next one has
// an index again.
func TestTamperedIndex(t *testing.T) {
	rows := func(statements ...string) func(*place) {
		return func(p *place) {
			db := testkit.Must(sql.Open("sqlite", p.file()))(p.t)
			for _, s := range statements {
				done := testkit.Must(db.Exec(s))(p.t)
				if n, err := done.RowsAffected(); err != nil || n == 0 && (strings.HasPrefix(s, "UPDATE") || strings.HasPrefix(s, "DELETE") || strings.HasPrefix(s, "INSERT")) {
					p.t.Errorf("%s: %d rows, %v", s, n, err)
				}
			}
			testkit.Check(p.t, db.Close())
		}
	}
	write := func(change func([]byte) []byte) func(*place) {
		return func(p *place) {
			b := testkit.Must(os.ReadFile(p.file()))(p.t)
			testkit.Check(p.t, os.WriteFile(p.file(), change(b), 0o600))
		}
	}
	log := newPlace(t, 5)
	log.settle()
	for name, c := range map[string]struct {
		do   func(*place)
		told bool // that it was damaged
	}{
		"buckets removed":       {rows("DELETE FROM part WHERE number < 64"), true},
		"some buckets removed":  {rows("DELETE FROM part WHERE number BETWEEN 4 AND 63"), true},
		"blocks removed":        {rows("DELETE FROM part WHERE number = 64"), true},
		"buckets emptied":       {rows("UPDATE part SET data = x'' WHERE number < 64 AND length(data) > 0"), true},
		"buckets changed":       {rows("UPDATE part SET data = CAST(substr(data, 1, length(data) - 1) || 'x' AS BLOB) WHERE number < 64 AND length(data) > 0"), true},
		"buckets swapped":       {rows("UPDATE part SET number = -1 - number WHERE number < 64", "UPDATE part SET number = 64 + number WHERE number < 0"), true},
		"chunks swapped":        {rows("CREATE TEMP TABLE o AS SELECT number, first, data, seal FROM part", "UPDATE part SET (data, seal) = (SELECT o.data, o.seal FROM o WHERE o.number = part.number AND o.first <> part.first LIMIT 1)"), true},
		"seals changed":         {rows("UPDATE part SET seal = x'00'"), true},
		"spans removed":         {rows("DELETE FROM span"), false},
		"a span removed":        {rows("DELETE FROM span WHERE first = (SELECT min(first) FROM span)"), false},
		"spans longer":          {rows("UPDATE span SET end = end + 1"), true},
		"times changed":         {rows("UPDATE span SET since = 0, until = 1"), true},
		"sums changed":          {rows("UPDATE span SET sum = zeroblob(32)"), true},
		"spans' seals":          {rows("UPDATE span SET seal = zeroblob(16)"), true},
		"segment covered twice": {rows("UPDATE span SET segment = 1"), true},
		"a negative span":       {rows("UPDATE span SET end = -end"), true},
		"added":                 {rows("INSERT INTO span SELECT 9000000, 9000001, segment, start, stop, since, until, sum, seal FROM span LIMIT 1"), true},
		"files removed":         {rows("DELETE FROM file"), false},
		"states changed":        {rows("UPDATE file SET state = x'', seal = zeroblob(16)"), false},
		"no table":              {rows("DROP TABLE part"), true},
		"another version":       {rows("PRAGMA user_version = 7"), false},
		"noise":                 {write(func(b []byte) []byte { return []byte(strings.Repeat("noise", len(b)/5)) }), true},
		"empty":                 {write(func([]byte) []byte { return nil }), false},
		"cut":                   {write(func(b []byte) []byte { return b[:len(b)/2] }), true},
		"zeros at the end":      {write(func(b []byte) []byte { clear(b[len(b)/4:]); return b }), true},
		"key replaced":          {func(p *place) { testkit.WriteFile(p.t, filepath.Join(p.folder, "key"), strings.Repeat("k", 32)) }, true},
		"key cut":               {func(p *place) { testkit.WriteFile(p.t, filepath.Join(p.folder, "key"), "k") }, true},
		"key removed":           {func(p *place) { testkit.Check(p.t, os.Remove(filepath.Join(p.folder, "key"))) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := *log
			p.t, p.folder = t, filepath.Join(t.TempDir(), "index")
			x := p.index()
			p.warm(x)
			testkit.Check(t, x.Close())
			c.do(&p)
			x = p.index()
			for _, q := range []audit.Query{{User: "alice"}, {User: "bob", Type: "session"}, {Target: "home"}, {IDStart: "01JR000000"}, {Since: p.clock.Peek().AddDate(0, 0, -1)}} {
				p.same(name, x, q)
			}
			if note := x.Note(); (note != "") != c.told {
				t.Errorf("it says %q", note)
			}
			testkit.Check(t, x.Close())
			x = p.index()
			p.same("mended", x, audit.Query{User: "alice"})
			testkit.Check(t, x.Close())
			x = p.index()
			p.warm(x)
			if note := x.Note(); note != "" {
				t.Errorf("once it was made anew it says %q", note)
			}
		})
	}
}

// An index that came with another log's name, or from somebody else's folder, is none.
func TestForeignIndex(t *testing.T) {
	p, other := newPlace(t, 6), newPlace(t, 7)
	p.settle()
	other.settle()
	for _, p := range []*place{p, other} {
		x := p.index()
		p.warm(x)
		testkit.Check(t, x.Close())
	}
	testkit.Check(t, os.WriteFile(p.file(), []byte(testkit.ReadFile(t, other.file())), 0o600))
	x := p.index()
	p.same("another log's", x, audit.Query{User: "alice"})
	if x.Note() == "" {
		t.Error("nothing is said of it")
	}
	// With the reader's own key, under another log's name.
	theirs := *other
	theirs.folder = p.folder
	before := p.file()
	y := theirs.index()
	theirs.warm(y)
	testkit.Check(t, x.Close())
	testkit.Check(t, y.Close())
	testkit.Check(t, os.WriteFile(before, []byte(testkit.ReadFile(t, filepath.Join(p.folder, filepath.Base(other.file())))), 0o600))
	x = p.index()
	if len(x.spans) > 0 {
		t.Errorf("%d chunks of another log", len(x.spans))
	}
	p.same("another log's", x, audit.Query{User: "alice"})
	if x.Note() == "" {
		t.Error("nothing is said of it")
	}
}

// What lies in the folder names nobody, and is for nobody else.
func TestNamesNobody(t *testing.T) {
	p := newPlace(t, 8)
	x := p.index()
	p.warm(x)
	for _, f := range testkit.Must(filepath.Glob(filepath.Join(p.folder, "*")))(t) {
		info := testkit.Must(os.Stat(f))(t)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", f, info.Mode())
		}
		text := testkit.ReadFile(t, f)
		for _, word := range []string{"alice", "tinker", "01JR", "01JQ", "192.0.2", "K7Q2", "hmac:aa", "login"} {
			if strings.Contains(text, word) {
				t.Errorf("%s has %q", f, word)
			}
		}
	}
	if mode := testkit.Must(os.Stat(p.folder))(t).Mode().Perm(); mode != 0o700 {
		t.Errorf("the folder: %v", mode)
	}
}

// Where somebody else could put an index no index is.
func TestOwnFolder(t *testing.T) {
	p := newPlace(t, 9)
	open := func(folder string) error {
		x, err := Open(p.dir, Options{Folder: folder})
		if err == nil {
			err = x.Close()
		}
		return err
	}
	top := t.TempDir()
	wide := filepath.Join(top, "wide")
	testkit.Check(t, os.Mkdir(wide, 0o700))
	testkit.Check(t, os.Chmod(wide, 0o777))
	for _, folder := range []string{wide, filepath.Join(wide, "index")} {
		if err := open(folder); err == nil || !strings.Contains(err.Error(), "others may write in") {
			t.Errorf("%s: %v", folder, err)
		}
	}
	if os.Geteuid() == 0 {
		theirs := filepath.Join(top, "theirs")
		testkit.Check(t, os.Mkdir(theirs, 0o700))
		testkit.Check(t, os.Chown(theirs, 12345, 12345))
		testkit.Check(t, os.Symlink(theirs, filepath.Join(top, "link")))
		for _, folder := range []string{theirs, filepath.Join(theirs, "index"), filepath.Join(top, "link")} {
			if err := open(folder); err == nil || !strings.Contains(err.Error(), "somebody else's") {
				t.Errorf("%s: %v", folder, err)
			}
		}
	}
	testkit.WriteFile(t, filepath.Join(top, "file"), "")
	if err := open(filepath.Join(top, "file")); err == nil {
		t.Error("a file was taken for a folder")
	}
	if err := open(filepath.Join(top, "mine")); err != nil {
		t.Error(err)
	}
}

// Several who search at once build one index, and each is told all.
func TestTwoBuilders(t *testing.T) {
	p := newPlace(t, 10)
	p.write(600)
	q := audit.Query{User: "alice"}
	want := strings.Join(p.found(q, nil), "\n")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 3 {
				x, err := Open(p.dir, Options{Folder: p.folder})
				if err != nil {
					t.Error(err)
					return
				}
				x.most = p.most
				if got := strings.Join(p.found(q, x), "\n"); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
				if note := x.Note(); note != "" {
					t.Error(note)
				}
				if err := x.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if left := testkit.Must(filepath.Glob(filepath.Join(p.folder, "key-*")))(t); len(left) > 0 {
		t.Error(left)
	}
}

// builder names the variable that turns this test binary into one who searches.
const builder = "ENTRY_INDEX_TEST_BUILDER"

// TestBuilderHelper isn't a test: TestKilledBuilder runs it as a process to kill.
func TestBuilderHelper(t *testing.T) {
	dir, folder, ok := strings.Cut(os.Getenv(builder), "\n")
	if !ok {
		return
	}
	x, err := Open(dir, Options{Folder: folder})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	x.most = 8
	for e := range audit.Search(dir, audit.Query{Type: "login"}, x) {
		fmt.Println(e.Seq)
	}
	select {} // until it is killed
}

// Whenever a builder is killed, what it leaves is of use or isn't used.
func TestKilledBuilder(t *testing.T) {
	p := newPlace(t, 11)
	p.write(300)
	hits := len(p.found(audit.Query{Type: "login"}, nil))
	for range testkit.Long(4, 200) {
		p.folder = filepath.Join(t.TempDir(), "index")
		cmd := exec.Command(os.Args[0], "-test.run=^TestBuilderHelper$")
		cmd.Env = append(os.Environ(), builder+"="+p.dir+"\n"+p.folder)
		out := testkit.Must(cmd.StdoutPipe())(t)
		testkit.Check(t, cmd.Start())
		for range 1 + p.r.IntN(hits) {
			if _, err := fmt.Fscanln(out, new(int)); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Check(t, cmd.Process.Kill())
		_, _ = io.Copy(io.Discard, out) // until it is gone
		_ = cmd.Wait()                  // killed
		x := p.index()
		kept := len(x.spans)
		for range 5 {
			p.same(fmt.Sprintf("after a kill that left %d chunks", kept), x, p.query())
		}
		p.warm(x)
		if note := x.Note(); note != "" {
			t.Error(note)
		}
		testkit.Check(t, x.Close())
	}
}

// Who stops reading leaves what was learnt so far.
func TestStoppedSearch(t *testing.T) {
	p := newPlace(t, 12)
	x := p.index()
	for range audit.Search(p.dir, audit.Query{User: "alice"}, x) {
		break
	}
	for stop := range 20 {
		n := 0
		for range audit.Search(p.dir, audit.Query{User: "alice"}, x) {
			if n++; n > stop {
				break
			}
		}
		p.same("stopped", x, p.query())
	}
}
