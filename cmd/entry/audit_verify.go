package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/segment"
	"entry/audit/witness"
)

func auditVerifyCmd() *cobra.Command {
	var key, spool, since string
	var vouched vouchers
	var accepted, absent []string
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
lab's retention was over, put that back, or accept it with --absent.

--since-checkpoint FILE goes on from an earlier verification: FILE is a copy of
the file "checkpoint" in the log's directory, made before that. What it covers
isn't read again, but proven to be the beginning of the log; what starts before that
have set aside isn't told again, and recordings aren't looked at.

Only the files and the public key are needed, on any machine: --log, --witness,
--public-key and --recordings name copies. Take the copy of the checkpoint
before the copy of the events.`,
		Example: `  entry audit verify
  entry audit verify --log copy/audit --witness copy/wit --public-key audit.pub
  entry audit verify --since-checkpoint verified-on-monday
  entry audit verify --witness witness.example.org+024fd97b+BEwchu… --need 1`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			away, err := parseAbsent(absent)
			if err != nil {
				return err
			}
			dir, o, err := verifyPlace(cmd, key, &vouched)
			if err != nil {
				return err
			}
			o.Copies = cmd.Flags().Changed("log")
			if !o.Copies {
				cfg, err := loadConfig(cmd)
				if err != nil {
					return err
				}
				o.Copies = !exists(cfg.Database.SQLite) // as on an auditor's machine
				if o.Known, err = databaseKnows(cfg); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: the log isn't held against the database: %v\n", err)
				}
			}
			if !cmd.Flags().Changed("log") {
				if spool, err = spoolDir(cmd); err != nil {
					return err
				}
			}
			if cmd.Flags().Changed("since-checkpoint") {
				if o.Since, err = readCheckpointFile(since); err != nil {
					return err
				}
				spool = ""
			}
			if !segment.Exist(dir) && (o.Witness == "" || !exists(filepath.Join(o.Witness, "checkpoints"))) {
				return hinted(failf(exitNotFound, "there is no audit log in %s, and no witness of one", dir), noLogYet)
			}
			rep, err := audit.Verify(dir, o)
			if err == nil {
				err = vouched.hold(dir, o.PublicKey, rep)
			}
			sound := err == nil // the log itself
			if sound && o.Since != nil && rep.Since == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: the whole log was read: the file of hashes doesn't lead on from the checkpoint that was given")
			}
			var kept evidence.Report
			if sound && spool != "" {
				kept, err = evidence.Verify(dir, spool, away...)
			}
			asJSON, jerr := cmd.Flags().GetBool("json")
			if jerr != nil {
				return jerr
			}
			if asJSON {
				if werr := writeVerdict(cmd.OutOrStdout(), rep, &vouched, kept, err); werr != nil {
					return werr
				}
			} else if sound {
				for _, g := range rep.Gaps {
					fmt.Fprintln(cmd.OutOrStdout(), g)
				}
				fmt.Fprintln(cmd.OutOrStdout(), rep)
				for _, a := range rep.Absent {
					fmt.Fprintf(cmd.OutOrStdout(), "%v; which they were is proven, what they say isn't known\n", &a)
				}
				vouched.tell(cmd.OutOrStdout())
				tellUnsigned(cmd.OutOrStdout(), rep)
				if spool != "" && (err == nil || kept.Recordings > 0) {
					fmt.Fprintln(cmd.OutOrStdout(), kept)
				}
			}
			var bad *audit.BadRecord
			var behind *audit.Behind
			if errors.As(err, &bad) && bad.Remade() {
				return hinted(failf(exitFailure, "%w", err), "move no segment away before the server has started again: that makes the file anew")
			}
			if errors.As(err, &bad) || errors.As(err, &behind) {
				return hinted(failf(exitFailure, "%w", err), "keep these files as they are, copy them away, and compare with the witness directory and backups")
			}
			var m *evidence.Mismatch
			if errors.As(err, &m) && m.Kind == evidence.Unended {
				return hinted(err, "start the server, which puts on record how the crash left it; then this holds it against that")
			}
			if m != nil && len(m.Perhaps) > 0 {
				return hinted(err, "put those segments into the folder archive beside the log and verify again; if you know that they say so, accept it: "+absentFlags(m.Perhaps))
			}
			if err != nil {
				return err
			}
			if err := vouched.enough(); err != nil {
				return err
			}
			var unnamed []string
			for _, g := range rep.Gaps {
				if !slices.Contains(accepted, g.ID) {
					unnamed = append(unnamed, "--gap "+g.ID)
				}
			}
			switch len(unnamed) {
			case 0:
				return nil
			case 1:
				return hinted(failf(exitFailure, "the log has a gap: records before its beginning are lost"),
					"ask the auditor whose key that is; if you accept the gap too, name it: "+unnamed[0])
			}
			return hinted(failf(exitFailure, "the log has %d gaps: records before its beginning are lost", len(unnamed)),
				"ask the auditors whose keys those are; if you accept the gaps too, name each: "+strings.Join(unnamed, " "))
		},
	}
	cmd.Flags().StringArrayVar(&accepted, "gap", nil, "`ID` of a gap that you accept; once for each")
	cmd.Flags().StringArrayVar(&absent, "absent", nil, "`FROM-TO`, records that aren't here and that you know to say why a recording\nor its key isn't as it was; once for each range")
	cmd.Flags().StringVar(&key, "public-key", "", "`FILE` with the log's public key, with --log")
	cmd.Flags().StringVar(&since, "since-checkpoint", "", "`FILE` with a checkpoint verified before: read only what came after")
	vouched.flags(cmd)
	cmd.Flags().StringVar(&spool, "recordings", "", "`DIR` of recordings to hold against the log, with --log")
	return cmd
}

// readCheckpointFile reads a checkpoint that somebody has kept.
func readCheckpointFile(path string) ([]byte, error) {
	f, err := os.Open(path) // which may be a pipe that the operator has made
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	defer f.Close()
	const most = 4 << 10 // bytes; more is no checkpoint
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(b) == 0 {
		return nil, failf(exitUsage, "%s is empty: want a copy of the file \"checkpoint\" in the log's directory", path)
	}
	return b, err
}

// maxAsides is of how many starts verify tells what they set aside.
const maxAsides = 10

// tellUnsigned says what was found of lines that nobody signed.
func tellUnsigned(w io.Writer, rep audit.Report) {
	list := rep.Aside
	if n := len(list) - maxAsides; n > 0 {
		list = list[n:]
		fmt.Fprintf(w, "set aside at %s before those that follow: entry audit search --type log.recovered shows them\n", plain.Count(n, "start"))
	}
	for _, a := range list {
		fmt.Fprintln(w, a)
	}
	if u := rep.Uncovered; u.Bytes > 0 {
		fmt.Fprintf(w, "behind them, covered by no checkpoint: %s; never acknowledged, and no part of the log; the next start sets them aside\n", u)
	}
}

// verifyPlace is what to verify: copies named by flags, else the
// configuration's. The two aren't mixed: a copy's witness is no witness of the
// running log.
func verifyPlace(cmd *cobra.Command, keyFile string, vouched *vouchers) (string, audit.VerifyOptions, error) {
	dir, err := cmd.Flags().GetString("log")
	if err != nil {
		return "", audit.VerifyOptions{}, err
	}
	witness, err := vouched.split()
	if err != nil {
		return "", audit.VerifyOptions{}, err
	}
	if dir == "" {
		if keyFile != "" || witness != "" {
			return "", audit.VerifyOptions{}, failf(exitUsage, "--public-key and --witness go with --log")
		}
		dir, witness, key, err := auditDirs(cmd)
		if err == nil {
			err = vouched.configured(cmd)
		}
		return dir, audit.VerifyOptions{PublicKey: key, Witness: witness}, err
	}
	if keyFile == "" {
		return "", audit.VerifyOptions{}, failf(exitUsage, "--log needs --public-key FILE, and --witness DIR if there is one")
	}
	key, err := audit.ReadKey(keyFile)
	if err != nil {
		return "", audit.VerifyOptions{}, &exitError{code: exitUsage, err: err}
	}
	return dir, audit.VerifyOptions{PublicKey: key, Witness: witness}, nil
}

// verdict is verify's --json line.
type verdict struct {
	Consistent  bool       `json:"consistent"`
	Events      uint64     `json:"events,omitempty"`
	Since       uint64     `json:"since,omitempty"` // the first so many weren't read again
	Last        *time.Time `json:"last,omitempty"`
	Witnessed   uint64     `json:"witnessed,omitempty"`
	WitnessedAt *time.Time `json:"witnessed_at,omitempty"`
	Where       string     `json:"witness_lies,omitempty"` // on which file system
	NoWitness   string     `json:"no_witness,omitempty"`   // why it is none
	WitnessCut  bool       `json:"witness_cut,omitempty"`  // its last checkpoint isn't whole
	Recordings  int        `json:"recordings,omitempty"`   // consistent with the log
	Rewrapped   int        `json:"rewrapped,omitempty"`    // of them, sealed to other auditors since
	Pending     int        `json:"rewrap_pending,omitempty"`
	Unproven    int        `json:"rewrap_unproven,omitempty"` // by whom, as their headers are an older version's

	Absent    []segment.Absent `json:"absent,omitempty"`    // records whose segments aren't here
	Unjudged  int              `json:"unjudged,omitempty"`  // recordings that only they could be held against
	Uncovered *audit.Uncovered `json:"uncovered,omitempty"` // beyond the checkpoint
	Aside     []audit.Aside    `json:"aside,omitempty"`
	Witnesses []witness.Reach  `json:"witnesses,omitempty"` // up to where each vouches for the log
	Unmet     string           `json:"unmet,omitempty"`     // what is said where too few of them do

	Gaps []audit.GapReport `json:"gaps,omitempty"`

	File    string `json:"file,omitempty"`
	Line    uint64 `json:"line,omitempty"`
	Through uint64 `json:"through,omitempty"`
	Seq     uint64 `json:"seq,omitempty"`
	Why     string `json:"why,omitempty"`
}

func writeVerdict(w io.Writer, rep audit.Report, vouched *vouchers, kept evidence.Report, err error) error {
	v := verdict{Witnesses: vouched.reach, Recordings: kept.Recordings, Rewrapped: kept.Rewrapped, Pending: kept.Pending, Unproven: kept.Unproven, Consistent: err == nil, Events: rep.Events, Witnessed: rep.Witnessed, Where: rep.Where, NoWitness: rep.NoWitness, WitnessCut: rep.WitnessCut, Aside: rep.Aside, Gaps: rep.Gaps, Absent: rep.Absent, Unjudged: kept.Unjudged, Since: rep.Since}
	if rep.Uncovered.Bytes > 0 {
		v.Uncovered = &rep.Uncovered
	}
	if !rep.Last.IsZero() {
		v.Last = &rep.Last
	}
	if !rep.WitnessedAt.IsZero() {
		v.WitnessedAt = &rep.WitnessedAt
	}
	if vouched.short != nil {
		v.Unmet = vouched.short.Error()
	}
	var bad *audit.BadRecord
	if errors.As(err, &bad) {
		v.File, v.Seq, v.Why = bad.File, bad.Seq, bad.Why
		v.Line, v.Through = bad.InFile()
	} else if err != nil {
		v.Why = err.Error()
	}
	return json.NewEncoder(w).Encode(v)
}
