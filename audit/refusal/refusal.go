// Package refusal is the one error with which entry refuses something to a
// user or ends it. It has a part for each of its three audiences: a text for
// the user, a code and a reference for the audit log, a cause for the server's
// own log. What crosses the line to a client is Text, never Error().
//
// Errors of other packages that users may read join in by errors.As: a type
// with a method As that fills an *Error in (policy.Denied has one). Whatever
// else turns up becomes Unavailable: it says that something can't be checked
// and not what, because nobody meant its text for users.
package refusal

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// Code is a short closed reason, as events have it.
type Code string

func (c Code) String() string { return string(c) }

// Codes that more than one package uses. A package's own stand where they arise.
const (
	Audit           Code = "audit-failed"
	Budget          Code = "budget-spent" // of bytes
	Cancelled       Code = "cancelled"
	CapabilityLost  Code = "capability-lost"
	ClientTimeout   Code = "client-timeout"
	Closed          Code = "closed"
	Denied          Code = "denied"
	Flood           Code = "flood"
	IdleLimit       Code = "idle-limit"
	Internal        Code = "internal-error"
	PolicyChanged   Code = "policy-changed"
	Recording       Code = "recording-failed"
	Revoked         Code = "revoked"
	SessionLimit    Code = "session-limit"
	TimeOver        Code = "time-over"
	Unavailable     Code = "unavailable"
	UpstreamClosed  Code = "upstream-closed"  // with no channel open
	UpstreamLost    Code = "upstream-lost"    // channels were cut
	UpstreamTimeout Code = "upstream-timeout" // keep-alives unanswered
)

// Error is one refusal or end. A pointer to it is the error.
type Error struct {
	Code  Code
	Text  string // one line for the user: what to do; without final stop, newline or internals
	Ref   string // under which it stands in the log; "" until it does
	Exit  int    // status of the program that it refuses or ends; 0 leaves that to whoever answers
	Cause error  // never shown to a user; nil where there is no more to know
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.Cause)
	}
	return string(e.Code)
}

func (e *Error) Unwrap() error { return e.Cause }

// Line is what the user reads, with the reference where there is one.
func (e *Error) Line() string {
	if e.Ref == "" {
		return e.Text
	}
	return e.Text + " (ref " + e.Ref + ")"
}

// Someone is whom texts for users tell them to ask: they know of no operators.
const Someone = "your lab's administrator"

// Contact is whom to ask here, as a site names it: an address, say. "" is Someone.
type Contact string

// In is text, which says to ask Someone, with c in that place.
func (c Contact) In(text string) string {
	if c == "" {
		return text
	}
	return strings.ReplaceAll(text, Someone, string(c))
}

// Of is what err means to a user and to the log. It never returns nil.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: Unavailable, Text: "access can't be checked right now", Cause: err}
}

// NewRef is a short reference that a user can read to an operator, who finds it
// in the audit log: 8 letters and digits.
func NewRef() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
