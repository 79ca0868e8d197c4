package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
)

func auditCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read, search and prove the audit log",
		Long: `The audit log says who did what, when, by which rule. Every record is signed
into a tree before the thing it tells of goes on; entry audit verify proves that
none was changed since.

Listings quote whatever came from outside. Times are UTC. --json prints the
records exactly as they stand in the log.`,
		Example: `  entry audit tail -f
  entry audit search --user alice --since 7d
  entry audit verify`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().String("log", "", "`DIR` that holds the log or a copy of it, instead of the configuration's")
	cmd.PersistentFlags().Bool("json", false, "one JSON object a line")
	cmd.AddCommand(auditTailCmd(), auditSearchCmd(), auditVerifyCmd())
	return cmd
}

func auditTailCmd() *cobra.Command {
	var n int
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the last events, and new ones as they come",
		Example: `  entry audit tail
  entry audit tail -n 100 --json
  entry audit tail -f`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 0 {
				return failf(exitUsage, "-n %d: want 0 or more", n)
			}
			dir, err := auditLogDir(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			_, err = listEvents(cmd, audit.Tail(ctx, dir, n, follow))
			return err
		},
	}
	cmd.Flags().IntVarP(&n, "lines", "n", 20, "how many `EVENTS` to show")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events until interrupted")
	return cmd
}

