//go:build linux

package site

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion/identity"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/session/recording"
)

const lab = "labs:\n  tinker:\n    members: [alice]\n"

// started runs a server on cfg until the test ends or stop is called, which
// returns how it ended.
func started(t *testing.T, cfg *configs.Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- Serve(ctx, Options{Config: cfg, Log: zap.NewNop(), Policy: loadPolicy}, func() { close(ready) })
	}()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		t.Fatalf("the server didn't start: %v", err)
	}
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return testkit.Receive(t, "the server's end", done)
	}
	t.Cleanup(func() { testkit.Check(t, stop()) })
	return stop
}

// advice is what err tells operators to do.
func advice(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hint()
	}
	return ""
}

func TestInitIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	dir, cfg := newDir(t, lab)
	c, err := Check(cfg, testkit.Must(loadPolicy(cfg))(t))
	if err != nil || !strings.HasPrefix(c.KnownHosts, "@cert-authority entry ssh-ed25519 ") || len(c.Warnings) != 4 || !strings.HasPrefix(c.Warnings[1], "it listens on this machine alone: ") || !strings.Contains(c.Warnings[2], "so it is no witness") {
		t.Errorf("%+v, %v", c, err)
	}
	for _, name := range []string{recording.IdentityFile, "keys/audit.key", "keys/host_ca", "keys/user_ca", "keys/secret"} {
		if fi := testkit.Must(os.Stat(filepath.Join(dir, name)))(t); fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, fi.Mode())
		}
	}
	// What stopped half-way is never gone on with: its keys may be half ones.
	testkit.Check(t, os.Remove(filepath.Join(dir, "entry.yaml")))
	if err := Init(dir, "127.0.0.1:0", ""); !errors.Is(err, os.ErrExist) || !strings.Contains(advice(err), "remove the directory") {
		t.Errorf("half-way: %v, %q", err, advice(err))
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"a secret that others may read": {func(dir string) error { return os.Chmod(filepath.Join(dir, "keys/secret"), 0o644) }, "others"},
		"a short secret": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "keys/secret"), []byte("short"), 0o600)
		}, "has 5 bytes, not 32"},
		"a key with two roles": {func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, "keys/host_ca"))
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "keys/user_ca"), b, 0o600))
		}, "user CA"},
		"the key of another log": {func(dir string) error {
			_, other, err := audit.GenerateKey("entry")
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "keys/audit.pub"), []byte(other), 0o600))
		}, "not the two halves of one key"},
		"no auditors": {func(dir string) error { return os.Remove(filepath.Join(dir, "keys/auditors.pub")) }, "recording.auditors"},
		"an outsize key": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "keys/audit.key"), make([]byte, 64<<10+1), 0o600)
		}, "too large for a key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, cfg := newDir(t, lab)
			testkit.Check(t, tt.spoil(dir))
			if _, err := Check(cfg, testkit.Must(loadPolicy(cfg))(t)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// Of two servers on one site the second changes nothing.
func TestOneServerATime(t *testing.T) {
	t.Parallel()
	_, cfg := newDir(t, lab)
	stop := started(t, cfg)
	_, err := New(t.Context(), Options{Config: cfg, Log: zap.NewNop(), Policy: loadPolicy})
	if err == nil || !strings.Contains(err.Error(), "another process is writing this audit log") || advice(err) == "" {
		t.Errorf("a second server: %v", err)
	}
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	busy := *cfg
	busy.Listeners = []configs.Listener{{Address: l.Addr().String()}}
	if _, err := New(t.Context(), Options{Config: &busy, Log: zap.NewNop(), Policy: loadPolicy}); err == nil || advice(err) != "is another server running on that address?" {
		t.Errorf("an address in use: %v", err)
	}
	testkit.Check(t, stop())
	started(t, cfg) // what it left is good for the next one
}

// An operator's verb reaches the running server, or takes its place as the log's
// writer: either way the same operation, in the log.
func TestOperate(t *testing.T) {
	t.Parallel()
	_, cfg := newDir(t, lab)
	add := func(name string) {
		t.Helper()
		c := testkit.Must(Operate(cfg, func(text string, err error) { t.Errorf("%s: %v", text, err) }))(t)
		testkit.Check(t, c.Call(Self(t.Context()), http.MethodPost, "/v1/users/"+name, nil, nil))
		testkit.Check(t, c.Close())
	}
	add("alice")
	stop := started(t, cfg)
	add("bob")
	// The lock is the server's; a socket that doesn't answer is no leave to go on.
	deaf := *cfg
	deaf.Admin.Socket = filepath.Join(t.TempDir(), "none")
	if _, err := Operate(&deaf, func(string, error) {}); err == nil || !strings.Contains(err.Error(), "its admin socket doesn't answer") {
		t.Errorf("beside a running server: %v", err)
	}
	testkit.Check(t, stop())
	added := map[string]uint32{}
	for e, err := range audit.Read(cfg.Audit.Directory) {
		testkit.Check(t, err)
		if e.Type == audit.UserAdded && e.Actor != nil {
			added[e.User] = e.Actor.UID
		}
	}
	if uid := uint32(os.Geteuid()); len(added) != 2 || added["alice"] != uid || added["bob"] != uid {
		t.Errorf("added %v", added)
	}
	st := testkit.Must(openState(cfg, func(string, error) {}))(t)
	for _, name := range []string{"alice", "bob"} {
		if u, err := st.auth.User(t.Context(), name); err != nil || u.Name != name {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
	if _, err := st.auth.User(t.Context(), "carol"); !errors.Is(err, identity.ErrNoAccount) {
		t.Errorf("carol: %v", err)
	}
	testkit.Check(t, st.Close())
}
