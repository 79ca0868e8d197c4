//go:build linux

package evidence

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// The recordings of a site.
const (
	sealed = "01JQ8Z3M6W0000000000000001" // by alice, ended an hour ago
	cut    = "01JQ8Z3M6X0000000000000002" // by bob, by a crash
)

// site is a spool and a log that tell of the same recordings.
type site struct {
	t         *testing.T
	dir       string
	signer    string
	auditor   *age.X25519Identity
	to        []age.Recipient
	sealedEnd spool.Summary
	ended     time.Time

	now     time.Time // the log's clock; zero for the machine's
	orders  Orders
	held    []Hold
	heldErr error
	least   time.Duration
}

func (s *site) holds(context.Context) ([]Hold, error) { return s.held, s.heldErr }

// newSite has one recording that was sealed and one that a crash cut, each with
// ticks.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), ended: time.Now().Add(-time.Hour).Truncate(time.Second)}
	var err error
	s.signer, _, err = audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	key := testkit.Must(age.GenerateX25519Identity())(t)
	s.auditor, s.to = key, []age.Recipient{key.Recipient()}
	s.now = s.ended
	defer func() { s.now = time.Time{} }()
	s.session(func(log *audit.Log, open *spool.Spool) {
		w := s.begin(log, open, sealed, "alice")
		testkit.Check(t, w.Frame(recording.Output, 0, []byte("uid=1000(alice)\n")))
		sum := testkit.Must(w.Close())(t)
		s.sealedEnd = sum
		s.append(log, audit.Event{Type: audit.SessionEnded, Session: sealed, Recording: about(sealed, sum)})
		w = s.begin(log, open, cut, "bob")
		testkit.Check(t, w.Frame(recording.Output, 0, []byte("before the crash\n")))
		// Closing the spool with the recording open is what a crash leaves, after a last tick.
	})
	s.restart()
	return s
}

func about(id string, sum spool.Summary) *audit.Recording {
	return &audit.Recording{ID: id, Head: hex.EncodeToString(sum.Head[:]), Segments: sum.Segments}
}

func (s *site) logDir() string { return filepath.Join(s.dir, "audit") }
func (s *site) spool() string  { return filepath.Join(s.dir, "spool") }

func (s *site) file(id, ext string) string { return filepath.Join(s.spool(), id+ext) }

func (s *site) append(log *audit.Log, e audit.Event) {
	s.t.Helper()
	testkit.Check(s.t, log.Append(context.Background(), e))
}

func (s *site) clock() time.Time {
	if s.now.IsZero() {
		return time.Now()
	}
	return s.now
}

// log has f append to the log.
func (s *site) log(f func(*audit.Log)) {
	s.t.Helper()
	log := testkit.Must(audit.Open(s.logDir(), audit.Options{Key: s.signer, Now: s.clock}))(s.t)
	defer func() { testkit.Check(s.t, log.Close()) }()
	f(log)
}

// session has f record with the spool and the log open.
func (s *site) session(f func(*audit.Log, *spool.Spool)) {
	s.t.Helper()
	s.log(func(log *audit.Log) {
		open := testkit.Must(spool.Open(spool.Options{Dir: s.spool(), Now: func() time.Time { return s.ended }, Commit: func(ctx context.Context, tick recording.Tick) error {
			return log.Append(ctx, audit.Event{Type: audit.RecordingTick, Tick: &audit.Tick{Root: hex.EncodeToString(tick.Root[:]), Changed: tick.Changed, List: tick.List}})
		}}))(s.t)
		defer func() { testkit.Check(s.t, open.Close()) }()
		f(log, open)
	})
}

// begin starts a recording that the log knows.
func (s *site) begin(log *audit.Log, open *spool.Spool, id, user string) *spool.Writer {
	s.t.Helper()
	w := s.create(open, id, user)
	h, k := w.HeaderHash(), w.KeyHash()
	s.append(log, audit.Event{Type: audit.SessionStarted, Session: id, User: user, Lab: "tinker", Target: "home.tinker", Recording: &audit.Recording{ID: id, Header: hex.EncodeToString(h[:]), Key: hex.EncodeToString(k[:])}})
	return w
}

// create starts a recording without a word in the log.
func (s *site) create(open *spool.Spool, id, user string) *spool.Writer {
	s.t.Helper()
	return testkit.Must(open.Create(recording.Header{ID: id, User: user, Lab: "tinker", Target: "home.tinker", Start: s.ended.Add(-time.Minute)}, s.to))(s.t)
}

// restart is what a server does about what a crash left.
func (s *site) restart() {
	s.t.Helper()
	s.log(func(log *audit.Log) {
		testkit.Must(spool.Recover(s.spool(), func(a recording.Aborted) error {
			return log.Append(context.Background(), audit.Event{Type: audit.RecordingAborted, Session: a.ID,
				Recording: about(a.ID, spool.Summary{Head: a.Head, Segments: a.Segments})})
		}))(s.t)
	})
}

// change rewrites a file of the spool.
func (s *site) change(path string, f func([]byte) []byte) {
	s.t.Helper()
	b := testkit.Must(os.ReadFile(path))(s.t)
	testkit.Check(s.t, os.WriteFile(path, f(b), 0o600))
}

// mismatches are all that an error joins, and what else it joins. A mismatch is
// one whatever it wraps.
func mismatches(err error) (all []*Mismatch, others []error) {
	switch e := any(err).(type) {
	case nil:
	case *Mismatch:
		all = []*Mismatch{e}
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			a, o := mismatches(one)
			all, others = append(all, a...), append(others, o...)
		}
	default:
		others = []error{err}
	}
	return all, others
}
