package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Rotatable are the keys that an operator can change, as operators call them.
var Rotatable = []string{"audit", "host-ca", "secret", "user-ca"}

// Rotations change the server's keys, with an overlap in which both are good.
type Rotations interface {
	// Rotation is how it stands with a key of Rotatable. Errors that operators can do
	// something about are *Error, of all methods.
	Rotation(ctx context.Context, what string) (Rotation, error)
	// Begin makes the next key beside the present one. Where that was done, it changes nothing.
	Begin(ctx context.Context, what string, how RotateHow) (Rotation, error)
	// Finish puts the next key in the place of the present one.
	Finish(ctx context.Context, what string, how RotateHow) (Rotation, error)
	// Abort takes the next key away again.
	Abort(ctx context.Context, what string, how RotateHow) (Rotation, error)
}

// RotateHow is what an operator says of a rotation.
type RotateHow struct {
	Reason string `json:"reason,omitempty"` // for the log
	Force  bool   `json:"force,omitempty"`  // finish it whoever doesn't know the next key yet
	Next   string `json:"next,omitempty"`   // public key of the next one, where that isn't made here
}

// Rotation is how it stands with a key.
type Rotation struct {
	What  string     `json:"what"`
	Begun *time.Time `json:"begun,omitempty"` // the next key is there since; nil where there is none
	Now   string     `json:"now"`             // public key, as its file has it
	Next  string     `json:"next,omitempty"`
	// NextFile has Next. NextPrivate is the file with its private half, "" where an agent has
	// that.
	NextFile    string `json:"next_file,omitempty"`
	NextPrivate string `json:"next_private,omitempty"`
	// Targets are those that log in by certificates, of user-ca.
	Targets []TargetTakes `json:"targets,omitempty"`
	// Unready are witnesses that don't take the next key, and why, of audit.
	Unready map[string]string `json:"unready,omitempty"`
	// Servers are others on the database, which need the next one too, of secret.
	Servers []string `json:"servers,omitempty"`
	// Ready is when the next key may be put in its place, KnownHosts the lines that users are
	// to have until then, and Certificates the files of host certificates that the next CA
	// has to sign first, where it is offline, of host-ca.
	Ready        *time.Time `json:"ready,omitempty"`
	KnownHosts   []string   `json:"known_hosts,omitempty"`
	Certificates []string   `json:"certificates,omitempty"`
	// Before is the public key that the present one followed on, "" where there is none, of audit.
	Before string `json:"before,omitempty"`
	// Finished is that this operation put the next key in its place.
	Finished bool `json:"finished,omitempty"`
}

// The CAs whose certificates a target takes, since another is to follow.
const (
	TakesNext  = "next"  // the next one's
	TakesNow   = "now"   // only the present one's, as it was when it was last dialled
	TakesNever = "never" // it wasn't dialled since
)

// TargetTakes is which CA's certificate a target took.
type TargetTakes struct {
	Target  string     `json:"target"`
	Takes   string     `json:"takes"`
	Address string     `json:"address,omitempty"` // where that was seen: a target may be several machines, and the worst counts
	At      *time.Time `json:"at,omitempty"`      // when it was seen first
}

func (a *Server) rotateHandlers(handle func(string, func(*http.Request) (any, error))) {
	known := func(r *http.Request) (string, error) {
		what := r.PathValue("what")
		if a.Rotations == nil || !slices.Contains(Rotatable, what) {
			return "", &Error{http.StatusNotFound, fmt.Sprintf("no key of the server's is called %.40q; there are %v", what, Rotatable)}
		}
		return what, nil
	}
	handle("GET /v1/keys/{what}", func(r *http.Request) (any, error) {
		what, err := known(r)
		if err != nil {
			return nil, err
		}
		return a.Rotations.Rotation(r.Context(), what)
	})
	handle("POST /v1/keys/{what}/{step}", func(r *http.Request) (any, error) {
		what, err := known(r)
		if err != nil {
			return nil, err
		}
		var how RotateHow
		if err := json.NewDecoder(r.Body).Decode(&how); err != nil {
			return nil, &Error{http.StatusBadRequest, "the request doesn't say how"}
		}
		if how.Reason, err = oneLine("reason", how.Reason, maxNote); err != nil {
			return nil, err
		}
		if how.Force && how.Reason == "" {
			return nil, &Error{http.StatusBadRequest, "what is forced needs a reason, for the log"}
		}
		switch step := r.PathValue("step"); step {
		case "begin":
			return a.Rotations.Begin(r.Context(), what, how)
		case "finish":
			return a.Rotations.Finish(r.Context(), what, how)
		case "abort":
			return a.Rotations.Abort(r.Context(), what, how)
		}
		return nil, errors.New("a rotation has no such step")
	})
}
