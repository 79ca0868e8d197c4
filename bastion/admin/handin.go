package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/rewrap"
)

// HandingIn hands in recordings' new keys, as an auditor sealed them, some at a time.
type HandingIn struct {
	Dir  string        // of the recordings
	Keys evidence.Keys // what the log says of their keys
	// Call is the operation at RewrapPath.
	Call func(some []Rewrap, out *[]RewrapOutcome) error

	HandedIn
	some  []Rewrap // to be handed in at once
	bytes int
}

// HandedIn is what became of keys.
type HandedIn struct {
	Placed, Same, Gone, Live int     // in their places now, and before; of what isn't here, and of what still runs
	Bad                      []error // why others weren't taken
}

// All hands in all keys; at hears before each how many are done. The error is the one that
// comes with the keys, or of handing some in: those before it stand in what became of them.
func (h *HandingIn) All(keys iter.Seq2[rewrap.Key, error], at func(done int)) error {
	for k, err := range keys {
		if err != nil {
			return errors.Join(h.flush(), err)
		}
		at(h.Placed + h.Same + h.Gone + h.Live + len(h.Bad))
		wanted, again := h.wants(k)
		if !wanted {
			continue
		}
		if len(h.some) == MaxRewraps || h.bytes+len(k.Sealed) > MaxRewrapBytes {
			if err := h.flush(); err != nil {
				return err
			}
		}
		h.some, h.bytes = append(h.some, Rewrap{Key: k, Again: again}), h.bytes+len(k.Sealed)
	}
	return h.flush()
}

// wants tells whether a key is to be handed in. One that the log doesn't take for made of
// the recording's present one isn't, nor is one that is in its place already. again tells
// that it was, and that something else was put there.
func (h *HandingIn) wants(k rewrap.Key) (wanted, again bool) {
	refuse := func(err error) (bool, bool) {
		h.Bad = append(h.Bad, err)
		return false, false
	}
	info, err := recording.Stat(h.Dir, k.ID)
	if errors.Is(err, fs.ErrNotExist) {
		h.Gone++
		return false, false
	}
	if err != nil {
		return refuse(err)
	}
	if info.State == recording.Damaged {
		return refuse(fmt.Errorf("recording %s is damaged; entry audit verify says more", k.ID))
	}
	s, err := h.Keys.Of(h.Dir, info.Header)
	var m *evidence.Mismatch
	switch {
	case errors.Is(err, fs.ErrNotExist):
		h.Gone++
		return false, false
	case errors.As(err, &m) && m.Kind == evidence.OtherKey && s.Key == k.To:
		return true, true
	case errors.As(err, &m) && m.Mendable() && s.Takes(k.From):
		return true, false
	case errors.Is(err, evidence.ErrUnknownRecording):
		return refuse(fmt.Errorf("recording %s: %w", k.ID, err))
	case err != nil:
		return refuse(err)
	case s.Key == k.To && !s.Pending():
		h.Same++
		return false, false
	}
	return true, false
}

// flush hands in what has gathered.
func (h *HandingIn) flush() error {
	if len(h.some) == 0 {
		return nil
	}
	var out []RewrapOutcome
	err := h.Call(h.some, &out)
	h.some, h.bytes = nil, 0
	for _, r := range out {
		switch r.Outcome {
		case RewrapPlaced:
			h.Placed++
		case RewrapGone:
			h.Gone++
		case RewrapLive:
			h.Live++
		default:
			h.Bad = append(h.Bad, fmt.Errorf("the key for recording %s: it %s", plain.Word(r.ID), plain.Line(r.Why)))
		}
	}
	return err
}
