package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"entry/audit/plain"
	"entry/session/recording"
)

// NoneLive says that no recorded session runs, or none of a user's.
type NoneLive struct{ User string }

func (e *NoneLive) Error() string {
	if e.User != "" {
		return "no recorded session of " + plain.Word(e.User) + " is running"
	}
	return "no recorded session is running"
}

// Hint is what to do about it.
func (e *NoneLive) Hint() string { return "entry sessions ls lists those that are over, too" }

// Misused is false: one may run later.
func (e *NoneLive) Misused() bool { return false }

// NotFound is true.
func (e *NoneLive) NotFound() bool { return true }

// NewestLive is the running session that began last, of user if that isn't "". The error
// is a *NoneLive.
func NewestLive(list []recording.Info, user string) (recording.Info, error) {
	for _, i := range slices.Backward(list) {
		if i.State == recording.Live && (user == "" || i.User == user) {
			return i, nil
		}
	}
	return recording.Info{}, &NoneLive{user}
}

// notRunning says why a name means no running session.
type notRunning struct {
	error
	hint            string
	misused, absent bool
}

func (e *notRunning) Hint() string   { return e.hint }
func (e *notRunning) Misused() bool  { return e.misused }
func (e *notRunning) NotFound() bool { return e.absent }
func (e *notRunning) Unwrap() error  { return e.error }

// Running is the ID of the session that a person who is about to end one means: of one that
// is running here by the start of it, or of any by the whole ID, which may run elsewhere, or be
// over. Last isn't taken. The start must fit none of the recorded sessions either: one that
// was copied from a listing of old sessions would end somebody else's. Where it fits a recorded
// one alone, that is the answer.
func Running(name string, running []string, recorded func() ([]recording.Info, error)) (string, error) {
	if name == Last {
		return "", &notRunning{error: fmt.Errorf("%q isn't taken here: another session may have begun since you looked", name),
			hint: "give its ID; entry sessions ls --state live lists them", misused: true}
	}
	if id, err := ulid.ParseStrict(strings.ToUpper(name)); err == nil {
		return id.String(), nil
	}
	list, err := recorded()
	if err != nil {
		return "", &notRunning{error: fmt.Errorf("which sessions have an ID that starts with %q can't be told: %w", name, err), hint: "give the whole ID, which needs no recordings"}
	}
	ids := slices.Clone(running)
	for _, i := range list {
		if !slices.Contains(running, i.ID) {
			ids = append(ids, i.ID)
		}
	}
	id, err := ID(ids, name)
	if none := (*NameError)(nil); errors.As(err, &none) && none.NotFound() {
		err = &notRunning{error: fmt.Errorf("no running session here has an ID that starts with %q", name),
			hint: "entry sessions ls --state live lists them; one at another server needs its whole ID", absent: true}
	}
	return id, err
}
