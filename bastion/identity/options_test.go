package identity

import (
	"context"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/configs"
)

type noStore struct{ Store }

func TestNewChecksOptions(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("nothing was accepted")
	}
	for name, change := range map[string]func(*configs.Config){
		"":                        func(*configs.Config) {},
		"the name":                func(c *configs.Config) { c.Name = "a:b" },
		"no name":                 func(c *configs.Config) { c.Name = "" },
		"no temporary passphrase": func(c *configs.Config) { c.Login.TemporaryPassphrase = 0 },
		"a negative age":          func(c *configs.Config) { c.Login.PassphraseAge = -1 },
		"a negative inactivity":   func(c *configs.Config) { c.Login.Inactivity = -1 },
		"remembered for too long": func(c *configs.Config) { c.Login.Remembered.Lifetime = 12*time.Hour + 1 },
		"remembered for less":     func(c *configs.Config) { c.Login.Remembered.Lifetime = -1 },
		"a network of everybody":  func(c *configs.Config) { c.Login.Remembered.IPv4 = 7 },
		"a network of too many":   func(c *configs.Config) { c.Login.Remembered.IPv6 = 15 },
		"a network of no address": func(c *configs.Config) { c.Login.Remembered.IPv6 = 129 },
	} {
		o := Options{Config: configs.Default(), Store: noStore{}, Secret: make([]byte, 32), Events: func(context.Context, ...audit.Event) error { return nil }}
		change(o.Config)
		if _, err := New(o); (err == nil) != (name == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range []string{"a:b", "näme", "x\n", strings.Repeat("x", 33)} {
		if validIssuer(s) == nil {
			t.Errorf("issuer %q", s)
		}
	}
}
