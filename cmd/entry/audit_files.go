package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/when"
	"entry/bastion/identity/secret"
)

func auditFilesCmd() *cobra.Command {
	var list evidence.FileList
	var about aboutFlags
	var since, until, file string
	cmd := &cobra.Command{
		Use:   "files",
		Short: "List the files that were moved, with sizes and hashes",
		Long: `List the files that were moved by sftp, scp, rsync and git, with size, outcome
and SHA-256, oldest first. --changes lists what was renamed, removed and the like,
too. A file that a client looked for, and gave up since it isn't there, was never
asked for and isn't listed.

Names and hashes lie in the sealed recordings and need an auditor's identity. The
log alone has sizes, and digests that only the server's secret can make: of the
content, so that --file FILE finds a file that somebody holds, and of the path. With an
identity too, what the log has of sessions whose recordings aren't here follows.
Where the identity is given, --file compares hashes and needs no secret.

Of the first thousand files and changes of a session the log has each, of the
others how many there were; the recording has all. Of rsync and git a file's size
isn't known (a dash, with --json -1); what the whole run moved stands beside its
first file. Changes have no size. A program that still runs, or was cut off by a
crash, is listed itself: with an identity, each file that it has open, or what its
command names; how much of that was moved isn't known. Sizes are rounded; --json
has bytes.

What a shell or a command of its own carried isn't here; how much output there was of
those is said beside the list (entry audit coverage: how much of it is kept).`,
		Example: `  entry audit files --direction download --since 7d --identity auditor.key
  entry audit files --file results.csv --since 90d`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			q := &list.Query
			if q.Since, q.Until, err = parseSpan(since, until, time.Now()); err != nil {
				return err
			}
			if q.Direction != "" && q.Direction != "upload" && q.Direction != "download" {
				return failf(exitUsage, "--direction %q: want upload or download", q.Direction)
			}
			if q.Session, err = sessionFlag(cmd, "--session", q.Session); err != nil {
				return err
			}
			if err := about.check(cmd, nil); err != nil {
				return err
			}
			q.User, q.Lab, q.Target = about.User, about.Lab, about.Target
			return listFiles(cmd, list, file)
		},
	}
	about.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&list.Query.Session, "session", "", "only in this session (`SESSION`: an ID, the start of one, or last)")
	f.StringVar(&list.Query.Direction, "direction", "", "`upload` or download only")
	f.StringVar(&since, "since", "", "from this `TIME` on: "+when.Forms)
	f.StringVar(&until, "until", "", "before this `TIME`")
	f.StringVar(&file, "file", "", "only what has the content of this `FILE`")
	f.BoolVar(&list.Changes, "changes", false, "also what changed files without moving content")
	identityFlag(cmd)
	return cmd
}

func listFiles(cmd *cobra.Command, l evidence.FileList, file string) error {
	ids, err := identities(cmd)
	if err != nil && !errors.Is(err, errNoIdentity) {
		return err
	}
	if l.Identities = ids; file != "" {
		sum, err := sha256Of(file)
		if err != nil {
			return &exitError{code: exitUsage, err: err}
		}
		if ids != nil {
			l.Contents = []string{hex.EncodeToString(sum)}
		} else if l.Contents, err = contentDigests(cmd, sum); err != nil {
			return err
		}
	}
	if l.Log, err = auditLogDir(cmd); err != nil && ids == nil {
		return err // with an identity it may be a bundle's, or a folder of recordings alone
	}
	if ids != nil {
		if l.Recordings, err = spoolDir(cmd); err != nil {
			return err
		}
		l.Read = func(all []string) error { return noteReadings(cmd, all, "files", "") }
	}
	return printFiles(cmd, l)
}

// printFiles prints a list. Errors of parts of it come on standard error, and end in a failure.
func printFiles(cmd *cobra.Command, l evidence.FileList) error {
	lines, err := jsonLines(cmd)
	if err != nil {
		return err
	}
	w := plain.NewTable(cmd.OutOrStdout())
	if lines == nil {
		w.Row(evidence.FileColumns(l.Column())...)
	}
	var sums evidence.FileSums
	for f, err := range l.All(&sums) {
		switch {
		case tellAbsent(cmd, err):
		case err != nil:
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: "+plain.Line(err.Error())) // the failure comes at the end
		case lines != nil:
			if err := lines.Encode(f); err != nil {
				return err
			}
		default:
			w.Row(f.Cells()...)
		}
	}
	if lines == nil {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if sums.Unknown > 0 {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: of %s here the content isn't known, so that it couldn't be compared: list them without --file\n", plain.Count(sums.Unknown, "file"))
	}
	if text := sums.Beside(); text != "" {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: "+text+", of which no files are known: entry sessions ls lists the sessions, entry audit coverage how much is kept") // the list is the result
	}
	switch {
	case sums.Sealed > 0 && sums.Sealed == sums.Opened:
		return wrongIdentity(sums.Sealed)
	case sums.Sealed > 0:
		return hinted(failf(exitFailure, "this identity doesn't open %s, so this isn't all", plain.Count(sums.Sealed, "recording")), "give the other one with --identity KEYFILE")
	case sums.Bad > 0:
		return failf(exitFailure, "%s can't be read, so this isn't all", plain.Count(sums.Bad, "part"))
	case sums.Found == 0:
		return failf(exitNotFound, "no file matches")
	}
	return nil
}

func sha256Of(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// contentDigests are what the log may have of a content with that SHA-256, by the server's
// secret and those before.
func contentDigests(cmd *cobra.Command, sum []byte) ([]string, error) {
	keys, err := serverKeys(cmd)
	if err != nil {
		return nil, hinted(&exitError{code: exitUsage, err: err}, "the log's digests need the server's secret: run this as root there, or give --identity")
	}
	return keys.FileHashes("content", sum), nil
}

// serverKeys are made of the server's secret, which its own account and root may read.
func serverKeys(cmd *cobra.Command) (keys secret.Keys, err error) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return keys, err
	}
	all, err := secret.ReadSecrets(cfg.Keys.Secret, os.ReadFile)
	if err != nil {
		return keys, err
	}
	if keys, err = all.Keys(); err != nil {
		return keys, fmt.Errorf("%s: %w", cfg.Keys.Secret, err)
	}
	return keys, nil
}
