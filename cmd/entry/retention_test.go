package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/configs"
	"entry/policy"
	"entry/policy/strict"
	"entry/session/recording"
)

// keeps is a policy under which lab keeps recordings for so many days; 0 says
// nothing about it.
func keeps(t *testing.T, lab, retention string) *policy.Policy {
	t.Helper()
	text := "labs:\n  " + lab + ":\n    members: [alice]\n"
	if retention != "" {
		text += "    retention: " + retention + "\n"
	}
	p, err := policy.Parse(strict.File{Name: "lab.yaml", Data: []byte(text)})
	must(t, err)
	return p
}

// expire runs the daily job as it would run at now.
func (r recorded) expire(p *policy.Policy, now time.Time) (int, error) {
	r.t.Helper()
	key, err := os.ReadFile(filepath.Join(r.dir, "keys", "audit.key"))
	must(r.t, err)
	log, err := audit.Open(filepath.Join(r.dir, "audit"), audit.Options{Key: string(key), Witness: filepath.Join(r.dir, "witness")})
	must(r.t, err)
	n, err := removeExpired(r.t.Context(), filepath.Join(r.dir, "spool"), p, now, log.Append)
	must(r.t, log.Close())
	return n, err
}

func TestRetention(t *testing.T) {
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		lab, retention string
		after          time.Duration
		removed        int
	}{
		"not configured": {"tinker", "", 40_000 * day, 0},
		"another lab's":  {"other", "1d", 40_000 * day, 0},
		"not over yet":   {"tinker", "30d", 30*day - time.Hour, 0},
		"over":           {"tinker", "30d", 30*day + time.Hour, 2},
		"a clock before": {"tinker", "1d", -100 * day, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorded(t)
			n, err := r.expire(keeps(t, tt.lab, tt.retention), time.Now().Add(tt.after))
			if n != tt.removed || err != nil {
				t.Fatalf("%d removed, %v", n, err)
			}
			left, err := recording.List(filepath.Join(r.dir, "spool"))
			if err != nil || len(left) != 2-tt.removed {
				t.Errorf("%d left, %v", len(left), err)
			}
			for _, id := range []string{r.sealed, r.cut} {
				for _, ext := range []string{".rec", ".key", ".aborted"} {
					if _, err := os.Stat(r.file(id, ext)); tt.removed > 0 && err == nil {
						t.Errorf("%s%s is still there", id, ext)
					}
				}
			}
			// The log knows, and verifying agrees.
			rep, err := r.verifyAll()
			if err != nil || rep.Recordings != 2-tt.removed || rep.Removed != tt.removed {
				t.Errorf("%+v, %v", rep, err)
			}
			if n, err := r.expire(keeps(t, tt.lab, tt.retention), time.Now().Add(tt.after)); n != 0 || err != nil {
				t.Errorf("again: %d, %v", n, err)
			}
		})
	}
}

// A recording that is gone without a word is still missing.
func TestRetentionExcusesOnlyWhatItRemoved(t *testing.T) {
	r := newRecorded(t)
	must(t, os.Remove(r.file(r.sealed, ".rec")))
	if n, err := r.expire(keeps(t, "tinker", "1d"), time.Now().Add(50*time.Hour)); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if rep, err := r.verifyAll(); err == nil || !strings.Contains(err.Error(), r.sealed+": it is missing from the spool") || rep.Removed != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// Without the log nothing is removed.
func TestRetentionWithoutALog(t *testing.T) {
	r := newRecorded(t)
	full := errors.New("no space left on device")
	n, err := removeExpired(t.Context(), filepath.Join(r.dir, "spool"), keeps(t, "tinker", "1d"), time.Now().Add(50*time.Hour),
		func(context.Context, ...audit.Event) error { return full })
	if n != 0 || !errors.Is(err, full) {
		t.Errorf("%d, %v", n, err)
	}
	if rep, err := r.verifyAll(); err != nil || rep.Recordings != 2 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// A server does it when it starts.
func TestServerKeepsRetention(t *testing.T) {
	r := newRecordedAt(t, time.Now().Add(-50*time.Hour))
	must(t, os.WriteFile(filepath.Join(r.dir, "policy.d", "lab.yaml"), []byte("labs:\n  tinker:\n    members: [alice]\n    retention: 2d\n"), 0o600))
	cfg, err := configs.Load(filepath.Join(r.dir, "entry.yaml"))
	must(t, err)
	cfg.Listeners[0].Address = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- serve(ctx, cfg, zap.NewNop(), func() {}) }()
	deadline := time.After(20 * time.Second)
	for {
		left, err := recording.List(filepath.Join(r.dir, "spool"))
		if err == nil && len(left) == 0 {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("the server ended: %v", err)
		case <-deadline:
			t.Fatalf("%d recordings are left, %v", len(left), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	cancel()
	must(t, <-done)
	if rep, err := r.verifyAll(); err != nil || rep.Removed != 2 {
		t.Errorf("%+v, %v", rep, err)
	}
}
