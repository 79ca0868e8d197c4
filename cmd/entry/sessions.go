package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"entry/audit/catalog"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/auditors"
)

func sessionsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List, replay, search sessions; watch and end running ones",
		Long: `Recordings are sealed: listing and verifying them needs no key; replaying,
exporting and searching them needs an auditor's identity (--identity; with --dir,
DIR/auditor.key if it is there). A running server notes each reading in the audit
log; readings without one, or on a copy elsewhere, can't be traced.

With --from, a bundle or a plain directory is read, without a configuration.

SESSION is an ID, the unambiguous start of one, or, but for kill, "last". Times are
UTC.`,
		Example: `  entry sessions ls --user alice --since 7d
  entry sessions show last
  entry sessions play last -x 2 --identity auditor.key
  entry sessions export 01JQ8Z3M6W --format text
  entry sessions grep -i patient --since 7d
  entry sessions mark 01JQ8Z3M6W reviewed --note "as announced"
  entry sessions kill 01JQ8Z3M6W --reason "maintenance"`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(takesFrom(sessionsLsCmd(), sessionsShowCmd(), sessionsPlayCmd(), sessionsExportCmd(), sessionsGrepCmd())...)
	cmd.AddCommand(sessionsWatchCmd(), sessionsBundleCmd(), sessionsRewrapCmd())
	cmd.AddCommand(actingVerbs()...)
	return cmd
}

func sessionsLsCmd() *cobra.Command {
	var s sessionFilter
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List recorded sessions, newest first",
		Long: `List recorded sessions, newest first. The state is complete, live, killed (an
operator ended it; entry sessions show says who, and why), aborted (a crash or a
full disk ended it), or damaged. What ls shows is as the files and the log say;
entry sessions show and entry audit verify check it.

Sessions whose recordings aren't here are listed with --state alone: erased (by an
operators' order, which stands beside it), removed (after its lab's retention), or
missing, where the log says nothing of that. How many of those that are asked for
there were is said beside every list. Where no session is as asked for, the list is
empty, and the exit code 0.

Coverage is how much is kept, as the audit log says: the least of a session's
channels (entry audit coverage explains the words). Reviewed is who has marked a
session so last (entry sessions mark). Coverage is a dash while a session runs, and
where its user asked for nothing in it; both are one where the log isn't here.`,
		Example: `  entry sessions ls
  entry sessions ls --user alice --target home.tinker --since 24h --json
  entry sessions ls --at "2026-03-02 14:00" --lab tinker
  entry sessions ls --coverage partial --reviewed=false
  entry sessions ls --state erased --user bob`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.parse(cmd, time.Now()); err != nil {
				return err
			}
			_, list, err := recordings(cmd)
			if err != nil {
				return err
			}
			if err := s.check(cmd, list); err != nil {
				return err
			}
			slices.Reverse(list)
			notes, err := notesOf(cmd)
			if err != nil && cmd.Flags().Changed("reviewed") {
				return hinted(fmt.Errorf("marks stand in the audit log, which can't be read: %w", err), "entry audit verify says more")
			}
			unwanted := func(i recording.Info) bool { return !s.Wants(i, notes) }
			gone := slices.DeleteFunc(notes.NotHere(list), unwanted)
			list = slices.DeleteFunc(list, unwanted)
			if s.state == "" {
				if text := catalog.NotListed(gone, notes); text != "" {
					_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: "+text+"; list them with --state erased, removed or missing") // what is listed is the result
				}
			} else {
				slices.Reverse(gone)
				list = append(list, gone...) // of those states there is nothing else
			}
			tellLacks(cmd, notes, list...)
			if !asJSON(cmd) {
				return catalog.Table(cmd.OutOrStdout(), list, notes)
			}
			lines := make([]catalog.Line, len(list))
			for n, i := range list {
				lines[n] = catalog.LineOf(i, notes)
			}
			return printJSON(cmd, lines...)
		},
	}
	s.flags(cmd)
	cmd.Flags().Bool("json", false, "one JSON object a line")
	return cmd
}

// notesOf is what the audit log says of sessions; without it err says why, and
// nothing is known but what the files say.
func notesOf(cmd *cobra.Command) (evidence.Notes, error) {
	if p := sourceOf(cmd); p != nil && p.bundle != nil {
		return evidence.NotesBy(p.events), nil
	}
	dir, _, _, err := auditDirs(cmd)
	if err != nil {
		return evidence.Notes{}, err
	}
	return evidence.ReadNotes(dir)
}

