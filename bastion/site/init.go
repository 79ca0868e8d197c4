//go:build linux

package site

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"entry/audit"
	"entry/bastion/ca"
	"entry/bastion/identity/secret"
	"entry/configs"
	"entry/session/recording"
	"entry/session/recording/auditors"
)

// DefaultOrigin is what an audit log is called where nothing else is said.
const DefaultOrigin = "entry"

// Init makes dir into what `--dir` expects, for a server that listens on the
// address listen. Its audit log is called origin, for ever; "" is DefaultOrigin. The
// configuration comes last, so that a directory with one is whole.
func Init(dir, listen, origin string) error {
	config, err := configs.InitYAML(listen)
	if err != nil {
		return wrong(err)
	}
	signer, verifier, err := audit.GenerateKey(cmp.Or(origin, DefaultOrigin))
	if err != nil {
		return wrong(err)
	}
	for _, d := range []string{"", "keys", "keys/hosts", "policy.d", "state", "audit", "witness", "spool"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return err
		}
	}
	if _, err := ca.GenerateFile(filepath.Join(dir, "keys", "host_ca"), "entry host CA"); err != nil {
		return alreadyThere(err)
	}
	if _, err := ca.GenerateFile(filepath.Join(dir, "keys", "user_ca"), "entry user CA"); err != nil {
		return alreadyThere(err)
	}
	identity, recipient, err := auditors.Generate()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		perm fs.FileMode
		text string
	}{
		{"keys/audit.key", 0o600, signer + "\n"},
		{"keys/audit.pub", 0o644, verifier + "\n"},
		{"keys/auditors.pub", 0o644, recipient + "\n"},
		{"keys/secret", 0o600, string(secret.New())},
		{recording.IdentityFile, 0o600, identity + "\n"},
		{"policy.d/lab.yaml.example", 0o644, configs.ExamplePolicy},
		{configs.FileName, 0o644, string(config)},
	} {
		if err := createFile(filepath.Join(dir, f.name), f.text, f.perm); err != nil {
			return alreadyThere(err)
		}
	}
	return nil
}

func alreadyThere(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return hinted(err, "an earlier init stopped half-way; remove the directory and run it again")
	}
	return err
}
