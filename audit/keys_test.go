//go:build linux

package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entry/e2e/testkit"
)

// nextKey is another key of the log's origin.
func nextKey(tb testing.TB) (signer, verifier string) {
	tb.Helper()
	signer, verifier, err := GenerateKey("entry.test")
	if err != nil {
		tb.Fatal(err)
	}
	return signer, verifier
}

// rekey changes the log's key, and the place's with it.
func (p *place) rekey(tb testing.TB, l *Log) {
	tb.Helper()
	s, v := nextKey(tb)
	if err := l.ChangeKey(tb.Context(), Options{Key: s}, Event{Actor: &Actor{UID: 7, Name: "carol"}, Detail: "yearly"}); err != nil {
		tb.Fatal(err)
	}
	p.signer, p.verifier = s, v
}

// TestChangeKey: a log changes its key twice, within segments and at the beginning of one.
// Whoever knows one of its keys, from whatever time, verifies all of it; its name stays.
func TestChangeKey(t *testing.T) {
	p := newPlace(t)
	p.segment = 2048
	keys := []string{p.verifier}
	l := p.open(t)
	name := l.Name()
	write := func() {
		for range 8 {
			mustAppend(t, l, Event{Type: LoginSucceeded, User: "alice", Source: "192.0.2.7:50122"})
		}
	}
	write()
	older := p.read(t, checkpointName)
	p.rekey(t, l)
	keys = append(keys, p.verifier)
	write()
	p.clock.Advance(24 * time.Hour) // the change is behind the first record of a segment
	p.rekey(t, l)
	keys = append(keys, p.verifier)
	if head, err := l.Head(); err != nil || head.Size != 18+uint64(len(testkit.Must(filepath.Glob(p.path("events-*")))(t))) {
		t.Errorf("head of %d records, %v", head.Size, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = p.open(t)
	write()
	if l.Name() != name || l.KeyName() == name {
		t.Errorf("called %s with the key %s, was %s", l.Name(), l.KeyName(), name)
	}
	_ = l.Close()
	for i, key := range keys {
		q := *p
		q.verifier = key
		for what, verify := range map[string]func() (Report, error){"all": q.verify, "since": func() (Report, error) { return q.verifySince(older) }} {
			rep, err := verify()
			if err != nil || len(rep.Keys) != 2 || rep.Keys[0].From != keys[0] || rep.Keys[1].To != keys[2] || rep.Witnessed != rep.Events {
				t.Errorf("key %d, %s: %+v, %v", i, what, rep, err)
			}
		}
		if _, err := ReadHead(p.dir, key); err != nil {
			t.Errorf("key %d: head: %v", i, err)
		}
	}
	var who []string
	for _, e := range events(t, p.dir) {
		if e.Type == LogKey {
			who = append(who, e.Actor.Name+" "+e.Detail)
		}
	}
	if strings.Join(who, ", ") != "carol yearly, carol yearly" {
		t.Errorf("on record: %q", who)
	}
	_, other := nextKey(t)
	if _, err := (&place{dir: p.dir, verifier: other}).verify(); err == nil || !strings.Contains(err.Error(), "is not signed by the key") {
		t.Errorf("by another key: %v", err)
	}
}

// TestChangeKeyRefused: what can't follow on the key leaves the log as it is.
func TestChangeKeyRefused(t *testing.T) {
	p := newPlace(t)
	first := p.signer
	l := p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted})
	p.rekey(t, l)
	other, _, err := GenerateKey("another.log")
	if err != nil {
		t.Fatal(err)
	}
	for what, key := range map[string]string{"the same": p.signer, "one that it had": first, "another log's": other} {
		if err := l.ChangeKey(t.Context(), Options{Key: key}, Event{}); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := l.ChangeKey(t.Context(), Options{Key: "no key"}, Event{}); err == nil {
		t.Error("no key at all was taken")
	}
	mustAppend(t, l, Event{Type: ServerStopped})
	_ = l.Close()
	if rep, err := p.verify(); err != nil || rep.Events != 3 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestChangeKeyCutOff copies the log as a crash would leave it before each step of a
// change. CurrentKey says which of the two keys is its now; with that it goes on, with the
// other one it isn't opened, and whoever knows the first verifies it.
func TestChangeKeyCutOff(t *testing.T) {
	p := newPlace(t)
	old, public := p.signer, p.verifier
	var copies []string
	armed := false
	snap := func() {
		to := filepath.Join(t.TempDir(), "copy")
		for _, dir := range []string{p.dir, p.witness} {
			if err := os.CopyFS(filepath.Join(to, filepath.Base(dir)), os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
		}
		copies = append(copies, to)
	}
	l, err := open(p.dir, p.options(), watchedDisk{ask: func(step) error {
		if armed {
			snap()
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, Event{Type: ServerStarted}, Event{Type: LoginSucceeded, User: "alice"})
	armed = true
	p.rekey(t, l)
	armed = false
	snap()
	_ = l.Close()
	states := map[string]int{}
	for i, at := range copies {
		q := *p
		q.dir, q.witness = filepath.Join(at, "audit"), filepath.Join(at, "witness")
		now, err := CurrentKey(q.dir, public)
		if err != nil {
			t.Fatalf("copy %d: %v", i, err)
		}
		right, wrong := old, p.signer
		if now != public {
			right, wrong = wrong, right
		}
		states[now]++
		if q.verifier = public; testkit.Must(q.verify())(t).Events < 2 {
			t.Errorf("copy %d: records are gone", i)
		}
		q.signer = wrong
		if _, err := Open(q.dir, q.options()); err == nil {
			t.Fatalf("copy %d: opened with the wrong key", i)
		}
		q.signer = right
		again := q.open(t)
		mustAppend(t, again, Event{Type: LoginSucceeded, User: "bob"})
		if now == public { // it is done again
			q.rekey(t, again)
		}
		_ = again.Close()
		q.verifier = public
		if rep, err := q.verify(); err != nil || len(rep.Keys) != 1 {
			t.Errorf("copy %d: %+v, %v", i, rep, err)
		}
	}
	if len(states) != 2 || len(copies) < 10 {
		t.Errorf("%d copies, in states %v", len(copies), states)
	}
}

// TestChangeKeyWithoutRoom: a disk that is full at any step leaves the log with its key, and
// it goes on with that; only where the witness alone has no room it has the new one.
func TestChangeKeyWithoutRoom(t *testing.T) {
	for n := 0; ; n++ {
		p := newPlace(t)
		left, full := 1000, step("")
		l, err := open(p.dir, p.options(), watchedDisk{ask: func(s step) error {
			if left--; left < 0 && full == "" && !strings.HasPrefix(string(s), "sync") {
				full = s
				return syscall.ENOSPC
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, Event{Type: ServerStarted})
		s, v := nextKey(t)
		left = n
		err = l.ChangeKey(t.Context(), Options{Key: s}, Event{})
		left = 1000
		if full != "" && !errors.Is(err, ErrFull) || full == "" && err != nil {
			t.Fatalf("full at %q: %v", full, err)
		}
		mustAppend(t, l, Event{Type: ServerStopped})
		_ = l.Close()
		rep, verr := p.verify()
		if changed := full == "" || full == "write checkpoints"; verr != nil || (len(rep.Keys) == 1) != changed {
			t.Errorf("full at %q: %+v, %v", full, rep, verr)
		} else if changed {
			p.signer, p.verifier = s, v
		}
		_ = p.open(t).Close()
		if full == "" {
			if n < 8 {
				t.Errorf("only %d steps", n)
			}
			return
		}
	}
}

// TestChangeKeyForged: what isn't a change that both keys signed, or a log that goes on with
// the old one, is named.
func TestChangeKeyForged(t *testing.T) {
	type made struct {
		*place
		old, older string // the key before: signing, public
		before     []byte // the log's lines and checkpoint as they were then
		signed     []byte
	}
	with := func(t *testing.T) made {
		p := newPlace(t)
		m := made{place: p, old: p.signer, older: p.verifier}
		p.fill(t, 3)
		m.before, m.signed = p.read(t, eventsName), p.read(t, checkpointName)
		l := p.open(t)
		p.rekey(t, l)
		mustAppend(t, l, Event{Type: LoginSucceeded, User: "alice"})
		_ = l.Close()
		return m
	}
	// resign signs the lines that are there.
	resign := func(t *testing.T, p *place, key string) {
		lines := bytes.SplitAfter(p.read(t, eventsName), []byte("\n"))
		var tr tree
		for _, line := range lines[:len(lines)-1] {
			tr.add(tlog.RecordHash(bytes.TrimSuffix(line, []byte("\n"))), func(tlog.Hash) {})
		}
		p.write(t, checkpointName, testkit.Must(checkpoint{tr.size, tr.root()}.sign(testkit.Must(note.NewSigner(key))(t)))(t))
		_ = os.Remove(p.path(hashesName))
	}
	// appended adds a record of a change by hand, and signs with the key that the log has.
	appended := func(t *testing.T, r *Rekey) made {
		p := newPlace(t)
		p.fill(t, 3)
		l := p.open(t)
		mustAppend(t, l, Event{Type: LogKey, Rekey: r}, Event{Type: LoginSucceeded})
		_ = l.Close()
		return made{place: p, older: p.verifier}
	}
	for name, c := range map[string]struct {
		make func(t *testing.T) made
		want string // by who knows the first key
	}{
		"as it is": {with, ""},
		"signed by the new key alone": {func(t *testing.T) made {
			p := newPlace(t)
			p.fill(t, 3)
			s, v := nextKey(t)
			signer, own := testkit.Must(note.NewSigner(s))(t), p.verifier
			c := testkit.Must(ReadHead(p.dir, own))(t)
			text := checkpoint{c.Size, c.Root}.change("entry.test", own, v)
			half := testkit.Must(note.Sign(&note.Note{Text: text}, signer))(t)
			lines := strings.Split(strings.TrimSpace(string(half)), "\n")
			sig := strings.TrimPrefix(lines[len(lines)-1], "— entry.test ")
			l := p.open(t)
			mustAppend(t, l, Event{Type: LogKey, Rekey: &Rekey{From: own, To: v, Root: strings.Split(text, "\n")[3], Old: sig, New: sig}})
			_ = l.Close()
			return made{place: p, older: own}
		}, "events.jsonl line 4 (seq 4) changes the log's key, and isn't signed by both, the one before and the new one"},
		"signed by the old key alone": {func(t *testing.T) made {
			p := newPlace(t)
			p.fill(t, 3)
			_, v := nextKey(t)
			c := testkit.Must(ReadHead(p.dir, p.verifier))(t)
			text := checkpoint{c.Size, c.Root}.change("entry.test", p.verifier, v)
			half := testkit.Must(note.Sign(&note.Note{Text: text}, testkit.Must(note.NewSigner(p.signer))(t)))(t)
			lines := strings.Split(strings.TrimSpace(string(half)), "\n")
			sig := strings.TrimPrefix(lines[len(lines)-1], "— entry.test ")
			l := p.open(t)
			mustAppend(t, l, Event{Type: LogKey, Rekey: &Rekey{From: p.verifier, To: v, Root: strings.Split(text, "\n")[3], Old: sig, New: sig}})
			_ = l.Close()
			return made{place: p, older: p.verifier}
		}, "line 4 (seq 4) changes the log's key, and isn't signed by both"},
		"it doesn't say how": {func(t *testing.T) made { return appended(t, nil) }, "line 4 (seq 4) changes the log's key, and doesn't say how"},
		"copied from another history": {func(t *testing.T) made {
			m := with(t)
			r := events(t, m.dir)[3].Rekey
			q := newPlace(t)
			q.signer, q.verifier = m.old, m.older
			l := q.open(t)
			for range 3 {
				mustAppend(t, l, Event{Type: LoginSucceeded, User: "another"})
			}
			mustAppend(t, l, Event{Type: LogKey, Rekey: r})
			_ = l.Close()
			q.write(t, keysName, m.read(t, keysName))
			resign(t, q, m.signer)
			q.witness = ""
			return made{place: q, older: m.older}
		}, "changes the log's key after other records than those that stand before it"},
		"signed by the old key again": {func(t *testing.T) made {
			m := with(t)
			resign(t, m.place, m.old)
			m.witness = ""
			return m
		}, "which the log has changed after record 3: whoever still has that key wrote it"},
		"likewise, without the file": {func(t *testing.T) made {
			m := with(t)
			resign(t, m.place, m.old)
			m.witness = ""
			_ = os.Remove(m.path(keysName))
			return m
		}, "line 4 (seq 4) changed the log's key to entry.test+"},
		"put back, and gone on with the old key": {func(t *testing.T) made {
			m := with(t)
			m.write(t, eventsName, m.before)
			m.write(t, checkpointName, m.signed)
			_ = os.Remove(m.path(hashesName))
			_ = os.Remove(m.path(keysName))
			q := *m.place
			q.witness, q.signer, q.verifier = "", m.old, m.older
			l := q.open(t)
			for range 3 {
				mustAppend(t, l, Event{Type: LoginSucceeded, User: "mallory"})
			}
			_ = l.Close()
			return m
		}, "witness checkpoint 5 is not signed by the key"},
		"likewise, and the file left": {func(t *testing.T) made {
			m := with(t)
			keys := m.read(t, keysName)
			m.write(t, eventsName, m.before)
			m.write(t, checkpointName, m.signed)
			_ = os.Remove(m.path(hashesName))
			_ = os.Remove(m.path(keysName))
			q := *m.place
			q.witness, q.signer, q.verifier = "", m.old, m.older
			l := q.open(t)
			mustAppend(t, l, Event{Type: LoginSucceeded, User: "mallory"})
			_ = l.Close()
			m.witness = ""
			m.write(t, keysName, keys)
			return m
		}, "which the log has changed after record 3"},
		"put back before the change": {func(t *testing.T) made {
			m := with(t)
			lines := bytes.SplitAfter(m.before, []byte("\n"))
			m.write(t, eventsName, bytes.Join(lines[:2], nil))
			resign(t, m.place, m.old)
			m.witness = ""
			return m
		}, "line 3 is missing: the log was put back to an older state, its key was changed after record 3"},
		"the file is gone": {func(t *testing.T) made {
			m := with(t)
			_ = os.Remove(m.path(keysName))
			return m
		}, "the file keys isn't there, or lacks a change of the log's key"},
		"the file is noise": {func(t *testing.T) made {
			m := with(t)
			m.write(t, keysName, bytes.Repeat([]byte("x\n"), 9))
			return m
		}, "the file keys aren't those that were signed"},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.make(t)
			m.verifier = m.older
			_, err := m.verify()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			var bad *BadRecord
			if c.want != "" && !errors.As(err, &bad) {
				t.Errorf("not a BadRecord: %v", err)
			}
		})
	}
}

// TestKeysFileIsRemade: a start makes the file of changes anew out of the records, where it
// is gone or damaged; where it lacks some, the database tells.
func TestKeysFileIsRemade(t *testing.T) {
	p := newPlace(t)
	first := p.verifier
	l := p.open(t)
	name := l.Name()
	mustAppend(t, l, Event{Type: ServerStarted})
	p.rekey(t, l)
	_ = l.Close()
	want := p.read(t, keysName)
	renamed := func(asked string) (bool, error) { return asked != name, nil }
	for what, text := range map[string][]byte{"gone": nil, "empty": {}, "noise": []byte("x")} {
		if p.write(t, keysName, text); text == nil {
			_ = os.Remove(p.path(keysName))
		}
		o := p.options()
		o.Renamed = renamed
		l, err := Open(p.dir, o)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if l.Name() != name {
			t.Errorf("%s: called %s, was %s", what, l.Name(), name)
		}
		_ = l.Close()
		if got := p.read(t, keysName); !bytes.Equal(got, want) {
			t.Errorf("%s: the file is %q", what, got)
		}
	}
	q := *p
	q.verifier = first
	if _, err := q.verify(); err != nil {
		t.Error(err)
	}
}
