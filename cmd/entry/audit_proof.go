package main

import (
	"errors"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/segment"
)

func auditProofCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "proof EVENT|SESSION [-o FILE]",
		Short: "Prove one event, or all of a session, to an outsider",
		Long: `Prove that the log has a record, to somebody who has neither the log nor this
program. EVENT is its sequence number, the second column of entry audit search; the
proof is a C2SP tlog-proof (https://c2sp.org/tlog-proof) with the record's exact line
as its extra data, on standard output or in FILE. SESSION is the ID of one, or the start
of it, or "last": all that the log says of it and of the login that it came by, in a bundle that
lacks the recording (entry sessions bundle has that, too).

The proof leads to the newest tree head that witnesses have cosigned, or, where none
has, to the log's own. entry verify-bundle checks both.`,
		Example: `  entry audit proof 1234 -o login.tlog-proof
  entry audit proof 01JQ8Z3M6W -o case-17-log.tar`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("log") {
				return failf(exitUsage, "a proof needs the log's public key and its witnesses: name the configuration, by --config or --dir, and not --log")
			}
			s, err := proofSource(cmd)
			if err != nil {
				return err
			}
			seq, err := strconv.ParseUint(args[0], 10, 62)
			if err != nil {
				id, err := sessionFlag(cmd, "session", args[0])
				if err != nil {
					return err
				}
				if out == "" {
					return failf(exitUsage, "-o is missing: the file to write the session's records to")
				}
				return writeBundle(cmd, s, id, out)
			}
			r, err := s.Prove(seq)
			var absent *segment.Absent
			var bad *audit.BadRecord
			switch {
			case errors.As(err, &absent):
				return hinted(failf(exitNotFound, "%w", err), "put its segment back beside the log, or into the folder archive there")
			case errors.As(err, &bad):
				return hinted(failf(exitFailure, "%w", err), "entry audit verify says more")
			case err != nil:
				return failf(exitNotFound, "%w", err)
			}
			if out == "" {
				_, err := cmd.OutOrStdout().Write(r.Marshal())
				return err
			}
			return writeNew(out, func(w io.Writer) error {
				_, err := w.Write(r.Marshal())
				return err
			})
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the `FILE` to write; it may not be there yet")
	return cmd
}
