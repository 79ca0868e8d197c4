package main

import (
	"github.com/spf13/cobra"
)

func auditCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read, search and prove the audit log",
		Long: `The audit log says who did what, when, by which rule. Every record is signed
into a tree before the thing it tells of goes on; entry audit verify proves that
none was changed since.

Listings quote whatever came from outside. Times are UTC. --json prints the
records exactly as they stand in the log.

Each server has a log of its own. tail, search, coverage and verify take several, or
copies of them, by a --log for each. What they show then says of which log it is, by the
log's origin, or its directory where two have the same; with --json by "log", put before
what the record has. Records are in the order of their times. A log that can't be read
doesn't hide what the others have; the exit code is the worst.`,
		Example: `  entry audit tail -f
  entry audit search --user alice --since 7d
  entry audit search --ref K7Q2MX --log /etc/entry/audit --log /mnt/audit
  entry audit verify`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	logFlag(cmd)
	cmd.PersistentFlags().Bool("json", false, "one JSON object a line")
	cmd.AddCommand(auditTailCmd(), auditSearchCmd(), auditCoverageCmd(), auditFilesCmd(), auditVerifyCmd(), auditProofCmd(), auditorKeyCmd())
	cmd.AddCommand(writersVerbs()...)
	return cmd
}

const noLogYet = "the log is made when entry serve first starts"
