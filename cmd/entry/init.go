//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/site"
	"entry/configs"
)

func initCmd() *cobra.Command {
	var listen, origin string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a directory with a configuration, keys and an empty policy",
		Long: `Make a directory with everything that entry serve needs: the configuration, the
host CA and the user CA, the audit log's key, the auditors' key, and a policy
that permits nothing yet, with an example beside it. Nothing that exists is
overwritten.

Run it as the account that will run entry serve: the files are that account's
alone.

The server listens on this machine alone until told otherwise, by --listen or by
listeners in DIR/entry.yaml.

The audit log has a name for ever, which no other log should have that the same
witness cosigns: --origin, such as this server's host name.

DIR/auditor.key opens every recording. Move it to the auditors' own machine:
the jump host doesn't need it and should not be able to read what it recorded.`,
		Example: "  entry init --dir /etc/entry\n  entry init --dir /etc/entry --listen :2222",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dirOnly(cmd)
			if err != nil {
				return err
			}
			if dir == "" {
				return hinted(failf(exitUsage, "init needs a directory to make"), "for example: entry init --dir /etc/entry")
			}
			if _, err := os.Stat(filepath.Join(dir, configs.FileName)); err == nil {
				return hinted(fmt.Errorf("%s holds a configuration already", dir), "init never overwrites; choose another directory, or go on with entry check --dir "+plain.Shell(dir))
			}
			if err := site.Init(dir, listen, origin); err != nil {
				return err
			}
			fmt.Printf(`Made %[1]s. Next:
  1. Move %[1]s/auditor.key to the auditors' machine: it opens every recording.
  2. Put %[1]s/witness elsewhere: mount another disk there, or better a folder of
     another host. Signed checkpoints go there, which show that the audit log wasn't
     put back to an older state; on the log's own disk they show nothing.
  3. On each target, copy %[1]s/keys/user_ca.pub to /etc/ssh/entry_user_ca.pub, put
     the line "TrustedUserCAKeys /etc/ssh/entry_user_ca.pub" into its sshd_config
     (from OpenSSH 9.8 on also "PerSourcePenaltyExemptList ADDRESS", with this
     machine's address, or one user's failures shut out all) and reload its sshd.
  4. Describe labs, targets and rules: copy %[1]s/policy.d/lab.yaml.example to
     lab.yaml beside it and edit that.
  5. Check it:    entry check --dir %[2]s
     It prints the line that users put into known_hosts, so that they see no
     host-key warning.
  6. Add a user:  entry user add alice --dir %[2]s
  7. Start:       entry serve --dir %[2]s
%[3]sSo that nobody here can change what is on record, root included: have another machine
witness it. There, "entry audit witness --help" says how; it needs %[1]s/keys/audit.pub.
`, dir, plain.Shell(dir), whereListening(dir, listen))
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:2222", "the `ADDRESS` to listen on, such as :2222 for every one of this machine")
	cmd.Flags().StringVar(&origin, "origin", site.DefaultOrigin, "the `NAME` of the audit log, such as tinker.example.org/log")
	return cmd
}

// whereListening is the step that lets users in from elsewhere.
func whereListening(dir, listen string) string {
	if !configs.Loopback(listen) {
		return ""
	}
	return fmt.Sprintf(`  8. Let others in: so far it listens on %s, for this machine alone. Once
     all is as it should be, change that under listeners in %s/entry.yaml
     (":2222" is every address of this machine) and start it again.
`, listen, dir)
}
