package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/bundle"
	"entry/audit/plain"
)

// source is where the recordings are of a verb that was given --from.
type source struct {
	dir    string
	bundle *bundle.Bundle // nil of a directory
	events []audit.Event  // what the bundle proves
}

type sourceKey struct{}

// sourceOf is what --from names; nil without it.
func sourceOf(cmd *cobra.Command) *source {
	p, _ := cmd.Context().Value(sourceKey{}).(*source)
	return p
}

// errNoLogHere says that where --from leads there is no log.
var errNoLogHere = errors.New("the audit log isn't here: --from names recordings alone")

// takesFrom lets verbs that only read recordings do so in a bundle or a directory.
func takesFrom(verbs ...*cobra.Command) []*cobra.Command {
	for _, cmd := range verbs {
		cmd.Flags().String("from", "", "a bundle (`FILE`), or a directory of recordings: no configuration is needed")
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
			from, err := cmd.Flags().GetString("from")
			if err != nil || from == "" {
				return errors.Join(err, run(cmd, args))
			}
			if cmd.Flags().Changed("config") {
				return failf(exitUsage, "--from and --config both name recordings: give one of them")
			}
			p, leave, err := openSource(from)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, leave()) }()
			cmd.SetContext(context.WithValue(cmd.Context(), sourceKey{}, p))
			return run(cmd, args)
		}
	}
	return verbs
}

// openSource opens what --from names; leave removes what was unpacked, which is sealed as
// it was.
func openSource(from string) (p *source, leave func() error, err error) {
	st, err := os.Stat(from)
	if err != nil {
		return nil, nil, permitted(&exitError{code: exitUsage, err: err})
	}
	if st.IsDir() {
		return &source{dir: from}, func() error { return nil }, nil
	}
	b, dir, leave, err := bundle.OpenFile(from)
	if d := (*bundle.Disproof)(nil); errors.As(err, &d) {
		err = disproven(from, err)
	} else if errors.Is(err, bundle.ErrNotBundle) {
		err = failf(exitUsage, "%s %w", from, err)
	} else if errors.Is(err, fs.ErrPermission) {
		err = permitted(&exitError{code: exitUsage, err: err})
	}
	if err != nil {
		return nil, nil, err
	}
	rep, err := b.Prove(bundle.Trust{})
	if err != nil {
		return nil, nil, errors.Join(disproven(from, err), leave())
	}
	if b.Dir == "" {
		return nil, nil, errors.Join(hinted(failf(exitNotFound, "%s has what the log says of session %s, and no recording", from, b.Session), "entry verify-bundle "+plain.Shell(from)+" shows it"), leave())
	}
	return &source{dir: dir, bundle: b, events: rep.Events}, leave, nil
}

// disproven says what a proof came to that doesn't hold.
func disproven(path string, err error) error {
	var d *bundle.Disproof
	if errors.As(err, &d) {
		err = hinted(failf(exitFailure, "NOT PROVEN: %s doesn't prove what it says: %w", path, err), "keep the file as it is; ask for another one, and for the log's public key")
	}
	return err
}

// noteCopy says that a reading isn't noted anywhere.
func noteCopy(cmd *cobra.Command) {
	fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: this is a copy, so the server's audit log won't show this reading")
}
