package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"entry/audit/catalog"
	"entry/audit/logs"
)

func logFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().StringArray("log", nil, "`DIR` that holds the log or a copy of it, instead of the configuration's; once for each where tail, search, coverage or verify are to take several")
}

// auditLogs are the logs that --log names, or the configuration's.
func auditLogs(cmd *cobra.Command) ([]logs.Log, error) {
	dirs, err := cmd.Flags().GetStringArray("log")
	if err != nil {
		return nil, err
	}
	if dirs = slices.DeleteFunc(dirs, func(dir string) bool { return dir == "" }); len(dirs) == 0 {
		dir, _, _, err := auditDirs(cmd)
		return []logs.Log{{Dir: dir}}, err
	}
	all, err := logs.Of(dirs...)
	if err != nil {
		return nil, failf(exitUsage, "--log %w", err)
	}
	return all, nil
}

// auditLogDir is the log of a verb that takes one.
func auditLogDir(cmd *cobra.Command) (string, error) {
	all, err := auditLogs(cmd)
	if err != nil {
		return "", err
	}
	if len(all) > 1 {
		return "", failf(exitUsage, "--log: %s takes one log", cmd.CommandPath())
	}
	return all[0].Dir, nil
}

// say writes a line about a log to standard error.
func say(cmd *cobra.Command, l logs.Log, line string) {
	_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: "+l.Line(line)) // what is shown is the result
}

// worst is the error that the verb ends with, of those of several logs; the others are told.
func worst(cmd *cobra.Command, all []error) error {
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b error) int { return cmp.Compare(exitCode(a), exitCode(b)) }) // 1, it failed, before 2, it can't be tried, before "no"
	for _, err := range all[1:] {
		tellError(cmd.ErrOrStderr(), err)
	}
	return all[0]
}

// searching is how the verb searches logs.
func searching(cmd *cobra.Command) logs.Searching {
	s := logs.Searching{Told: func(l logs.Log, note string) { say(cmd, l, "note: "+note) }}
	if f := cmd.Flags().Lookup("index"); f != nil {
		s.Folder = f.Value.String()
	}
	if f := cmd.Flags().Lookup("no-index"); f != nil {
		s.NoIndex = f.Value.String() == "true"
	}
	return s
}

// sessionFlag is the ID that somebody means, by what they call it in messages
// (`--session`): it may be the unambiguous start of one that the logs have, of a session
// or of a client connection, or "last", of the newest recording.
func sessionFlag(cmd *cobra.Command, what, name string) (string, error) {
	const whole = 26 // characters of a ULID
	switch {
	case name == "" || len(name) >= whole:
		return name, nil
	case name == catalog.Last && cmd.Flags().Changed("log"):
		return "", hinted(failf(exitUsage, "%s %q is the newest recorded session, and with --log there are no recordings", what, name), "give the ID, or the start of it")
	case name == catalog.Last:
		_, list, err := recordings(cmd)
		if err != nil {
			return "", err
		}
		i, err := catalog.Find(list, name)
		return i.ID, err
	}
	all, err := auditLogs(cmd)
	if err != nil {
		return "", err
	}
	ids, err := searching(cmd).IDs(all, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", hinted(&exitError{code: exitNotFound, err: err}, noLogYet)
	case err != nil:
		return "", noIndex(err)
	case len(ids) == 0:
		return "", hinted(failf(exitNotFound, "%s %q: the log has no session or connection with an ID that starts so", what, name), "entry sessions ls lists sessions")
	case len(ids) == 1:
		return ids[0], nil
	}
	return "", hinted(failf(exitUsage, "%s %q is the start of %d IDs", what, name, len(ids)), fmt.Sprintf("the first two are %s and %s", ids[0], ids[1]))
}

// noIndex gives an error about the folder that --index names its exit code.
func noIndex(err error) error {
	var none *logs.IndexError
	if errors.As(err, &none) {
		return failf(exitUsage, "--index: %w", err)
	}
	return err
}
