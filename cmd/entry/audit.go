package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/netip"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
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
	cmd.AddCommand(auditTailCmd(), auditSearchCmd(), auditCoverageCmd(), auditFilesCmd(), auditVerifyCmd(), auditProofCmd(), auditorKeyCmd())
	cmd.AddCommand(writersVerbs()...)
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
	var source, since, until, searched string
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Show the events that match every condition",
		Long: `Show the events that match every condition given, oldest first.

Times are UTC unless they say otherwise. Names that no account has are in the log
as hashes only, since people type passphrases there. --user finds
those too where it can read the server's secret (as root on the server); else it
says that it didn't look for them. Who comes with public keys alone, of which none
opens anything, is a login.failed of the reason unknown-key, once a minute for an
address, with the last key's fingerprint and how many such connections there were.

--after SEQ is for who ships the log elsewhere: with --json, all events behind the one
called so, exactly as they stand in the log; the last one's "seq" is the next SEQ. An
event is never shown before it is signed, and none is left out. Exit code 4: none yet; 1
where the log has less than SEQ, since it isn't the one that was shipped so far.

Who reads a recording is a recording.read. A search in several (sessions grep, audit
files) is one for each 200 of them, which --session finds by each; of the pattern it
has a keyed digest only, since that may be a secret or tell of a person. --searched
finds the searches for one that you know.`,
		Example: `  entry audit search --user alice --since 7d
  entry audit search --type login --source 192.0.2.0/24
  entry audit search --ref K7Q2MX            the reference a user was shown
  entry audit search --json --after 4711     what came behind record 4711
  entry audit search --session 01JQ8Z3M6W --type recording.read`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Type != "" && !audit.KnownType(q.Type) {
				return hinted(failf(exitUsage, "--type %q: no such type of event", q.Type), "the types are: "+typeNames())
			}
			if q.Source, err = parseSource(source); err != nil {
				return err
			}
			if q.Since, q.Until, err = parseSpan(since, until, time.Now()); err != nil {
				return err
			}
			dir, err := auditLogDir(cmd)
			if err != nil {
				return err
			}
			if q.Session, err = sessionFlag(cmd, q.Session); err != nil {
				return err
			}
			if searched != "" {
				keys, err := serverKeys(cmd)
				if err != nil {
					return hinted(&exitError{code: exitUsage, err: err}, "the log's digests need the server's secret: run this as root there")
				}
				q.Digest = keys.HashFile("pattern", []byte(searched))
			}
			if q.User != "" {
				if keys, err := serverKeys(cmd); err == nil {
					q.UserHash = keys.HashName(q.User)
				} else {
					_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: without the server's secret nobody can tell which names that no account has were %s, so those aren't searched: %v\n", plain.Word(q.User), err)
				}
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
	f.StringVar(&q.Session, "session", "", "`ID` of a session, a recording or a client connection, or the start of one")
	f.StringVar(&q.Ref, "ref", "", "reference `ID` that a user was shown")
	f.StringVar(&q.Type, "type", "", "`TYPE` of event, such as login.failed, or its first word, such as login")
	f.StringVar(&source, "source", "", "client `ADDRESS` or network")
	f.StringVar(&searched, "searched", "", "searches of recordings for exactly this `PATTERN`; needs the server's secret")
	f.Uint64Var(&q.After, "after", 0, "behind the record with this `SEQ`")
	f.StringVar(&since, "since", "", "from this `TIME` on: "+whenForms)
	f.StringVar(&until, "until", "", "before this `TIME`")
	return cmd
}

// sessionFlag is the ID that --session means: it may be the unambiguous start of one
// that the log has, of a session or of a client connection.
func sessionFlag(cmd *cobra.Command, name string) (string, error) {
	const whole = 26 // characters of a ULID
	if name == "" || len(name) >= whole {
		return name, nil
	}
	dir, err := auditLogDir(cmd)
	if err != nil {
		return "", err
	}
	start := strings.ToUpper(name)
	fits := map[string]bool{}
	for _, dir := range append(audit.Before(dir), dir) {
		for e, err := range audit.Scan(dir, audit.Types()...) {
			if errors.Is(err, fs.ErrNotExist) {
				return "", hinted(&exitError{code: exitNotFound, err: err}, noLogYet)
			}
			if err != nil {
				continue // who reads the log for more says so
			}
			for _, id := range []string{e.Session, e.Conn} {
				if id != "" && strings.HasPrefix(id, start) {
					fits[id] = true
				}
			}
		}
	}
	ids := slices.Sorted(maps.Keys(fits))
	switch len(ids) {
	case 0:
		return "", hinted(failf(exitNotFound, "--session %q: the log has no session or connection with an ID that starts so", name), "entry sessions ls lists sessions")
	case 1:
		return ids[0], nil
	}
	return "", hinted(failf(exitUsage, "--session %q is the start of %d IDs", name, len(ids)), fmt.Sprintf("the first two are %s and %s", ids[0], ids[1]))
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

const noLogYet = "the log is made when entry serve first starts"

// auditLogDir is the directory that --log or the configuration names.
func auditLogDir(cmd *cobra.Command) (string, error) {
	dir, err := cmd.Flags().GetString("log")
	if err != nil || dir != "" {
		return dir, err
	}
	dir, _, _, err = auditDirs(cmd)
	return dir, err
}

// listEvents prints events and returns how many. Records that aren't here and lines that
// are no events are told on stderr; of the latter the rest is still shown, and the result is a failure.
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
		case tellAbsent(cmd, err):
			continue
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
		return n, hinted(failf(exitFailure, "%s of the log can't be read as events", plain.Count(damaged, "line")), "entry audit verify says more")
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

// unsetLogin is the kernel's login account of a process that no login started.
const unsetLogin = 1<<32 - 1

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
		if f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.String {
			b = fmt.Appendf(b, " %s%s=%s", prefix, name, plain.Word(someOf(f)))
			continue
		}
		if f.Kind() == reflect.Slice {
			for i := range f.Len() {
				b = appendFields(b, prefix+name+".", f.Index(i))
			}
			continue
		}
		text := fmt.Sprint(f.Interface())
		if name == "login_uid" && f.Uint() == unsetLogin {
			text = "none"
		}
		b = fmt.Appendf(b, " %s%s=%s", prefix, name, plain.Word(text))
	}
	return b
}

// maxListed is how many texts of a field a listing shows; --json has them all.
const maxListed = 2

// someOf is the first of several texts.
func someOf(list reflect.Value) string {
	var all []string
	for i := range list.Len() {
		all = append(all, plain.Clip(list.Index(i).String(), maxFieldText))
	}
	return plain.List(all, maxListed)
}

// maxFieldText is how much is shown of each: bytes.
const maxFieldText = 64

func typeNames() string {
	var names []string
	for _, t := range audit.Types() {
		names = append(names, t.String())
	}
	return strings.Join(names, " ")
}
