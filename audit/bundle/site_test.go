//go:build linux

package bundle

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"entry/audit"
	"entry/audit/witness"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

const (
	whole = "01JQ8Z3M6W0000000000000001" // alice's, which ended
	cut   = "01JQ8Z3M6X0000000000000002" // bob's, which a crash cut
	runs  = "01JQ8Z3M6Y0000000000000003"
	gone  = "01JQ8Z3M6Z0000000000000004" // which nobody knows
)

// site is a log with its witness, and a spool.
type site struct {
	t   *testing.T
	dir string
	Source
	log    *audit.Log
	pusher *witness.Pusher
	signer string

	auditor *age.X25519Identity
}

// newSite has sessions of all sorts among other people's records; the witness has
// cosigned all but those of the running one.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	signer, public, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	s.signer = signer
	s.Source = Source{Log: filepath.Join(s.dir, "audit"), Key: public, Recordings: filepath.Join(s.dir, "spool")}
	wdir := filepath.Join(s.dir, "witness")
	key := testkit.Must(witness.Init(wdir, "w.example"))(t)
	testkit.WriteFile(t, filepath.Join(wdir, "logs"), public)
	w := testkit.Must(witness.Open(wdir))(t)
	t.Cleanup(func() { testkit.Check(t, w.Close()) })
	server := httptest.NewServer(w.Handler(nil))
	t.Cleanup(server.Close)
	s.Witnesses = []string{key}
	peer := testkit.Must(witness.NewPeer(configs.Witness{URL: server.URL, Key: key}))(t)
	s.log = testkit.Must(audit.Open(s.Log, audit.Options{Key: signer}))(t)
	s.pusher = testkit.Must(witness.NewPusher(witness.PushOptions{Log: s.log, Dir: s.Log, Peers: []*witness.Peer{peer}, Need: 1, Within: time.Second}))(t)
	t.Cleanup(func() { testkit.Check(t, errors.Join(s.pusher.Close(), s.log.Close())) })

	identity := testkit.Must(age.GenerateX25519Identity())(t)
	to := []age.Recipient{identity.Recipient()}
	s.auditor = identity
	begin := func(open *spool.Spool, id, user string) *spool.Writer {
		w := testkit.Must(open.Create(recording.Header{ID: id, User: user, Target: "home.tinker", Start: time.Now().UTC().Truncate(time.Microsecond)}, to))(t)
		s.append(audit.Event{Type: audit.LoginFailed, Conn: "conn-of-" + user, User: user},
			audit.Event{Type: audit.LoginSucceeded, Conn: "conn-of-" + user, User: user},
			audit.Event{Type: audit.LoginSucceeded, Conn: "another", User: "eve"})
		h, k := w.HeaderHash(), w.KeyHash()
		s.append(audit.Event{Type: audit.SessionStarted, Session: id, Conn: "conn-of-" + user, User: user, Recording: &audit.Recording{ID: id, Header: hex.EncodeToString(h[:]), Key: hex.EncodeToString(k[:])}})
		return w
	}
	open := testkit.Must(spool.Open(spool.Options{Dir: s.Recordings, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
	a := begin(open, whole, "alice")
	for range 3 {
		testkit.Check(t, a.Frame(recording.Output, 0, []byte("uid=1000(alice)\n")))
	}
	sum := testkit.Must(a.Close())(t)
	s.append(audit.Event{Type: audit.SessionEnded, Session: whole, User: "alice", Recording: &audit.Recording{ID: whole, Head: hex.EncodeToString(sum.Head[:]), Segments: sum.Segments}})
	b := begin(open, cut, "bob")
	testkit.Check(t, b.Frame(recording.Output, 0, []byte("before the crash\n")))
	testkit.Check(t, open.Close()) // with bob's open, as in a crash
	testkit.Must(spool.Recover(s.Recordings, func(a recording.Aborted) error {
		s.append(audit.Event{Type: audit.RecordingAborted, Session: a.ID, Recording: &audit.Recording{ID: a.ID, Head: hex.EncodeToString(a.Head[:]), Segments: a.Segments}})
		return nil
	}))(t)
	testkit.Check(t, s.pusher.Round(t.Context()))
	s.append(audit.Event{Type: audit.SessionStarted, Session: runs, User: "carol"}, audit.Event{Type: audit.RecordingRead, Session: whole},
		audit.Event{Type: audit.RecordingRead, Sessions: []string{whole, cut}, Count: 2})
	return s
}

func (s *site) append(e ...audit.Event) { testkit.Check(s.t, s.log.Append(context.Background(), e...)) }

// made is the bundle of a session.
func (s *site) made(id string) []byte {
	s.t.Helper()
	var b bytes.Buffer
	testkit.Must(s.Write(&b, id))(s.t)
	return b.Bytes()
}

func verify(t *testing.T, b []byte, trust Trust) (Report, error) {
	t.Helper()
	o, err := Open(bytes.NewReader(b), t.TempDir())
	if err != nil {
		return Report{}, err
	}
	return o.Verify(trust)
}

// python runs the second implementation.
func python(t *testing.T, b []byte, args ...string) (code int, out string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "b.tar")
	testkit.WriteFile(t, path, string(b))
	cmd := exec.Command("python3", append([]string{"-I", "verify_bundle.py", path}, args...)...)
	text, err := cmd.CombinedOutput()
	var e *exec.ExitError
	if err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}
