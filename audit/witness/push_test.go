//go:build linux

package witness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	format "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entry/audit"
	"entry/configs"
	"entry/e2e/testkit"
)

// wire reaches a handler in memory, or nobody.
type wire struct {
	h     http.Handler
	down  atomic.Bool
	asked atomic.Int64
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked.Add(1)
	if w.down.Load() {
		return nil, errors.New("no route to host")
	}
	rec := httptest.NewRecorder()
	r.RemoteAddr = "192.0.2.7:4711"
	w.h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// pushed is a log with witnesses that are pushed to.
type pushed struct {
	t       testing.TB
	dir     string // of the log
	signer  string
	public  string
	log     *audit.Log
	wires   []*wire
	keys    []note.Verifier
	witness []*Witness
	told    []string
	p       *Pusher
}

func newPushed(t testing.TB, witnesses int) *pushed {
	s := &pushed{t: t, dir: filepath.Join(t.TempDir(), "audit")}
	var err error
	s.signer, s.public, err = audit.GenerateKey("a.example/log")
	testkit.Check(t, err)
	for i := range witnesses {
		dir := filepath.Join(t.TempDir(), "witness")
		testkit.Must(Init(dir, fmt.Sprint("w", i+1, ".example")))(t)
		testkit.WriteFile(t, filepath.Join(dir, logsName), s.public)
		w := testkit.Must(Open(dir))(t)
		t.Cleanup(func() { testkit.Check(t, w.Close()) })
		s.witness = append(s.witness, w)
		s.wires = append(s.wires, &wire{h: w.Handler(nil)})
		s.keys = append(s.keys, testkit.Must(format.NewVerifierForCosignatureV1(w.PublicKey()))(t))
	}
	s.open()
	return s
}

func (s *pushed) open() {
	s.log = testkit.Must(audit.Open(s.dir, audit.Options{Key: s.signer}))(s.t)
	var all []*Peer
	for i, w := range s.wires {
		p := testkit.Must(NewPeer(configs.Witness{URL: "https://w.example", Key: s.witness[i].PublicKey()}))(s.t)
		p.http.Transport = w
		all = append(all, p)
	}
	s.p = testkit.Must(NewPusher(PushOptions{Log: s.log, Dir: s.dir, Peers: all, Need: len(all), Within: 10 * time.Second,
		Told: func(text string, _ error) { s.told = append(s.told, text) }}))(s.t)
}

func (s *pushed) close() {
	s.t.Helper()
	testkit.Check(s.t, errors.Join(s.p.Close(), s.log.Close()))
}

func (s *pushed) append(n int) {
	s.t.Helper()
	for range n {
		testkit.Check(s.t, s.log.Append(s.t.Context(), audit.Event{Type: audit.LoginFailed}))
	}
}

func (s *pushed) alarms() (all []string) {
	for e, err := range audit.Read(s.dir) {
		testkit.Check(s.t, err)
		if e.Type == audit.AlarmWitness {
			all = append(all, e.Reason+": "+e.Detail)
		}
	}
	return all
}

// verify is what entry audit verify does.
func (s *pushed) verify(need int) ([]Reach, error) {
	rep, err := audit.Verify(s.dir, audit.VerifyOptions{PublicKey: s.public})
	if err != nil {
		return nil, err
	}
	return Reached(s.dir, s.public, rep, s.keys, need)
}

// TestAnHourDown: a witness that can't be reached for an hour is an alarm once, is
// asked once a minute at most, holds nothing up, and has all of the log ten seconds
// after it is back. The other one has all of it within ten seconds all the time.
func TestAnHourDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPushed(t, 2)
		defer s.close()
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.p.Run(ctx); close(done) }() // as package group would
		defer func() { end(); <-done }()
		s.append(3)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if r, err := s.verify(2); err != nil || r[0].Size != 3 || r[1].Size != 3 {
			t.Fatalf("ten seconds after: %v, %v", r, err)
		}
		asked := s.wires[1].asked.Load()
		s.wires[1].down.Store(true)
		for range 12 {
			s.append(2)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if r, err := newest(s.dir, "a.example/log", s.keys); err != nil || r[0].Size < s.log.Position().Size-1 {
				t.Fatalf("the other witness: %v of %d, %v", r, s.log.Position().Size, err)
			}
			time.Sleep(290 * time.Second)
		}
		if n := s.wires[1].asked.Load() - asked; n < 55 || n > 75 {
			t.Errorf("asked %d times in an hour", n)
		}
		want := []string{"unreachable: the witness w2.example can't be reached, or doesn't answer as it should"}
		if got := s.alarms(); !slices.Equal(got, want) {
			t.Errorf("alarms while it is down: %q", got)
		}
		if !s.p.Stale() {
			t.Error("nobody minds that one of two vouches for nothing")
		}
		var short *Unwitnessed
		if r, err := s.verify(2); !errors.As(err, &short) || short.Size != 3 || r[1].Size != 3 || r[0].Size < 20 {
			t.Errorf("while it is down: %v, %v", r, err)
		}
		if _, err := s.verify(1); err != nil {
			t.Errorf("one of two is enough: %v", err)
		}
		s.wires[1].down.Store(false)
		time.Sleep(maxPause + 10*time.Second)
		synctest.Wait()
		want = append(want, "well: the witness w2.example cosigns the log again")
		if got := s.alarms(); !slices.Equal(got, want) || len(s.told) != 2 {
			t.Errorf("alarms once it is back: %q, told %q", got, s.told)
		}
		if s.p.Stale() {
			t.Error("stale though all is cosigned")
		}
		size := s.log.Position().Size
		if r, err := s.verify(2); err != nil || r[0].Size != size || r[1].Size != size {
			t.Errorf("once it is back: %v, %v", r, err)
		}
	})
}

