package main

import (
	"github.com/spf13/cobra"
)

func auditVerifyCmd() *cobra.Command {
	var v verifying
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that no record was changed, and who vouches for that",
		Long: `Recompute the log from its lines and hold it against the signed checkpoint and
every checkpoint in the witness directory. A log that isn't what was written is
named by its first bad record, and the exit code is 1. Then hold every recording
against the log, and its sealed key: a changed, cut, swapped or missing one is named,
and one that is there though the log says that its lab's retention was over. No key that opens
recordings is needed.

"witnessed up to" means that a checkpoint in the second directory covers the
record: somebody who could change this machine's files alone can't have taken it
away. A directory on the log's own file system is "no witness", and where it lies is
told; of copies that can't be said. The log is also held against the last checkpoint
that the database knows, where the configuration's is verified and it can be read.
"not witnessed since" means that records after that one could be missing
without a trace, if somebody put back an older log with its checkpoint.

"witnessed up to … by NAME" means the same of a witness elsewhere that has cosigned the
log's checkpoints: who has all of this machine, the log's key too, can't have changed
or dropped the record since. Its public key says so, given by --witness KEY or by the
configuration; of those --need have to (all, if nothing else is said) or the exit code
is 1. The last minute of the log may still lack them. Of what witnesses have
cosigned the file "cosigned" in the log's directory is kept. Somebody who takes away
that file with the log's end takes both: compare the time with today's, or ask the
witness.

A log that begins anew after a gap says so in its first record, which an auditor
has signed for this log's key. Every gap is always shown, those of the logs before
too, and the exit code is 1 unless each is named by a --gap. The log before is in the
folder "before", with its public key beside it; that it isn't there counts as a gap.

What stands behind the last record that the checkpoint covers was never acknowledged
to anybody: a crash leaves such lines, and whoever can write the file can add some.
They are no fault and count for nothing; verify tells how many there are, with their
SHA-256, once it has waited up to five seconds for the checkpoint of a running server. The next start moves them to a file of their own beside the log and puts that
on record, and verify tells that for ever.

The log is a row of files: events.jsonl is written, those called events-… are
sealed. Any tool may compress these (.gz, .zst), move them to the folder
"archive" beside them, which may be a mount or a link, or away. All that are
there are verified, on all cores. Of those that aren't, verify tells which
records they have: their hashes are kept in the file "hashes" and proven, and what
comes back is held against them. That file is held against what is there, too. One that was cut, split or renamed is named, and is a failure, as is
one that is there twice and differs, a file that is none of the log's, and an archive
that can't be read. A
recording that may have started or ended in records that aren't here is "not held
against the log". One that the log knows, and that is missing or has another key, is
a failure all the same: if a later record that isn't here says why, such as that its
lab's retention was over, put that back, or accept it with --absent. Of how many the key
may have been sealed anew in records that aren't here, so that an earlier one would pass,
is told.

--since-checkpoint FILE goes on from an earlier verification: FILE is a copy of
the file "checkpoint" in the log's directory, made before that. What it covers
isn't read again, but proven to be the beginning of the log; what starts before that
have set aside isn't told again, and recordings aren't looked at.

Only the files and the public key are needed, on any machine: --log, --witness,
--public-key and --recordings name copies. Take the copy of the checkpoint
before the copy of the events. Several logs are verified one after the other, whatever
is found in one; what belongs to them (--public-key, and --witness DIR, --recordings and
--since-checkpoint where they are given) is named as often as --log is, in the same
order, with "" where a log has none. Witnesses' keys and --gap are for all of them.`,
		Example: `  entry audit verify
  entry audit verify --log copy/audit --witness copy/wit --public-key audit.pub
  entry audit verify --since-checkpoint verified-on-monday
  entry audit verify --witness witness.example.org+024fd97b+BEwchu… --need 1`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := v.cases(cmd)
			if err != nil {
				return err
			}
			var errs []error
			for _, c := range all {
				if err := c.verify(cmd); err != nil {
					errs = append(errs, c.Failed(err))
				}
			}
			return worst(cmd, errs)
		},
	}
	cmd.Flags().StringArrayVar(&v.accepted, "gap", nil, "`ID` of a gap that you accept; once for each")
	cmd.Flags().StringArrayVar(&v.absent, "absent", nil, "`FROM-TO`, records that aren't here and that you know to say why a recording or its key isn't as it was; once for each range")
	cmd.Flags().StringArrayVar(&v.keys, "public-key", nil, "the log's public `KEY`, or one that it had, or the file that has it, with --log")
	cmd.Flags().StringArrayVar(&v.since, "since-checkpoint", nil, "`FILE` with a checkpoint verified before: read only what came after")
	v.flags(cmd)
	cmd.Flags().StringArrayVar(&v.spools, "recordings", nil, "`DIR` of recordings to hold against the log, with --log")
	return cmd
}