func auditSearchCmd() *cobra.Command {
	var q audit.Query
	var source, since, until string
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Show the events that match every condition",
		Long: `Show the events that match every condition given, oldest first.

A time is a date (2026-03-01), a date and time (2026-03-01T09:00:00Z), both UTC
unless they say otherwise, or an age (90m, 24h, 7d). Names that no account has
are in the log as hashes only, since people type passphrases there.`,
		Example: `  entry audit search --user alice --since 7d
  entry audit search --type login --source 192.0.2.0/24
  entry audit search --ref K7Q2MX            the reference a user was shown
  entry audit search --session 01JQ8Z3M6W… --json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Type != "" && !audit.KnownType(q.Type) {
				return hinted(failf(exitUsage, "--type %q: no such type of event", q.Type), "the types are: "+typeNames())
			}
			if source != "" {
				if q.Source, err = audit.ParseSource(source); err != nil {
					return failf(exitUsage, "--source %q: want an address or a network such as 192.0.2.0/24", source)
				}
			}
			now := time.Now()
			if q.Since, err = parseWhen(since, now); err != nil {
				return failf(exitUsage, "--since %w", err)
			}
			if q.Until, err = parseWhen(until, now); err != nil {
				return failf(exitUsage, "--until %w", err)
			}
			dir, err := auditLogDir(cmd)
			if err != nil {
				return err
			}
			n, err := listEvents(cmd, audit.Search(dir, q))
			if err == nil && n == 0 {
				return failf(exitNotFound, "no event matches")
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.User, "user", "", "account `NAME`, or the hash of an unknown name")
	f.StringVar(&q.Target, "target", "", "target `NAME`, home or home.tinker")
	f.StringVar(&q.Session, "session", "", "`ID` of a session, a recording or a client connection")
	f.StringVar(&q.Ref, "ref", "", "reference `ID` that a user was shown")
	f.StringVar(&q.Type, "type", "", "`TYPE` of event, such as login.failed, or its first word, such as login")
	f.StringVar(&source, "source", "", "client `ADDRESS` or network")
	f.StringVar(&since, "since", "", "from this `TIME` on")
	f.StringVar(&until, "until", "", "before this `TIME`")
	return cmd
}

const noLogYet = "the log is made when entry serve first starts"

func auditVerifyCmd() *cobra.Command {
	var key, witness, spool string
	var growing bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that no record was changed, and say up to where it is witnessed",
		Long: `Recompute the log from its lines and hold it against the signed checkpoint and
every checkpoint in the witness directory. A log that isn't what was written is
named by its first bad record, and the exit code is 1. Then hold every recording
against the log: a changed, cut, swapped or missing one is named. No key that
opens recordings is needed.

"witnessed up to" means that a checkpoint in the second directory covers the
record: somebody who could change this machine's files alone can't have taken it
away. "not witnessed since" means that records after that one could be missing
without a trace, if somebody put back an older log with its checkpoint.

Only the files and the public key are needed, on any machine: --log, --witness,
--public-key and --recordings name copies. Take the copy of the checkpoint
before the copy of the events; with --growing, records beyond it are no fault.`,
		Example: `  entry audit verify
  entry audit verify --log copy/audit --witness copy/witness --public-key audit.pub`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, o, err := verifyPlace(cmd, key, witness)
			if err != nil {
				return err
			}
			o.Growing = growing
			if !cmd.Flags().Changed("log") {
				if spool, err = spoolDir(cmd); err != nil {
					return err
				}
			}
			if !exists(filepath.Join(dir, "events.jsonl")) && (o.Witness == "" || !exists(filepath.Join(o.Witness, "checkpoints"))) {
				return hinted(failf(exitNotFound, "there is no audit log in %s, and no witness of one", dir), noLogYet)
			}
			rep, err := audit.Verify(dir, o)
			var kept evidence.Report
			if err == nil && spool != "" {
				kept, err = evidence.Verify(dir, spool)
			}
			asJSON, jerr := cmd.Flags().GetBool("json")
			if jerr != nil {
				return jerr
			}
			if asJSON {
				if werr := writeVerdict(cmd.OutOrStdout(), rep, kept, err); werr != nil {
					return werr
				}
			} else if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), rep)
				if spool != "" {
					fmt.Fprintln(cmd.OutOrStdout(), kept)
				}
			}
			var bad *audit.BadRecord
			if errors.As(err, &bad) {
				return hinted(failf(exitFailure, "%w", err), "keep these files as they are, copy them away, and compare with the witness directory and backups")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&key, "public-key", "", "`FILE` with the log's public key, with --log")
	cmd.Flags().StringVar(&witness, "witness", "", "`DIR` of witnessed checkpoints, with --log")
	cmd.Flags().StringVar(&spool, "recordings", "", "`DIR` of recordings to hold against the log, with --log")
	cmd.Flags().BoolVar(&growing, "growing", false, "the log is a copy made while the server wrote it")
	return cmd
}

// auditLogDir is the directory that --log or the configuration names.
func auditLogDir(cmd *cobra.Command) (string, error) {
	dir, err := cmd.Flags().GetString("log")
	if err != nil || dir != "" {
		return dir, err
	}
	dir, _, _, err = auditDirs(cmd)
	return dir, err
}

// verifyPlace is what to verify: copies named by flags, else the
// configuration's. The two aren't mixed: a copy's witness is no witness of the
// running log.
func verifyPlace(cmd *cobra.Command, keyFile, witness string) (string, audit.VerifyOptions, error) {
	dir, err := cmd.Flags().GetString("log")
	if err != nil {
		return "", audit.VerifyOptions{}, err
	}
	if dir == "" {
		if keyFile != "" || witness != "" {
			return "", audit.VerifyOptions{}, failf(exitUsage, "--public-key and --witness go with --log")
		}
		dir, witness, key, err := auditDirs(cmd)
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

// listEvents prints events and returns how many. Lines that are no events are
// told on stderr, the rest is still shown, and the result is a failure.
func listEvents(cmd *cobra.Command, list iter.Seq2[audit.Event, error]) (n int, err error) {
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return 0, err
	}
	out := cmd.OutOrStdout()
	damaged := 0
	var line []byte
	for e, err := range list {
		var bad *audit.BadRecord
		switch {
		case errors.As(err, &bad):
			damaged++
			fmt.Fprintf(cmd.ErrOrStderr(), "entry: %v\n", err)
			continue
		case errors.Is(err, context.Canceled):
			return n, nil
		case errors.Is(err, fs.ErrNotExist):
			return n, hinted(&exitError{code: exitNotFound, err: err}, noLogYet)
		case err != nil:
			return n, err
		}
		if asJSON {
			line = e.AppendJSON(line[:0])
		} else {
			line = appendListing(line[:0], e)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return n, err
		}
		n++
	}
	if damaged > 0 {
		return n, hinted(failf(exitFailure, "%d lines of the log are not events", damaged), "entry audit verify says more")
	}
	return n, nil
}

// appendListing appends one event as one line for a person: time, sequence
// number, type, then every field that is set, in the log's order.
func appendListing(b []byte, e audit.Event) []byte {
	b = append(b, plain.Time(e.Time)...)
	b = fmt.Appendf(b, " %7d %-22s", e.Seq, e.Type)
	return appendFields(b, "", reflect.ValueOf(e))
}

// appendFields walks the struct so that a new field of Event is never left out
// of the listing. It shows what the log does: a zero only where the log writes
// zeros, such as root's uid.
func appendFields(b []byte, prefix string, v reflect.Value) []byte {
	for i := range v.NumField() {
		f := v.Field(i)
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if f.IsZero() && option == "omitempty" {
			continue
		}
		switch prefix + name {
		case "schema", "seq", "time", "type":
			continue
		}
		for f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		if t, ok := f.Interface().(time.Time); ok {
			b = fmt.Appendf(b, " %s%s=%s", prefix, name, plain.Time(t))
			continue
		}
		if f.Kind() == reflect.Struct {
			b = appendFields(b, prefix+name+".", f)
			continue
		}
		b = fmt.Appendf(b, " %s%s=%s", prefix, name, plain.Word(fmt.Sprint(f.Interface())))
	}
	return b
}

// verdict is verify's --json line.
type verdict struct {
	Consistent  bool       `json:"consistent"`
	Events      uint64     `json:"events,omitempty"`
	Last        *time.Time `json:"last,omitempty"`
	Witnessed   uint64     `json:"witnessed,omitempty"`
	WitnessedAt *time.Time `json:"witnessed_at,omitempty"`
	Unsigned    int64      `json:"unsigned_bytes,omitempty"`
	Recordings  int        `json:"recordings,omitempty"` // consistent with the log
	File        string     `json:"file,omitempty"`
	Line        uint64     `json:"line,omitempty"`
	Through     uint64     `json:"through,omitempty"`
	Seq         uint64     `json:"seq,omitempty"`
	Why         string     `json:"why,omitempty"`
}

func writeVerdict(w io.Writer, rep audit.Report, kept evidence.Report, err error) error {
	v := verdict{Recordings: kept.Recordings, Consistent: err == nil, Events: rep.Events, Witnessed: rep.Witnessed, Unsigned: rep.Unsigned}
	if rep.Events > 0 {
		v.Last = &rep.Last
	}
	if rep.Witnessed > 0 {
		v.WitnessedAt = &rep.WitnessedAt
	}
	var bad *audit.BadRecord
	if errors.As(err, &bad) {
		v.File, v.Line, v.Through, v.Seq, v.Why = bad.File, bad.Line, bad.Through, bad.Seq, bad.Why
	} else if err != nil {
		v.Why = err.Error()
	}
	return json.NewEncoder(w).Encode(v)
}

// parseWhen parses a date, a time or an age before now; "" is the zero time.
func parseWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q: want 2026-03-01, 2026-03-01T09:00:00Z, 90m, 24h or 7d", s)
}

func typeNames() string {
	var names []string
	for _, t := range audit.Types() {
		names = append(names, t.String())
	}
	return strings.Join(names, " ")
}
