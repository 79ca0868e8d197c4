package ca

import (
	"os"
	"path/filepath"
	"testing"

	"entry/configs"
	"entry/e2e/testkit"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	host, err := GenerateFile(path("host_ca"), "host CA")
	testkit.Check(t, err)
	user, err := GenerateFile(path("user_ca"), "user CA")
	testkit.Check(t, err)
	testkit.Check(t, os.Mkdir(path("hosts"), 0o700))
	good := configs.Keys{Directory: path("hosts"), HostCA: configs.CA{File: path("host_ca")}, UserCA: configs.CA{File: path("user_ca")}}
	elsewhere := Role{Name: "audit log", Key: testkit.NewSigner(t).PublicKey()}

	k, err := Open(good, elsewhere)
	testkit.Check(t, err)
	if !sameKey(k.HostCA.PublicKey(), host.PublicKey()) || !sameKey(k.UserCA.PublicKey(), user.PublicKey()) || !k.HostCA.Online() || k.Hosts == nil {
		t.Errorf("%+v", k)
	}
	offline := good
	offline.HostCA = configs.CA{PublicKey: path("host_ca.pub")}
	if k, err = Open(offline); err != nil || k.HostCA.Online() || !sameKey(k.HostCA.PublicKey(), host.PublicKey()) {
		t.Errorf("offline: %v", err)
	}
	for _, tc := range []struct {
		name   string
		change func(*configs.Keys)
		others []Role
		want   string
	}{
		{"one key for two", func(c *configs.Keys) { c.UserCA = c.HostCA }, nil, "is both client-facing host CA and upstream user CA"},
		{"a key that is used elsewhere", func(*configs.Keys) {}, []Role{{Name: "audit log", Key: user.PublicKey()}}, "is both upstream user CA and audit log"},
		{"no host CA", func(c *configs.Keys) { c.HostCA.File += "x" }, nil, "keys.host_ca: "},
		{"no user CA", func(c *configs.Keys) { c.UserCA.File += "x" }, nil, "keys.user_ca: "},
		{"no agent", func(c *configs.Keys) { c.UserCA = configs.CA{Agent: path("none"), PublicKey: path("user_ca.pub")} }, nil, "keys.user_ca: "},
		{"no directory", func(c *configs.Keys) { c.Directory += "x" }, nil, "keys.directory: "},
	} {
		c := good
		tc.change(&c)
		if _, err := Open(c, tc.others...); err == nil {
			t.Errorf("%s: opened", tc.name)
		} else {
			refused(t, err, tc.want)
		}
	}
}
