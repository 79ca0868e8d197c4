//go:build linux

package site

import "fmt"

// Error is one that operators can do something about.
type Error struct {
	Err    error
	Todo   string // what to do, as a phrase; "" if Err says it
	Config bool   // the configuration or a file that it names is wrong
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Hint is what to do about it, or "".
func (e *Error) Hint() string { return e.Todo }

// Misused reports whether the configuration is to blame.
func (e *Error) Misused() bool { return e.Config }

func hinted(err error, todo string) error { return &Error{Err: err, Todo: todo} }

// wrong is an error of the configuration.
func wrong(err error) error { return &Error{Err: err, Config: true} }

func wrongf(format string, args ...any) error { return wrong(fmt.Errorf(format, args...)) }
