package main

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"entry/configs"
	"entry/session/recording"
)

// The admin socket is private from its first moment, whatever the umask, and
// making it changes no umask for what else the process makes meanwhile.
func TestAdminSocketIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "s")
	for range 2 { // the second replaces what a crash left
		l, err := listenAdmin(path)
		if err != nil {
			t.Fatal(err)
		}
		fi, err := os.Lstat(path)
		if err != nil || fi.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("%v, %v", fi.Mode(), err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if now := syscall.Umask(0); now != 0 {
		t.Errorf("umask %o", now)
	}
}

// A path that is set wrong costs no file.
func TestAdminSocketReplacesOnlySockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.db")
	if err := os.WriteFile(path, []byte("dear data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "dear data" {
		t.Errorf("%q, %v", b, err)
	}
}

// Recordings whose retention is over go when the server starts.
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
