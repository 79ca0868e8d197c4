//go:build linux

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/bastion/site"
)

// writersVerbs are the verbs of entry audit that change a log.
func writersVerbs() []*cobra.Command { return []*cobra.Command{acceptGapCmd()} }

func acceptGapCmd() *cobra.Command {
	var reason, key string
	cmd := &cobra.Command{
		Use:   "accept-gap --reason TEXT --key FILE",
		Short: "Begin the log anew where records of it are lost for good",
		Long: `Where the log is older than its witness or the database, or damaged, and no newer
copy of it is left, nothing starts: that could be an attack. An auditor who has
looked into it signs that the log begins anew, with their own key (entry audit
auditor-key makes one).

The new log has a key and an origin of its own. Its first record is the newest
checkpoint of the log before, with the reason and the auditor's signature. The log
before stays whole, in the folder "before" of the new one; what the witness has of
it stays in the witness directory. entry audit verify shows the gap for ever.

Stop the server first. If this is cut off, run it again.`,
		Example: `  entry audit auditor-key ada.key
  entry audit accept-gap --key ada.key --reason "disk lost on 3 March; newest copy is of 2 March"`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if reason == "" || key == "" {
				return hinted(failf(exitUsage, "accept-gap needs --reason and --key"), "see "+cmd.CommandPath()+" --help")
			}
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			signer, err := audit.ReadKey(key)
			if err != nil {
				return failf(exitUsage, "--key: %w", err)
			}
			if err := site.AcceptGap(cfg, signer, reason); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The log begins anew. The one before is in %s/before.\nGive auditors the new public key: %s\n", cfg.Audit.Directory, cfg.Audit.PublicKey)
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` that the log keeps")
	cmd.Flags().StringVar(&key, "key", "", "`FILE` with the auditor's signing key")
	return cmd
}
