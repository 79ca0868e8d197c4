package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/bastion/ca"
	"entry/configs"
	"entry/session/recording"
)

func initCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make a directory with a configuration, keys and an empty policy",
		Long: `Make a directory with everything that entry serve needs: the configuration, the
host CA and the user CA, the audit log's key, the auditors' key, and a policy
that permits nothing yet. Nothing that exists is overwritten.

DIR/auditor.key opens every recording. Move it to the auditors' own machine:
the jump host doesn't need it and should not be able to read what it recorded.`,
		Example: "  entry init --dir /etc/entry",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := cmd.Flags().GetString("dir")
			if err != nil {
				return err
			}
			if dir == "" {
				return hinted(failf(exitUsage, "init needs a directory"), "entry init --dir DIR")
			}
			if _, err := os.Stat(filepath.Join(dir, "entry.yaml")); err == nil {
				return hinted(fmt.Errorf("%s holds a configuration already", dir), "choose another directory; init never overwrites")
			}
			if err := initDir(dir, ":2222"); err != nil {
				return err
			}
			fmt.Printf(`Made %[1]s. Next:
  1. Move %[1]s/auditor.key to the auditors' machine: it opens every recording.
  2. List %[1]s/keys/user_ca.pub in TrustedUserCAKeys on your targets.
  3. Describe labs, targets and rules in %[1]s/policy.d, then: entry check --dir %[1]s
  4. Add users:   entry user add alice --dir %[1]s
  5. Start:       entry serve --dir %[1]s
  6. Give users the line in %[1]s/known_hosts; with it they see no host-key warning.
`, dir)
			return nil
		},
	}
}

// initDir makes dir into what `--dir` expects. The configuration comes last,
// so that a directory with one is whole.
func initDir(dir, listen string) error {
	config, err := configs.InitYAML(listen)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	for _, d := range []string{"", "keys", "keys/hosts", "policy.d", "state", "audit", "witness", "spool"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return err
		}
	}
	host, err := ca.GenerateFile(filepath.Join(dir, "keys", "host_ca"), "entry host CA")
	if err != nil {
		return alreadyThere(err)
	}
	if _, err := ca.GenerateFile(filepath.Join(dir, "keys", "user_ca"), "entry user CA"); err != nil {
		return alreadyThere(err)
	}
	signer, verifier, err := audit.GenerateKey("entry")
	if err != nil {
		return err
	}
	identity, recipient, err := recording.GenerateIdentity()
	if err != nil {
		return err
	}
	secret := make([]byte, secretSize)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	line, err := ca.KnownHostsCA(host.PublicKey(), "entry")
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
		{"keys/secret", 0o600, string(secret)},
		{"auditor.key", 0o600, identity + "\n"},
		{"known_hosts", 0o644, line},
		{"entry.yaml", 0o644, string(config)},
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

// createFile makes a new file, durable on return.
func createFile(path, text string, perm fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