// recordings lists the spool that the command's flags name.
func recordings(cmd *cobra.Command) (dir string, list []recording.Info, err error) {
	if dir, err = spoolDir(cmd); err != nil {
		return "", nil, err
	}
	list, err = recording.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil, nil // nothing was recorded yet
	}
	err = permitted(err)
	return dir, list, err
}

// findRecording resolves what a person typed for a session.
func findRecording(cmd *cobra.Command, name string) (dir string, info recording.Info, err error) {
	dir, list, err := recordings(cmd)
	if err != nil {
		return dir, info, err
	}
	info, err = catalog.Find(list, name)
	var none *catalog.NameError
	if errors.As(err, &none) && none.NotFound() {
		if notes, nerr := notesOf(cmd); nerr == nil {
			err = catalog.Gone(notes, name, err)
		}
	}
	return dir, info, err
}

// errNoIdentity says that no identity was given, nor is there a usual one.
var errNoIdentity = errors.New("recordings are sealed: this needs an auditor's identity")

// identities reads the auditor's identity that --identity names, or the one in
// --dir.
func identities(cmd *cobra.Command) ([]age.Identity, error) {
	path, err := cmd.Flags().GetString("identity")
	if err != nil {
		return nil, err
	}
	if path == "" {
		dir, err := cmd.Flags().GetString("dir")
		if err != nil {
			return nil, err
		}
		path = filepath.Join(dir, recording.IdentityFile)
		if _, err := os.Stat(path); dir == "" || errors.Is(err, fs.ErrNotExist) {
			return nil, hinted(&exitError{code: exitUsage, err: errNoIdentity}, "name the file with --identity KEYFILE")
		}
	}
	f, err := os.Open(path)
	if err != nil {
		why := err
		if e := (*fs.PathError)(nil); errors.As(err, &e) {
			why = e.Err
		}
		return nil, hinted(failf(exitUsage, "the auditor's identity %s can't be read: %w", path, why), "name the file with --identity KEYFILE, or run this as who may read it")
	}
	defer func() { _ = f.Close() }() // only read
	ids, err := auditors.ParseIdentities(f, askPassphrase(path))
	if errors.Is(err, auditors.ErrPassphrase) {
		return nil, hinted(failf(exitUsage, "%s: %w", path, err), "run this at a terminal")
	}
	if err != nil {
		return nil, failf(exitUsage, "%s: %w", path, err)
	}
	return ids, nil
}

// askPassphrase asks at the terminal for the passphrase of an auditor's SSH key, once; nil
// without a terminal.
func askPassphrase(path string) func() ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	return sync.OnceValues(func() ([]byte, error) {
		defer func() { _ = tty.Close() }()                              // only read
		_, _ = fmt.Fprintf(tty, "passphrase of %s: ", plain.Word(path)) // what is asked for is known without it
		defer func() { _, _ = fmt.Fprintln(tty) }()
		return term.ReadPassword(int(tty.Fd()))
	})
}

func identityFlag(cmd *cobra.Command) {
	cmd.Flags().String("identity", "", "an auditor's secret key (`KEYFILE`): age's, or an ssh-ed25519 one")
}

// sealedError gives what recording says about reading its exit code and hint.
func sealedError(err error) error {
	switch {
	case errors.Is(err, recording.ErrKey):
		return wrongIdentity(1)
	case errors.Is(err, recording.ErrShredded):
		return hinted(&exitError{code: exitNotFound, err: err}, "its chain can still be verified: entry sessions show")
	case errors.Is(err, recording.ErrNoChannel):
		return hinted(&exitError{code: exitNotFound, err: err}, "entry sessions show lists the channels")
	case errors.Is(err, fs.ErrNotExist):
		return &exitError{code: exitNotFound, err: err}
	}
	return err
}

// wrongIdentity is the one answer of every verb to an identity that opens none of the n
// recordings that were asked for.
func wrongIdentity(n int) error {
	which := "the recording"
	if n > 1 {
		which = fmt.Sprintf("any of the %d recordings", n)
	}
	return hinted(failf(exitDenied, "this identity doesn't open %s", which), "the recordings are sealed to other identities, or the .key files were changed: name the right one with --identity KEYFILE")
}

// noteRead is noteReadings for one recording.
func noteRead(cmd *cobra.Command, id, verb string) error {
	return noteReadings(cmd, []string{id}, verb, "")
}
