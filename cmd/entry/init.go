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

// auditorKey is the file in a directory made by init or demo that opens its
// recordings.
const auditorKey = "auditor.key"

func initCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make a directory with a configuration, keys and an empty policy",
		Long: `Make a directory with everything that entry serve needs: the configuration, the
host CA and the user CA, the audit log's key, the auditors' key, and a policy
that permits nothing yet, with an example beside it. Nothing that exists is
overwritten.

Run it as the account that will run entry serve: the files are that account's
alone.

DIR/auditor.key opens every recording. Move it to the auditors' own machine:
the jump host doesn't need it and should not be able to read what it recorded.`,
		Example: "  entry init --dir /etc/entry",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dirOnly(cmd)
			if err != nil {
				return err
			}
			if dir == "" {
				return hinted(failf(exitUsage, "init needs a directory to make"), "for example: entry init --dir /etc/entry")
			}
			if _, err := os.Stat(filepath.Join(dir, "entry.yaml")); err == nil {
				return hinted(fmt.Errorf("%s holds a configuration already", dir), "init never overwrites; choose another directory, or go on with entry check --dir "+shellWord(dir))
			}
			if err := initDir(dir, ":2222"); err != nil {
				return err
			}
			fmt.Printf(`Made %[1]s. Next:
  1. Move %[1]s/auditor.key to the auditors' machine: it opens every recording.
  2. On each target, copy %[1]s/keys/user_ca.pub to /etc/ssh/entry_user_ca.pub, put
     the line "TrustedUserCAKeys /etc/ssh/entry_user_ca.pub" into its sshd_config
     and reload its sshd.
  3. Describe labs, targets and rules: copy %[1]s/policy.d/lab.yaml.example to
     lab.yaml beside it and edit that.
  4. Check it:    entry check --dir %[2]s
     It prints the line that users put into known_hosts, so that they see no
     host-key warning.
  5. Add a user:  entry user add alice --dir %[2]s
  6. Start:       entry serve --dir %[2]s
`, dir, shellWord(dir))
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
	if _, err := ca.GenerateFile(filepath.Join(dir, "keys", "host_ca"), "entry host CA"); err != nil {
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
	for _, f := range []struct {
		name string
		perm fs.FileMode
		text string
	}{
		{"keys/audit.key", 0o600, signer + "\n"},
		{"keys/audit.pub", 0o644, verifier + "\n"},
		{"keys/auditors.pub", 0o644, recipient + "\n"},
		{"keys/secret", 0o600, string(secret)},
		{auditorKey, 0o600, identity + "\n"},
		{"policy.d/lab.yaml.example", 0o644, configs.ExamplePolicy},
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
