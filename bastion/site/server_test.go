//go:build linux

package site

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/audit/evidence"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/policy"
	"entry/session/recording"
	"entry/session/recording/auditors"
	"entry/session/recording/spool"
)

// newDir makes a directory whose server listens anywhere, with a policy.
func newDir(t *testing.T, policyText string) (dir string, cfg *configs.Config) {
	t.Helper()
	dir = filepath.Join(testkit.ShortDir(t), "d") // sockets have short paths
	testkit.Check(t, Init(dir, "127.0.0.1:0", ""))
	testkit.WriteFile(t, filepath.Join(dir, "policy.d", "lab.yaml"), policyText)
	return dir, testkit.Must(configs.Load(filepath.Join(dir, "entry.yaml")))(t)
}

func loadPolicy(cfg *configs.Config) (*policy.Policy, error) { return policy.Load(cfg.Policy) }

// Recordings whose retention is over go when the server starts.
func TestServerKeepsRetention(t *testing.T) {
	t.Parallel()
	dir, cfg := newDir(t, "labs:\n  tinker:\n    members: [alice]\n    retention: 2d\n")
	at, id := time.Now().Add(-50*time.Hour), "01JQ8Z3M6W0000000000000001"
	log := testkit.Must(audit.Open(cfg.Audit.Directory, audit.Options{Key: testkit.ReadFile(t, cfg.Audit.Key), Witness: cfg.Audit.Witness, Now: func() time.Time { return at }}))(t)
	open := testkit.Must(spool.Open(spool.Options{Dir: cfg.Recording.Directory, Now: func() time.Time { return at }, Commit: func(ctx context.Context, tick recording.Tick) error {
		return log.Append(ctx, audit.Event{Type: audit.RecordingTick, Tick: &audit.Tick{Root: hex.EncodeToString(tick.Root[:]), Changed: tick.Changed, List: tick.List}})
	}}))(t)
	to := auditors.Recipients(testkit.Must(auditors.ReadFile(cfg.Recording.Auditors))(t))
	w := testkit.Must(open.Create(recording.Header{ID: id, User: "alice", Lab: "tinker", Target: "home.tinker", Start: at}, to))(t)
	h := w.HeaderHash()
	testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.SessionStarted, Session: id, Recording: &audit.Recording{ID: id, Header: hex.EncodeToString(h[:])}}))
	sum := testkit.Must(w.Close())(t)
	testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.SessionEnded, Session: id, Recording: &audit.Recording{ID: id, Head: hex.EncodeToString(sum.Head[:]), Segments: sum.Segments}}))
	testkit.Check(t, open.Close())
	testkit.Check(t, log.Close())

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, Options{Config: cfg, Log: zap.NewNop(), Policy: loadPolicy}, func() {})
	}()
	testkit.Eventually(t, "the recording is removed", func() bool {
		left, err := recording.List(cfg.Recording.Directory)
		return err == nil && len(left) == 0
	})
	cancel()
	testkit.Check(t, testkit.Receive(t, "the server's end", done))
	if rep, err := evidence.Verify(cfg.Audit.Directory, filepath.Join(dir, "spool")); err != nil || rep.Removed != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
	if _, err := os.Stat(cfg.Admin.Socket); !os.IsNotExist(err) {
		t.Errorf("the admin socket is left: %v", err)
	}
}
