package admin

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"entry/audit"
	"entry/audit/evidence"
	"entry/session/recording"
	"entry/session/recording/rewrap"
	"entry/session/recording/spool"
)

const (
	// RewrapPath is where recordings' new keys are handed in.
	RewrapPath = "/v1/recordings/rewrap"
	// MaxRewraps is how many recordings' keys are handed in at once, and MaxRewrapBytes how
	// long these may be together, unless it is one.
	MaxRewraps     = 50
	MaxRewrapBytes = 2 << 20 // bytes
	// maxRewrapBody bounds such a request: the keys in base64, with what is said of each.
	maxRewrapBody = 6 << 20 // bytes
)

// Rewrap asks for a recording's key to be put in place of the present one.
type Rewrap struct {
	rewrap.Key
	// Again is that the log says that it is in its place: whatever is there now was put
	// there from outside.
	Again bool `json:"again,omitempty"`
}

// The outcomes of handing in one.
const (
	RewrapPlaced  = "placed"  // it is in its place, and the log says so
	RewrapGone    = "gone"    // no such recording is here, or nobody can open it any more
	RewrapLive    = "live"    // it is still being written
	RewrapRefused = "refused" // Why says why
)

// RewrapOutcome is what became of one.
type RewrapOutcome struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"`
	Why     string `json:"why,omitempty"` // the predicate of a sentence
}

// rewrap puts recordings' keys, as auditors sealed them to others, in the place of those
// that are there. The log is told before, so that at any moment one of the two that it
// knows is there; and after, so that from then on the new one has to be. Both can be handed
// in again: what a crash cut off is finished by that.
func (a *Server) rewrap(r *http.Request) (any, error) {
	var in []Rewrap
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in) == 0 || len(in) > MaxRewraps {
		return nil, &Error{http.StatusBadRequest, fmt.Sprintf("the request doesn't have the keys of at least one recording and at most %d", MaxRewraps)}
	}
	a.rewrapping.Lock()
	defer a.rewrapping.Unlock()
	out := make([]RewrapOutcome, len(in))
	at := map[string]int{}
	var ids, staged []string
	var announce []audit.Event
	done := map[string]audit.Event{}
	for i, w := range in {
		out[i] = RewrapOutcome{ID: w.ID}
		_, twice := at[w.ID]
		at[w.ID] = i
		h, there, err := a.judgeRewrap(w)
		switch {
		case twice:
			return nil, &Error{http.StatusBadRequest, "the request names a recording twice"}
		case errors.Is(err, fs.ErrNotExist):
			out[i].Outcome = RewrapGone
		case errors.Is(err, spool.ErrLive):
			out[i].Outcome = RewrapLive
		case err != nil:
			out[i].Outcome, out[i].Why = RewrapRefused, err.Error()
		default:
			if !there {
				staged = append(staged, w.ID)
			}
			e := evidence.RewrapEvent(h, w.Rewrap)
			announce = append(announce, audit.ByActor(r.Context(), e))
			e.Type, e.Rewrap = audit.RewrapDone, nil
			done[w.ID] = audit.ByActor(r.Context(), e)
			ids = append(ids, w.ID)
		}
	}
	if len(ids) == 0 {
		return out, nil
	}
	dir := a.Recordings
	unstage := func(err error) error {
		for _, id := range staged {
			err = errors.Join(err, spool.Unstage(dir, id))
		}
		return err
	}
	for _, id := range staged {
		if err := spool.Stage(dir, id, in[at[id]].Sealed); err != nil {
			return nil, unstage(err)
		}
	}
	if err := a.Events.Append(r.Context(), announce...); err != nil {
		return nil, unstage(err)
	}
	err := spool.Place(dir, staged)
	var finished []audit.Event
	for _, id := range ids {
		cur, kerr := recording.KeyHash(dir, id)
		switch {
		case errors.Is(kerr, fs.ErrNotExist):
			out[at[id]].Outcome = RewrapGone
		case kerr != nil:
			err = errors.Join(err, kerr)
		case hex.EncodeToString(cur[:]) == in[at[id]].To:
			out[at[id]].Outcome = RewrapPlaced
			finished = append(finished, done[id])
		default:
			err = errors.Join(err, fmt.Errorf("the key of recording %s isn't the one that was put in its place", id))
		}
	}
	if len(finished) > 0 {
		err = errors.Join(err, a.Events.Append(r.Context(), finished...))
	}
	return out, err
}

// judgeRewrap says whether a key may take the place of the recording's present one. there
// tells that it has it already. The error is the predicate of a sentence, or wraps
// fs.ErrNotExist or spool.ErrLive.
func (a *Server) judgeRewrap(w Rewrap) (h recording.Header, there bool, err error) {
	info, err := recording.Stat(a.Recordings, w.ID)
	switch {
	case err != nil:
		return h, false, err
	case info.State == recording.Live:
		return h, false, spool.ErrLive
	case info.State == recording.Damaged:
		return h, false, errors.New("is damaged; entry audit verify says more")
	}
	cur, err := recording.KeyHash(a.Recordings, w.ID)
	if err != nil {
		return h, false, err
	}
	if err := w.Makes(w.Sealed); err != nil {
		return h, false, err
	}
	if _, err := w.Check(info.Header); err != nil {
		return h, false, err
	}
	switch digest := hex.EncodeToString(cur[:]); {
	case digest == w.To:
		return info.Header, true, nil
	case digest == w.From, w.Again:
		return info.Header, false, nil
	}
	return h, false, errors.New("has another key than the one that this was made from: it was sealed anew since, or its key was changed")
}
