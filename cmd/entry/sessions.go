package main

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

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

// sessionLine is a recording as --json has it.
type sessionLine struct {
	ID       string          `json:"id"`
	User     string          `json:"user"`
	Lab      string          `json:"lab,omitempty"`
	Target   string          `json:"target"`
	Login    string          `json:"login,omitempty"`
	Source   string          `json:"source,omitempty"`
	Rule     string          `json:"rule,omitempty"`
	Policy   string          `json:"policy,omitempty"`
	Start    time.Time       `json:"start,omitzero"`
	End      time.Time       `json:"end,omitzero"`
	State    recording.State `json:"state"`
	Segments uint32          `json:"segments"`
	Bytes    int64           `json:"bytes"`
	Input    bool            `json:"input"`
	// Coverage is the least of the channels; absent while it runs, or where the log
	// isn't here.
	Coverage recording.Coverage `json:"coverage,omitempty"`
	Killed   *evidence.Kill     `json:"killed,omitempty"`
	Reviews  int                `json:"reviews,omitempty"` // how often it was marked as reviewed
	Review   *evidence.Review   `json:"reviewed,omitempty"`
}

func lineOf(i recording.Info, notes evidence.Notes) sessionLine {
	state, n := notes.Of(i)
	return sessionLine{Coverage: n.Coverage, Killed: n.Killed, Reviews: n.Reviews, Review: n.Review,
		ID: i.ID, User: i.User, Lab: i.Lab, Target: i.Target, Login: i.Login, Source: i.Source, Rule: i.Rule, Policy: i.Policy,
		Start: i.Start, End: i.End, State: state, Segments: i.Segments, Bytes: i.Size, Input: i.Input,
	}
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

Coverage is how much is kept, as the audit log says: the least of a session's
channels (entry audit coverage explains the words). Reviewed is who has marked a
session so last (entry sessions mark). Coverage is a dash while a session runs, and
where its user asked for nothing in it; both are one where the log isn't here.`,
		Example: `  entry sessions ls
  entry sessions ls --user alice --target home.tinker --since 24h --json
  entry sessions ls --at "2026-03-02 14:00" --lab tinker
  entry sessions ls --coverage partial --reviewed=false`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.parse(time.Now()); err != nil {
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
			list = slices.DeleteFunc(list, func(i recording.Info) bool { return !s.wants(cmd, i, notes) })
			tellLacks(cmd, notes, list...)
			return printSessions(cmd.OutOrStdout(), list, notes, asJSON(cmd))
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

func printSessions(out io.Writer, list []recording.Info, notes evidence.Notes, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		for _, i := range list {
			if err := enc.Encode(lineOf(i, notes)); err != nil {
				return err
			}
		}
		return nil
	}
	w := plain.NewTable(out)
	w.Row("ID", "USER", "TARGET", "START", "END", "STATE", "COVERAGE", "REVIEWED", "SIZE")
	for _, i := range list {
		state, n := notes.Of(i)
		by := "-"
		if n.Review != nil {
			by = plain.Word(n.Review.By.Person())
		}
		w.Row(i.ID, plain.Word(i.User), plain.Word(i.Target), plain.Time(i.Start), plain.Time(i.End), string(state), cmp.Or(string(n.Coverage), "-"), by, plain.Size(i.Size))
	}
	return w.Flush()
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
	if name == lastSession && len(list) > 0 {
		return dir, list[len(list)-1], nil
	}
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	id, err := sessionNamed(ids, name)
	if err != nil {
		return dir, info, err
	}
	return dir, list[slices.Index(ids, id)], nil
}

// lastSession stands for the newest recorded session.
const lastSession = "last"

// sessionNamed is the one of ids that a person means by the start of it.
func sessionNamed(ids []string, name string) (string, error) {
	var fits []string
	for _, id := range ids {
		if name != "" && strings.HasPrefix(id, strings.ToUpper(name)) {
			fits = append(fits, id)
		}
	}
	slices.Sort(fits)
	switch len(fits) {
	case 0:
		return "", hinted(failf(exitNotFound, "no recorded session %q", name), "entry sessions ls lists them")
	case 1:
		return fits[0], nil
	}
	return "", hinted(failf(exitUsage, "%q is the start of %d session IDs", name, len(fits)),
		fmt.Sprintf("the first two are %s and %s", fits[0], fits[1]))
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

func hexOf(h [32]byte) string { return hex.EncodeToString(h[:]) }

// noteRead is noteReadings for one recording.
func noteRead(cmd *cobra.Command, id, verb string) error {
	return noteReadings(cmd, []string{id}, verb, "")
}
