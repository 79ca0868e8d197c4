package main

import (
	"errors"
	"fmt"
	"io"
)

// Exit codes. A script can tell "no" from "broken" from "not there".
const (
	exitOK       = 0
	exitFailure  = 1 // it was tried and failed
	exitUsage    = 2 // the command line or a file that it names, or the configuration does, is wrong
	exitDenied   = 3 // the answer is no: access denied, or nothing but a policy's tests failed
	exitNotFound = 4 // no such user, session or event
)

// exitError is an error with an exit code and, where there is one, a hint that
// says what to do.
type exitError struct {
	code int
	err  error
	hint string
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// failf returns an error that ends the program with code.
func failf(code int, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf(format, args...)}
}

// hinted adds what to do to err.
func hinted(err error, hint string) error {
	return &exitError{code: exitCode(err), err: err, hint: hint}
}

// adviser is an error of another package that operators can do something about.
type adviser interface {
	error
	Hint() string  // what to do, or ""
	Misused() bool // what the command line says, or a file that it names, is wrong
}

// absentee is an error of another package that says what isn't there.
type absentee interface {
	error
	NotFound() bool
}

// hintOf is what to do about err, or "".
func hintOf(err error) string {
	var e *exitError
	if errors.As(err, &e) && e.hint != "" {
		return e.hint
	}
	var a adviser
	if errors.As(err, &a) {
		return a.Hint()
	}
	return ""
}

// exitCode is the exit code for err; usage errors of the command line itself
// come from cobra without a code.
func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	var a adviser
	if errors.As(err, &a) && a.Misused() {
		return exitUsage
	}
	var none absentee
	if errors.As(err, &none) && none.NotFound() {
		return exitNotFound
	}
	return exitFailure
}

// tellError writes an error as it is written where a verb ends with it.
func tellError(w io.Writer, err error) {
	_, _ = fmt.Fprintf(w, "entry: %v\n", err) // nobody could be told otherwise
	if hint := hintOf(err); hint != "" {
		_, _ = fmt.Fprintf(w, "hint: %s\n", hint)
	}
}
