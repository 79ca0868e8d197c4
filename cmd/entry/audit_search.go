package main

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/logs"
	"entry/audit/plain"
	"entry/audit/when"
	"entry/policy/strict"
)

func auditSearchCmd() *cobra.Command {
	var q audit.Query
	var source, since, until, searched string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Show the events that match every condition",
		Long: `Show the events that match every condition given, oldest first.

Times are UTC unless they say otherwise. Names that no account has are in the log
as hashes only, since people type passphrases there. --user finds
those too where it can read the server's secret (as root on the server); else it
says that it didn't look for them, as it does of logs of servers that may have
another secret. Who comes with public keys alone, of which none
opens anything, is a login.failed of the reason unknown-key, once a minute for an
address, with the last key's fingerprint and how many such connections there were.

--after SEQ is for who ships the log elsewhere: with --json, all events behind the one
called so, exactly as they stand in the log; the last one's "seq" is the next SEQ. An
event is never shown before it is signed, and none is left out. Exit code 4: none yet; 1
where the log has less than SEQ, since it isn't the one that was shipped so far.

Who reads a recording is a recording.read. A search in several (sessions grep, audit
files) is one for each 200 of them, which --session finds by each; of the pattern it
has a keyed digest only, since that may be a secret or tell of a person. --searched
finds the searches for one that you know.

Of a log of more than 16 MiB you get an index of your own, in ~/.cache/entry or in the
FOLDER that --index names: the first search reads all of the log and makes it, those
after that take a moment. It is believed for nothing but where to look: what is shown is
read from the log, and where the index isn't what was written into it, or the log's files
aren't what they were, the log is read again. It names nobody, and may be removed at any
time. Searches by --source, --searched or --after alone read all of the log, as those
with --no-index do.`,
		Example: `  entry audit search --user alice --since 7d
  entry audit search --type login --source 192.0.2.0/24
  entry audit search --ref K7Q2MX            the reference a user was shown
  entry audit search --json --after 4711     what came behind record 4711
  entry audit search --session 01JQ8Z3M6W --no-readings
  entry audit search --session 01JQ8Z3M6W --type recording.read`,
		Args: func(cmd *cobra.Command, args []string) error {
			err := usageArgs(cobra.NoArgs)(cmd, args)
			if err == nil {
				return nil
			}
			return hinted(err, "what is searched for goes behind a flag: --ref "+plain.Word(args[0])+" for a reference that a user was shown, or --user, --session, --type; see "+cmd.CommandPath()+" --help")
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Type != "" && !audit.KnownType(q.Type) {
				names := typeNames()
				if near := strict.DidYouMean(q.Type, append(firstWords(names), names...)); near != "" {
					return failf(exitUsage, "--type %q: no such type of event%s", q.Type, near)
				}
				return hinted(failf(exitUsage, "--type %q: no such type of event", q.Type), "the types are: "+strings.Join(names, " "))
			}
			if q.Source, err = parseSource(source); err != nil {
				return err
			}
			if q.Since, q.Until, err = parseSpan(since, until, time.Now()); err != nil {
				return err
			}
			all, err := auditLogs(cmd)
			if err != nil {
				return err
			}
			if q.After > 0 && len(all) > 1 {
				return failf(exitUsage, "--after goes with one --log: each log counts its own records")
			}
			if q.Session, err = sessionFlag(cmd, "--session", q.Session); err != nil {
				return err
			}
			if searched != "" {
				keys, err := serverKeys(cmd)
				if err != nil {
					return hinted(&exitError{code: exitUsage, err: err}, "the log's digests need the server's secret: run this as root there")
				}
				q.Digests = keys.FileHashes("pattern", []byte(searched))
				noteForeign(cmd, all, "searches for a pattern")
			}
			if q.User != "" {
				if keys, err := serverKeys(cmd); err == nil {
					q.UserHashes = keys.NameHashes(q.User)
					noteForeign(cmd, all, "names that no account has")
				} else {
					_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: without the server's secret nobody can tell which names that no account has were %s, so those aren't searched: %v\n", plain.Word(q.User), err)
				}
			}
			out, err := newListing(cmd)
			if err != nil {
				return err
			}
			search := searching(cmd)
			for x := range logs.Events(all, func(l logs.Log) iter.Seq2[audit.Event, error] { return search.Events(l, q) }) {
				if quiet && x.Err == nil && x.What.Type == audit.RecordingRead {
					continue
				}
				if err := out.show(x); err != nil {
					return err
				}
			}
			if err := out.end(); err != nil || out.n > 0 {
				return err
			}
			return failf(exitNotFound, "no event matches")
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.User, "user", "", "account `NAME`, or the hash of an unknown name")
	f.StringVar(&q.Target, "target", "", "target `NAME`, home or home.tinker")
	f.StringVar(&q.Session, "session", "", "`ID` of a session, a recording or a client connection, the start of one, or last (the newest recording's)")
	f.StringVar(&q.Ref, "ref", "", "reference `ID` that a user was shown")
	f.StringVar(&q.Type, "type", "", "`TYPE` of event, such as login.failed, or its first word, such as login")
	f.StringVar(&source, "source", "", "client `ADDRESS` or network")
	f.StringVar(&searched, "searched", "", "searches of recordings for exactly this `PATTERN`; needs the server's secret")
	f.Uint64Var(&q.After, "after", 0, "behind the record with this `SEQ`")
	f.BoolVar(&quiet, "no-readings", false, "without those that say who read or searched recordings")
	f.String("index", "", "`FOLDER` with the index, also of a small log")
	f.Bool("no-index", false, "read all of the log")
	cmd.MarkFlagsMutuallyExclusive("index", "no-index")
	f.StringVar(&since, "since", "", "from this `TIME` on: "+when.Forms)
	f.StringVar(&until, "until", "", "before this `TIME`")
	return cmd
}

// noteForeign says of which logs a search may miss what has a keyed digest there: one
// secret is at hand, and their servers may have others.
func noteForeign(cmd *cobra.Command, all []logs.Log, what string) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return // then there is no secret either
	}
	for _, l := range logs.Besides(all, cfg.Audit.Directory) {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: %s: %s are found in it only where its server has the same keys.secret\n", l.Dir, what)
	}
}

// firstWords are the words by which all types that begin so are found.
func firstWords(types []string) (words []string) {
	for _, t := range types {
		if word, _, _ := strings.Cut(t, "."); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

// parseSource parses what --source says; "" is no network.
func parseSource(source string) (netip.Prefix, error) {
	if source == "" {
		return netip.Prefix{}, nil
	}
	network, err := audit.ParseSource(source)
	if err != nil {
		return network, failf(exitUsage, "--source %q: want an address or a network such as 192.0.2.0/24", source)
	}
	return network, nil
}

func typeNames() (names []string) {
	for _, t := range audit.Types() {
		names = append(names, t.String())
	}
	return names
}
