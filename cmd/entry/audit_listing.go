package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/logs"
	"entry/audit/plain"
)

// listing prints events of one log or several. Records that aren't here and lines that
// are no events are told on stderr; of the latter the rest is still shown, and the end is a failure.
type listing struct {
	cmd     *cobra.Command
	asJSON  bool
	n       int // events shown
	damaged int
	errs    []error
	line    []byte
}

func newListing(cmd *cobra.Command) (*listing, error) {
	asJSON, err := cmd.Flags().GetBool("json")
	return &listing{cmd: cmd, asJSON: asJSON}, err
}

// show prints an event, or tells an error. It fails where nothing can be printed.
func (l *listing) show(x logs.Item[audit.Event]) error {
	if x.Err != nil {
		l.failed(x.Log, x.Err)
		return nil
	}
	if l.asJSON {
		l.line = append(l.line[:0], x.Log.JSON(x.What.AppendJSON(nil))...)
	} else {
		l.line = audit.AppendText(l.line[:0], x.Log.Name, x.What)
	}
	if _, err := l.cmd.OutOrStdout().Write(append(l.line, '\n')); err != nil {
		return err
	}
	l.n++
	return nil
}

// failed tells an error of a log, or keeps it for the end where the log isn't read on.
func (l *listing) failed(log logs.Log, err error) {
	var bad *audit.BadRecord
	switch {
	case tellAbsent(l.cmd, log.Failed(err)):
	case errors.As(err, &bad):
		l.damaged++
		say(l.cmd, log, err.Error())
	case errors.Is(err, context.Canceled):
	case errors.Is(err, fs.ErrNotExist):
		l.errs = append(l.errs, hinted(&exitError{code: exitNotFound, err: log.Failed(err)}, noLogYet))
	default:
		l.errs = append(l.errs, log.Failed(noIndex(err)))
	}
}

// end is what the verb ends with.
func (l *listing) end() error {
	if l.damaged > 0 {
		l.errs = append(l.errs, hinted(failf(exitFailure, "%s of the log can't be read as events", plain.Count(l.damaged, "line")), "entry audit verify says more"))
	}
	return worst(l.cmd, l.errs)
}