// One exchange that fails, as with a witness that is started again, is no alarm.
func TestOneFailureIsNone(t *testing.T) {
	s := newPushed(t, 1)
	defer s.close()
	s.append(1)
	s.wires[0].down.Store(true)
	testkit.Check(t, s.p.Round(t.Context()))
	s.wires[0].down.Store(false)
	testkit.Check(t, s.p.Round(t.Context()))
	if got := s.alarms(); len(got) != 0 || len(s.told) != 0 {
		t.Errorf("alarms %q, told %q", got, s.told)
	}
}

// TestPutBack: a log that was put back with all that is beside it is found out by the
// next round, and so is one that was written anew with the log's own key.
func TestPutBack(t *testing.T) {
	for name, to := range map[string]struct {
		grow   int
		reason string
		want   error
	}{
		"put back":                 {0, "log-behind", ErrBehind},
		"put back, and grown less": {1, "log-behind", ErrBehind},
		"written anew":             {9, "log-forked", ErrForked},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPushed(t, 1)
			s.append(3)
			testkit.Check(t, s.p.Round(t.Context()))
			s.close()
			old := filepath.Join(t.TempDir(), "old")
			testkit.Check(t, os.CopyFS(old, os.DirFS(s.dir)))
			s.open()
			s.append(4)
			testkit.Check(t, s.p.Round(t.Context()))
			s.close()
			testkit.Check(t, os.RemoveAll(s.dir))
			testkit.Check(t, os.CopyFS(s.dir, os.DirFS(old)))
			s.open()
			defer s.close()
			s.append(to.grow)
			for range 2 {
				if err := s.p.Round(t.Context()); !errors.Is(err, to.want) {
					t.Errorf("the round says %v", err)
				}
			}
			if got := s.alarms(); len(got) != 1 || !strings.HasPrefix(got[0], to.reason+": the witness w1.example has cosigned ") {
				t.Errorf("alarms %q", got)
			}
		})
	}
}

