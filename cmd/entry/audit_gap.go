//go:build linux

package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/bastion/site"
	"entry/configs"
)

// writersVerbs are the verbs of entry audit that change a log, or vouch for one.
func writersVerbs() []*cobra.Command {
	return []*cobra.Command{acceptGapCmd(), setWitnessAsideCmd(), witnessCmd(), agentKeyCmd()}
}

func acceptGapCmd() *cobra.Command {
	var key string
	var a site.Acceptance
	cmd := &cobra.Command{
		Use:   "accept-gap --reason TEXT --key FILE",
		Short: "Begin the log anew where records of it are lost for good",
		Long: `Where the log is older than its witness or the database, or damaged, and no newer
copy of it is left, nothing starts: that could be an attack. An auditor who has
looked into it signs that the log begins anew, with their own key (entry audit
auditor-key makes one).

The new log has a key and an origin of its own. Its first record is the newest
checkpoint of the log before that the log, its witness or the database knows of, with
the gaps before this one, the reason and the auditor's signature for this log's key.
The log before stays whole, in the folder "before" of the new one: what it took from
accounts is taken from an older database, too. What the witness has of it stays in
the witness directory. entry audit verify shows every gap for ever.

While the witness directory has nothing of the log, this is refused: its disk may not
be mounted, and would know how much is lost. If that is gone too, say so with
--without-witness; should it come back, entry audit set-witness-aside leads on.

Where nothing but the log's signing key is lost, so that the log can't be signed any
more, --key-lost says so: the log before ends with its newest record. A key that was
stolen isn't lost: entry keys rotate audit.

Stop the server first. If this is cut off, run it again.`,
		Example: `  entry audit auditor-key ada.key
  entry audit accept-gap --key ada.key --reason "disk lost; copy of 2 March"`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.Reason == "" || key == "" {
				return hinted(failf(exitUsage, "accept-gap needs --reason and --key"), "see "+cmd.CommandPath()+" --help")
			}
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if a.Key, err = audit.ReadKey(key); err != nil {
				return failf(exitUsage, "--key: %w", err)
			}
			if _, err := note.NewSigner(a.Key); err != nil { // x/mod's error may quote it
				return hinted(failf(exitUsage, "--key: %s has no auditor's signing key", key), "entry audit auditor-key FILE makes one")
			}
			if err := site.AcceptGap(cfg, a); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The log begins anew. The one before is in %s/before.\nGive auditors the new public key: %s\n", cfg.Audit.Directory, cfg.Audit.PublicKey)
			if len(cfg.Audit.Witnesses) > 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "Give it to the operators of the witnesses elsewhere, too: until they have it nobody vouches for the log.")
			}
			if !a.KeyLost {
				fmt.Fprintln(cmd.OutOrStdout(), "Nothing knows any more what the lost records took from users, such as access or a key,\nunless the database has it: compare entry user ls with what you know.")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&a.Reason, "reason", "", "`TEXT` that the log keeps")
	cmd.Flags().StringVar(&key, "key", "", "`FILE` with the auditor's signing key")
	cmd.Flags().BoolVar(&a.KeyLost, "key-lost", false, "the log's signing key is lost, and nothing of the log")
	cmd.Flags().BoolVar(&a.Unwitnessed, "without-witness", false, "what the witness directory had of the log is lost as well")
	return cmd
}

func setWitnessAsideCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "set-witness-aside",
		Short: "Make room in a witness directory that came back late",
		Long: `After entry audit accept-gap --without-witness, the witness of the log before may come
back, and stands where the new log's belongs: nothing starts. This gives it another
name, in the same directory, if it is of a log before this one, and puts on record up
to where it goes. Nothing is removed.`,
		Example: "  entry audit set-witness-aside",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			did, err := site.SetWitnessAside(cmd.Context(), cfg)
			if did != "" {
				fmt.Fprintln(cmd.OutOrStdout(), did)
			}
			return err
		},
	}
}

// databaseKnows is how far the database knows the log to be.
func databaseKnows(cfg *configs.Config) (audit.Position, error) { return site.Known(cfg) }
