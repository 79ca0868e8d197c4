package compare

import (
	"path/filepath"
	"strings"
	"testing"

	"entry/configs"
	"entry/e2e/testkit"
)

// A policy is read with the configuration that it is for.
func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.WriteFile(t, filepath.Join(dir, "p.yaml"), `labs:
  tinker:
    members: [alice]
    targets:
      home: {address: 10.0.0.5, host_keys: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN"}
`)
	cfg := configs.Default()
	cfg.Path, cfg.Policy = "entry.yaml", dir
	if p, err := Load(cfg); err != nil || len(p.Targets()) != 1 {
		t.Errorf("%v", err)
	}
	cfg.Listeners = append(cfg.Listeners, configs.Listener{Address: ":2301", Target: "home.tinker"})
	if _, err := Load(cfg); err != nil {
		t.Errorf("a listener: %v", err)
	}
	cfg.Listeners = append(cfg.Listeners, configs.Listener{Address: ":2302", Target: "desk.tinker"})
	if _, err := Load(cfg); err == nil || err.Error() != "entry.yaml: listener :2302 leads to desk.tinker, which no policy file has" {
		t.Errorf("a listener that leads nowhere: %v", err)
	}
	cfg.Listeners, cfg.Name = nil, "home"
	if _, err := Load(cfg); err == nil || !strings.Contains(err.Error(), "home") {
		t.Errorf("a target that is called as the server is: %v", err)
	}
	cfg.Policy = filepath.Join(dir, "none")
	if _, err := Load(cfg); err == nil {
		t.Error("no policy is one")
	}
}