// A proof out of a damaged cache of hashes is refused, too, and no proof that the log
// was changed.
func TestDamagedCacheIsNoFork(t *testing.T) {
	s := newPushed(t, 1)
	defer s.close()
	many := make([]audit.Event, 300)
	for i := range many {
		many[i].Type = audit.LoginFailed
	}
	testkit.Check(t, s.log.Append(t.Context(), many...))
	testkit.Check(t, s.p.Round(t.Context()))
	testkit.Check(t, s.log.Append(t.Context(), slices.Concat(many, many)...))
	// One that the proof needs, and that isn't near an end of what was written at a time,
	// where the log looks for itself.
	at := tlog.StoredHashIndex(7, 3)
	f := testkit.Must(os.OpenFile(filepath.Join(s.dir, "hashes"), os.O_WRONLY, 0))(t)
	_ = testkit.Must(f.WriteAt(make([]byte, tlog.HashSize), at*tlog.HashSize))(t)
	testkit.Check(t, f.Close())
	testkit.Check(t, s.p.Round(t.Context()))
	testkit.Check(t, s.p.Round(t.Context()))
	if got := s.alarms(); len(got) != 1 || !strings.HasPrefix(got[0], "unreachable: ") {
		t.Errorf("alarms %q", got)
	}
}

// TestKept: what was cosigned is kept through crashes, and a file that was taken away
// is an alarm, and made anew.
func TestKept(t *testing.T) {
	s := newPushed(t, 2)
	s.append(3)
	testkit.Check(t, s.p.Round(t.Context()))
	s.append(1)
	testkit.Check(t, s.p.Round(t.Context()))
	s.close()
	path := filepath.Join(s.dir, CosignedName)
	whole := testkit.ReadFile(t, path)
	half := strings.Index(whole, "\na.example/log\n") + 1
	for cut := range len(whole) {
		testkit.Check(t, os.WriteFile(path, []byte(whole[:cut]), 0o600))
		k, err := openKept(s.dir)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if cut < half && k.size > int64(cut) || cut >= half && k.size < int64(half) {
			t.Fatalf("cut at %d: %d bytes are whole", cut, k.size)
		}
		testkit.Check(t, k.Close())
		if r, err := newest(s.dir, "a.example/log", s.keys); err != nil || cut >= half && (r[0].Size < 3 || r[1].Size < 3) {
			t.Fatalf("cut at %d: %v, %v", cut, r, err)
		}
	}
	s.open()
	defer s.close()
	testkit.Check(t, s.p.Round(t.Context()))
	if r, err := s.verify(2); err != nil || r[0].Size != 4 || r[1].Size != 4 {
		t.Errorf("after a start: %v, %v", r, err)
	}
	testkit.Check(t, os.Remove(path))
	s.append(1)
	for range 2 {
		testkit.Check(t, s.p.Round(t.Context()))
	}
	if got := s.alarms(); len(got) != 1 || !strings.HasPrefix(got[0], "not-kept: ") {
		t.Errorf("alarms %q", got)
	}
	if r, err := s.verify(2); err != nil || r[0].Size != s.log.Position().Size {
		t.Errorf("after it was taken away: %v, %v", r, err)
	}
}

