package configs_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"entry/configs"
	"entry/policy"
	"entry/policy/compare"
)

// The files in this folder are what the README shows and `entry init` writes:
// they have to load as they are, without a warning.
func TestExamplesLoad(t *testing.T) {
	c, err := configs.Load("entry.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Load(c.Policy, compare.Warnings)
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Warnings(); len(w) > 0 {
		t.Errorf("warnings:\n%v", w)
	}
	if got := len(p.Targets()); got != 5 {
		t.Errorf("%d targets, want 5", got)
	}
}

// The example states the defaults: leaving everything out gives the same.
func TestExampleStatesDefaults(t *testing.T) {
	dir := t.TempDir()
	whole, err := configs.InitYAML("127.0.0.1:2222")
	if err != nil {
		t.Fatal(err)
	}
	load := func(text string) *configs.Config {
		path := filepath.Join(dir, configs.FileName)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := configs.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	full, short := load(string(whole)), load("listeners: [{address: \"127.0.0.1:2222\"}]\n")
	if !reflect.DeepEqual(full, short) {
		t.Errorf("with all settings: %+v\nwith defaults:     %+v", full, short)
	}
}

func TestInitYAMLListensWhereAsked(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", ":22", "[::1]:2222", "entry.example:22"} {
		text, err := configs.InitYAML(address)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), configs.FileName)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := configs.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Listeners) != 1 || c.Listeners[0].Address != address {
			t.Errorf("listeners %+v, want %s", c.Listeners, address)
		}
		if want := filepath.Join(filepath.Dir(path), "keys/host_ca"); c.Keys.HostCA.File != want {
			t.Errorf("host CA %s, want %s", c.Keys.HostCA.File, want)
		}
	}
	for _, address := range []string{"", "22", "a\"b:22", "127.0.0.1:70000", "127.0.0.1"} {
		if _, err := configs.InitYAML(address); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
}
