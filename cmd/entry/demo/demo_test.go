//go:build linux

package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/configs"
	"entry/e2e/testkit"
	"entry/policy"
)

func loadPolicy(cfg *configs.Config) (*policy.Policy, error) { return policy.Load(cfg.Policy) }

// run runs the demo in dir and returns what it said when it was ready.
func run(t *testing.T, dir string) Ready {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, done := make(chan Ready, 1), make(chan error, 1)
	go func() {
		done <- Run(ctx, Options{Dir: dir, Listen: "127.0.0.1:0", Policy: loadPolicy}, func(r Ready) { ready <- r })
	}()
	select {
	case r := <-ready:
		cancel()
		testkit.Check(t, testkit.Receive(t, "the demo's end", done))
		return r
	case err := <-done:
		t.Fatalf("the demo didn't start: %v", err)
		return Ready{}
	}
}

func TestDemoCarriesOn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testkit.ShortDir(t), "demo")
	first := run(t, dir)
	if first.Passphrase == "" || first.Dir != dir || first.SSHConfig != filepath.Join(dir, "ssh_config") {
		t.Fatalf("%+v", first)
	}
	if text := testkit.ReadFile(t, first.SSHConfig); !strings.Contains(text, "User alice\n") || !strings.Contains(text, filepath.Join(dir, "known_hosts")) {
		t.Errorf("the client's configuration is\n%s", text)
	}
	home := testkit.ReadFile(t, filepath.Join(dir, "home.address"))
	trial := filepath.Join(dir, "policy.d", "trial.yaml")
	testkit.WriteFile(t, trial, "labs:\n  trial:\n    members: [alice]\n    targets:\n"+testkit.TargetLine("loft", "127.0.0.1:9", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(testkit.NewSigner(t).PublicKey()))))+"\n")
	if again := run(t, dir); again != first {
		t.Errorf("again: %+v, at first %+v", again, first)
	}
	if now := testkit.ReadFile(t, filepath.Join(dir, "home.address")); now != home {
		t.Errorf("home moved from %q to %q", home, now)
	}
	testkit.ReadFile(t, trial) // somebody's own trials stay
	if known := testkit.ReadFile(t, filepath.Join(dir, "known_hosts")); !strings.HasPrefix(known, "@cert-authority home,loft,*.tinker,*.trial,entry ") {
		t.Errorf("known_hosts without the trials' machines: %q", known)
	}
	p := testkit.Must(policy.Load(filepath.Join(dir, "policy.d")))(t)
	if target, ok := p.Target("home.tinker"); !ok || target.Addresses[0] != strings.TrimSpace(home) {
		t.Errorf("the policy leads to %+v", target)
	}
	// One that expired, or that an operator replaced, is made anew.
	old := time.Now().Add(-100 * 24 * time.Hour)
	testkit.Check(t, os.Chtimes(passphraseFile(dir), old, old))
	if r := run(t, dir); r.Passphrase == "" || r.Passphrase == first.Passphrase {
		t.Errorf("after a reset: %q", r.Passphrase)
	}
}

func TestConfigurationInTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.WriteFile(t, filepath.Join(dir, "entry.yaml"), "nothing: that entry knows\n")
	err := Run(t.Context(), Options{Dir: dir, Listen: "127.0.0.1:0", Policy: loadPolicy}, func(Ready) { t.Error("ready") })
	var misused interface{ Misused() bool }
	if err == nil || !errors.As(err, &misused) || !misused.Misused() {
		t.Errorf("%v", err)
	}
}