// TestReached tampers with a log as whoever has its key can, and with what was
// cosigned.
func TestReached(t *testing.T) {
	s := newPushed(t, 2)
	for _, n := range []int{3, 2, 4} {
		s.append(n)
		testkit.Check(t, s.p.Round(t.Context()))
	}
	s.close()
	cosigned := filepath.Join(s.dir, CosignedName)
	good := map[string]string{}
	for _, f := range []string{"events.jsonl", "checkpoint", "hashes", CosignedName} {
		good[f] = testkit.ReadFile(t, filepath.Join(s.dir, f))
	}
	// resign makes a log of these events, with the log's own key.
	resign := func(keep func(n int) bool) {
		dir := filepath.Join(t.TempDir(), "again")
		now := time.Now()
		l := testkit.Must(audit.Open(dir, audit.Options{Key: s.signer, Now: func() time.Time { return now }}))(t)
		n := 0
		for e, err := range audit.Read(s.dir) {
			testkit.Check(t, err)
			if now = e.Time; keep(n) {
				testkit.Check(t, l.Append(t.Context(), e))
			}
			n++
		}
		testkit.Check(t, l.Close())
		for _, f := range []string{"events.jsonl", "checkpoint", "hashes"} {
			testkit.Check(t, os.WriteFile(filepath.Join(s.dir, f), []byte(testkit.ReadFile(t, filepath.Join(dir, f))), 0o600))
		}
	}
	entries := strings.SplitAfter(good[CosignedName], "\na.example/log\n")
	first := strings.TrimSuffix(entries[0], "a.example/log\n")
	cases := []struct {
		name string
		do   func()
		want string
	}{
		{"nothing", func() {}, ""},
		{"one record dropped", func() { resign(func(n int) bool { return n != 3 }) }, `events.jsonl line 9 is missing: the log was put back to an older state, the witness w1.example cosigned 9 records`},
		{"one record dropped, another added", func() {
			resign(func(n int) bool { return n != 3 })
			l := testkit.Must(audit.Open(s.dir, audit.Options{Key: s.signer}))(t)
			testkit.Check(t, l.Append(t.Context(), audit.Event{Type: audit.LoginFailed}))
			testkit.Check(t, l.Close())
		}, `events.jsonl lines 4 to 5: the witness w1.example cosigned 9 records at .*, and they were others`},
		{"put back", func() { resign(func(n int) bool { return n < 5 }) }, `line 6 is missing: the log was put back to an older state`},
		{"cosignatures taken away", func() { testkit.Check(t, os.Remove(cosigned)) }, "none"},
		{"cosignatures put back", func() { testkit.WriteFile(t, cosigned, first) }, ``},
		{"a cosignature flipped", func() {
			i := strings.LastIndex(good[CosignedName], "w1.example ") + 40
			flipped := []byte(good[CosignedName])
			flipped[i] ^= 1
			testkit.WriteFile(t, cosigned, string(flipped))
		}, `cosigned line 3 (doesn't carry a valid signature of the witness w1.example|isn't a signed note)`},
		{"noise", func() { testkit.WriteFile(t, cosigned, "a\nb\n\n— x y\n— z z\n") }, `cosigned line 1 isn't a signed note`},
		{"a line without end", func() { testkit.WriteFile(t, cosigned, strings.Repeat("x", 1<<20)) }, `cosigned line 1 is too long`},
		{"hashes gone", func() { testkit.Check(t, os.Remove(filepath.Join(s.dir, "hashes"))) }, ``},
	}
	for _, c := range cases {
		for f, text := range good {
			testkit.WriteFile(t, filepath.Join(s.dir, f), text)
		}
		c.do()
		r, err := s.verify(2)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want == "none":
			var short *Unwitnessed
			if !errors.As(err, &short) || short.Size != 0 || short.Need != 2 {
				t.Errorf("%s: %v", c.name, err)
			}
		case c.want != "" && (err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) || !errors.As(err, new(*audit.BadRecord))):
			t.Errorf("%s: %v, %v; want %q", c.name, r, err, c.want)
		}
		switch c.name {
		case "cosignatures taken away":
			if r[0].Size != 0 || r[0].String() != "not witnessed by w1.example" {
				t.Errorf("%s: %v", c.name, r)
			}
		case "cosignatures put back":
			if r[0].Size != 3 || !strings.HasPrefix(r[1].String(), "witnessed up to seq 3 by w2.example (") {
				t.Errorf("%s: %v", c.name, r)
			}
		}
	}
}

// TestReachedWaitsForNoPipe: what lies under the name of the file of cosigned checkpoints
// is read where it is a file.
func TestReachedWaitsForNoPipe(t *testing.T) {
	s := newPushed(t, 1)
	s.append(1)
	s.close()
	_ = os.Remove(filepath.Join(s.dir, CosignedName)) // nothing may have been cosigned
	testkit.Check(t, syscall.Mkfifo(filepath.Join(s.dir, CosignedName), 0o600))
	testkit.Finishes(t, "verify", func() {
		if _, err := s.verify(1); err == nil {
			t.Error("a pipe is read")
		}
	})
}
