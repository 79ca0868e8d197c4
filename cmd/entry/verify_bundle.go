package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/bundle"
)

func verifyBundleCmd() *cobra.Command {
	var t bundle.Trust
	cmd := &cobra.Command{
		Use:   "verify-bundle FILE",
		Short: "Check a session's bundle, or one record's proof",
		Long: `Check a bundle of a session, or one record's proof: that every record in it stands in
the log, by a proof to a tree head that the log's key signed and witnesses cosigned,
and that the recording is whole and the one that those records speak of, with its
sealed key. Neither a configuration nor a network is needed, nor a key that opens
recordings.

The keys in a bundle come from who made it. --log-key and --witness are the ones that
you have from elsewhere: from the institution, or whoever runs a witness. Without
--log-key it isn't shown whose log it is, which is said.

A session from before an accepted gap is proven by the key of any log since: by the first
record of each, which has the last tree head of the one before.

That the log has no other record of the session isn't shown by a bundle: only the whole
log does (entry audit verify). README.txt in a bundle is no part of what is proven. Exit code 1: something isn't what was written; 2: the
file isn't a bundle, or isn't whole.`,
		Example: `  entry verify-bundle case-17.tar --log-key audit.pub
  entry verify-bundle case-17.tar --log-key audit.pub --witness "$(cat w.pub)"
  entry verify-bundle login.tlog-proof --log-key audit.pub`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := readTrust(&t); err != nil {
				return err
			}
			rep, err := bundle.VerifyFile(args[0], t)
			switch {
			case errors.Is(err, bundle.ErrNotBundle), errors.Is(err, bundle.ErrNotRecord):
				return failf(exitUsage, "%s %w", args[0], err)
			case errors.Is(err, bundle.ErrNoKey):
				return hinted(failf(exitUsage, "%w", err), "give the log's public key, as you have it from elsewhere: --log-key KEY")
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
				return permitted(&exitError{code: exitUsage, err: err})
			case err != nil:
				return disproven(args[0], err)
			}
			if asJSON(cmd) {
				return printJSON(cmd, rep)
			}
			if err := rep.Tell(cmd.OutOrStdout()); err != nil {
				return err
			}
			for _, note := range rep.Notes() {
				fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: "+note)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.Key, "log-key", "", "the log's public `KEY`, or the file that has it")
	f.StringArrayVar(&t.Witnesses, "witness", nil, "public `KEY` of a witness, once for each")
	f.IntVar(&t.Need, "need", 0, "`NUMBER` of these witnesses that have to have cosigned; all without it")
	f.Bool("json", false, "one JSON object: what was proven, with the records")
	return cmd
}

// readTrust makes a key of a file with one.
func readTrust(t *bundle.Trust) error {
	if t.Key != "" && exists(t.Key) {
		key, err := audit.ReadKey(t.Key)
		if err != nil {
			return &exitError{code: exitUsage, err: err}
		}
		t.Key = key
	}
	if t.Key != "" {
		if _, err := audit.LogName(t.Key); err != nil {
			return failf(exitUsage, "--log-key: neither a file nor a public key of a log")
		}
	}
	v := vouchers{given: t.Witnesses, need: t.Need}
	_, dirs, err := v.split()
	if err == nil && len(dirs) > 0 {
		err = failf(exitUsage, "--witness %.80q isn't a witness's public key", dirs[0])
	}
	if err == nil && t.Need > 0 && len(t.Witnesses) == 0 {
		err = failf(exitUsage, "--need %d: no witness is given by --witness KEY", t.Need)
	}
	return err
}
