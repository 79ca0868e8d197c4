package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/when"
	"entry/bastion/identity/secret"
	"entry/session/recording"
)

func auditFilesCmd() *cobra.Command {
	var q evidence.FileQuery
	var about aboutFlags
	var since, until, file string
	var changes bool
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
first file. Changes have no size. A program that still runs, or was cut off by a crash, is
listed itself: the file that it is at isn't known before it is closed. What a shell or a command of its own carried
isn't here: entry audit coverage says how much of that is kept.`,
		Example: `  entry audit files --direction download --since 7d --identity auditor.key
  entry audit files --file results.csv --since 90d`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Since, q.Until, err = parseSpan(since, until, time.Now()); err != nil {
				return err
			}
			if q.Direction != "" && q.Direction != "upload" && q.Direction != "download" {
				return failf(exitUsage, "--direction %q: want upload or download", q.Direction)
			}
			if q.Session, err = sessionFlag(cmd, q.Session); err != nil {
				return err
			}
			if err := about.check(cmd, nil); err != nil {
				return err
			}
			q.User, q.Lab, q.Target = about.User, about.Lab, about.Target
			return listFiles(cmd, q, file, changes)
		},
	}
	about.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&q.Session, "session", "", "only in this session (`SESSION`: an ID or the start of one)")
	f.StringVar(&q.Direction, "direction", "", "`upload` or download only")
	f.StringVar(&since, "since", "", "from this `TIME` on: "+when.Forms)
	f.StringVar(&until, "until", "", "before this `TIME`")
	f.StringVar(&file, "file", "", "only what has the content of this `FILE`")
	f.BoolVar(&changes, "changes", false, "also what changed files without moving content")
	identityFlag(cmd)
	return cmd
}

func listFiles(cmd *cobra.Command, q evidence.FileQuery, file string, changes bool) error {
	ids, err := identities(cmd)
	if errors.Is(err, errNoIdentity) {
		ids = nil
	} else if err != nil {
		return err
	}
	var sum []byte
	if file != "" {
		if sum, err = sha256Of(file); err != nil {
			return &exitError{code: exitUsage, err: err}
		}
	}
	if ids != nil {
		return printManifests(cmd, ids, q, sum, changes)
	}
	var content []string
	if sum != nil {
		if content, err = contentDigests(cmd, sum); err != nil {
			return err
		}
	}
	dir, err := auditLogDir(cmd)
	if err != nil {
		return err
	}
	return printFiles(cmd, dir, q, evidence.Files(dir, q), "CONTENT DIGEST", content, new(int), func(f evidence.File) (string, bool) {
		return f.Content, changes || f.Direction != "" || f.More > 0
	})
}

func printManifests(cmd *cobra.Command, ids []age.Identity, q evidence.FileQuery, sum []byte, changes bool) error {
	dir, err := spoolDir(cmd)
	if err != nil {
		return err
	}
	asked := 0
	read := func(all []string) error { asked = len(all); return noteReadings(cmd, all, "files", "") }
	var want []string
	if sum != nil {
		want = []string{hex.EncodeToString(sum)}
	}
	logDir, err := auditLogDir(cmd)
	if err != nil {
		logDir = "" // a bundle's, or a folder of recordings alone
	}
	all := evidence.ManifestFiles(dir, ids, q, read)
	if logDir != "" {
		all = after(all, evidence.FilesElsewhere(logDir, dir, q))
	}
	return printFiles(cmd, logDir, q, all, "SHA-256", want, &asked, func(f evidence.File) (string, bool) {
		if f.Line == nil { // its hash isn't known here
			return "", changes || f.Direction != "" || f.More > 0
		}
		return f.Line.SHA256, changes || f.Direction != ""
	})
}

// after is one list after another.
func after(lists ...iter.Seq2[evidence.File, error]) iter.Seq2[evidence.File, error] {
	return func(yield func(evidence.File, error) bool) {
		for _, list := range lists {
			for f, err := range list {
				if !yield(f, err) {
					return
				}
			}
		}
	}
}

// printFiles prints what is wanted of a list, and has one of the contents want if there are
// any; look gives the content, and whether it is one to look at;
// asked is how many recordings were opened for the list, or not. Errors of parts of the
// list come on standard error, and end in a failure. What the log in dir knows to be
// unfinished of q follows.
func printFiles(cmd *cobra.Command, dir string, q evidence.FileQuery, list func(func(evidence.File, error) bool), hash string, want []string, asked *int, look func(evidence.File) (content string, ok bool)) error {
	lines, err := jsonLines(cmd)
	if err != nil {
		return err
	}
	w := plain.NewTable(cmd.OutOrStdout())
	if lines == nil {
		w.Row(evidence.FileColumns(hash)...)
	}
	found, bad, sealed, unknown := 0, 0, 0, 0
	for f, err := range list {
		if errors.Is(err, recording.ErrKey) {
			sealed++
			continue
		}
		if tellAbsent(cmd, err) {
			continue
		}
		if err != nil {
			bad++
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: "+plain.Line(err.Error())) // the failure comes at the end
			continue
		}
		content, ok := look(f)
		if ok && want != nil && content == "" {
			unknown += max(1, f.More)
		}
		if !ok || want != nil && !slices.Contains(want, content) {
			continue
		}
		found++
		if lines != nil {
			if err := lines.Encode(f); err != nil {
				return err
			}
			continue
		}
		w.Row(f.Cells()...)
	}
	unfinished := 0
	for f, err := range evidence.Unfinished(dir, q) {
		if dir == "" || err != nil {
			break // the list has said so, or sessions verbs do
		}
		unfinished++
		if lines != nil {
			if err := lines.Encode(f); err != nil {
				return err
			}
			continue
		}
		w.Row(f.Cells()...)
	}
	if lines == nil {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if unknown > 0 {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: of %s here the content isn't known, so that it couldn't be compared: list them without --file\n", plain.Count(unknown, "file"))
	}
	switch {
	case sealed > 0 && sealed == *asked:
		return wrongIdentity(sealed)
	case sealed > 0:
		return hinted(failf(exitFailure, "this identity doesn't open %s, so this isn't all", plain.Count(sealed, "recording")), "give the other one with --identity KEYFILE")
	case bad > 0:
		return failf(exitFailure, "%s can't be read, so this isn't all", plain.Count(bad, "part"))
	case found+unfinished == 0:
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
