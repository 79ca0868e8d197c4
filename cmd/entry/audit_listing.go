package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
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
func (l *listing) show(x of[audit.Event]) error {
	if x.err != nil {
		l.failed(x.log, x.err)
		return nil
	}
	if l.asJSON {
		l.line = append(l.line[:0], x.log.named(x.what.AppendJSON(nil))...)
	} else {
		l.line = appendListing(l.line[:0], x.log.name, x.what)
	}
	if _, err := l.cmd.OutOrStdout().Write(append(l.line, '\n')); err != nil {
		return err
	}
	l.n++
	return nil
}

// failed tells an error of a log, or keeps it for the end where the log isn't read on.
func (l *listing) failed(log oneLog, err error) {
	var bad *audit.BadRecord
	switch {
	case tellAbsent(l.cmd, log.failed(err)):
	case errors.As(err, &bad):
		l.damaged++
		log.say(l.cmd.ErrOrStderr(), "%v", err)
	case errors.Is(err, context.Canceled):
	case errors.Is(err, fs.ErrNotExist):
		l.errs = append(l.errs, hinted(&exitError{code: exitNotFound, err: log.failed(err)}, noLogYet))
	default:
		l.errs = append(l.errs, log.failed(err))
	}
}

// end is what the verb ends with.
func (l *listing) end() error {
	if l.damaged > 0 {
		l.errs = append(l.errs, hinted(failf(exitFailure, "%s of the log can't be read as events", plain.Count(l.damaged, "line")), "entry audit verify says more"))
	}
	return worst(l.cmd, l.errs)
}

// appendListing appends one event as one line for a person: time, sequence
// number, type, which log where that isn't "", then every field that is set, in the log's order.
func appendListing(b []byte, log string, e audit.Event) []byte {
	b = append(b, plain.Time(e.Time)...)
	b = fmt.Appendf(b, " %7d %-22s", e.Seq, e.Type)
	if log != "" {
		b = fmt.Appendf(b, " log=%s", plain.Word(log))
	}
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
