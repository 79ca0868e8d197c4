package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/segment"
	"entry/session/recording"
)

// rewrapping is one thing that the log says about a recording's key after its start.
type rewrapping struct {
	seq uint64
	at  time.Time
	// made is that it was sealed to others; nil says that the key that is called done is
	// in its place.
	made *recording.Rewrap
	done string
	// since is when the event about the recording before it was, where records in between
	// aren't here; else zero.
	since time.Time
}

// Sealing is to whom a recording is sealed, as the log and its header say.
type Sealing struct {
	// Key is the hex SHA-256 that its key file has to have; "" where the log, of an older
	// version, doesn't say. Before is one that it may have as well, until a new one that
	// was announced is in its place; "" once that is so.
	Key, Before string
	Rewraps     int       // how often it was sealed anew
	Unproven    int       // how many of those nothing shows to be made by who could open it
	Last        time.Time // of those the last
	Set         string    // recording.SetOf the auditors; "" where it isn't known
	Auditors    []string  // their fingerprints; nil where not all are known
	// Unheld says which later records aren't here: the recording may have been sealed anew
	// in them, so that its key isn't held against them.
	Unheld []string

	earlier  []string // digests that it had
	strayed  error    // it was sealed anew from one of those, and not again since; a *Mismatch
	rightful string   // the one that it should have been sealed anew from then
}

// sealing follows what the log says of a recording's key. The error is a *Mismatch of kind
// BadRewrap.
func (k *known) sealing(h recording.Header) (s Sealing, err error) {
	s.Key = k.key
	if len(h.Auditors) > 0 {
		s.Auditors, s.Set = slices.Clone(h.Auditors), recording.SetOf(h.Auditors)
	}
	bad := func(r rewrapping, format string, args ...any) *Mismatch {
		return &Mismatch{Kind: BadRewrap, ID: h.ID, since: r.since,
			err: fmt.Errorf("recording %s: event %d says that its key was sealed anew, but %s", h.ID, r.seq, fmt.Sprintf(format, args...))}
	}
	s.Unheld = k.unheld
	for _, r := range k.rewraps {
		if r.made == nil {
			switch r.done {
			case s.Key:
				s.drop()
			default:
				return s, bad(r, "the one that it says is in its place isn't the last that was made")
			}
			continue
		}
		proven, err := r.made.Check(h)
		switch {
		case err != nil:
			return s, bad(r, "that %v", err)
		case r.made.To == s.Key && s.Key != "":
			continue // announced again, by who put it in place again
		case s.Takes(r.made.From):
			if proven { // by who opened the key that was there: what was wrong before is over
				s.mended(r.made.From)
			}
		case proven && slices.Contains(s.earlier, r.made.From):
			// As where an earlier key was put back while the log's records about it weren't
			// here. Who made it could open the recording, and may have done so long ago.
			why := bad(r, "from an earlier key than it had: who was taken out with that may open it again, until it is sealed anew")
			why.mendable = true
			s.stray(why)
		case slices.Contains(s.earlier, r.made.From):
			return s, bad(r, "from an earlier key than it had")
		default:
			return s, bad(r, "from another key than it had")
		}
		if r.made.From != s.Before {
			s.drop()
			s.Before = r.made.From
		}
		s.Key, s.Set, s.Last = r.made.To, r.made.Set, r.at
		if s.Rewraps++; !proven {
			s.Unproven++
		}
		s.Auditors = membersAfter(s.Auditors, *r.made)
	}
	return s, s.strayed
}

// Takes tells whether a key that is made from the one with that digest can take the
// recording's place of its present one.
func (s Sealing) Takes(from string) bool {
	if s.strayed != nil { // and not from the earlier one once more: somebody may have kept files of then
		return from == s.Key || from == s.rightful
	}
	return s.Key == "" || from == s.Key || s.Before != "" && from == s.Before
}

// stray notes that the recording was sealed anew from an earlier key.
func (s *Sealing) stray(why error) {
	if s.strayed == nil {
		s.rightful = s.Key
	}
	s.drop()
	s.strayed, s.earlier = why, append(s.earlier, s.Key)
}

// mended notes that it was sealed anew from the key that was there, or should have been.
func (s *Sealing) mended(from string) {
	if s.strayed != nil && from != s.Key {
		s.drop()
		s.earlier = append(s.earlier, s.Key)
	}
	s.strayed, s.rightful = nil, ""
}

// drop notes that the key before isn't to be found any more.
func (s *Sealing) drop() {
	if s.Before != "" {
		s.earlier, s.Before = append(s.earlier, s.Before), ""
	}
}

// membersAfter are those who can open a recording once it was sealed anew; nil where what
// is known of them doesn't come to the set that was sealed to.
func membersAfter(before []string, r recording.Rewrap) []string {
	var now []string
	for _, f := range before {
		if !slices.Contains(r.Out, f) {
			now = append(now, f)
		}
	}
	for _, f := range r.In {
		if !slices.Contains(now, f) {
			now = append(now, f)
		}
	}
	if len(now) != r.Count || recording.SetOf(now) != r.Set {
		return nil
	}
	return now
}

// Pending tells that a new key was announced, and the log doesn't say yet that it is in its
// place: a crash came in between.
func (s Sealing) Pending() bool { return s.Before != "" }

// hold says whether a file with that digest is the recording's key.
func (s Sealing) hold(id, digest string) error {
	file := id + recording.KeyExt
	switch {
	case s.Key == "", digest == s.Key, s.Pending() && digest == s.Before:
		return nil
	case slices.Contains(s.earlier, digest):
		return mismatch(OtherKey, id, fmt.Sprintf("its sealed key, %s, is an earlier one, of before %s, when it was sealed anew: who was taken out then can open it with that", file, s.Last.UTC().Format(time.DateTime)))
	}
	return mismatch(OtherKey, id, "its sealed key, "+file+", isn't the one that the audit log knows: it was swapped or overwritten")
}

// rewrap takes in what an event says of sealing a recording's key anew.
func (g *gathering) rewrap(e audit.Event) {
	r := e.Recording
	k := g.of(r.ID)
	w := rewrapping{seq: e.Seq, at: e.Time}
	if g.absent != nil && len(g.absent.after(g.before)) > 0 {
		w.since = g.before
	}
	switch {
	case e.Type == audit.RewrapDone:
		w.done = r.Key
	case e.Rewrap == nil:
		w.made = &recording.Rewrap{} // which holds for nothing
	default:
		w.made = &recording.Rewrap{ID: r.ID, From: e.Rewrap.From, To: r.Key, Set: e.Rewrap.Set, Count: e.Rewrap.Count, In: e.Rewrap.In, Out: e.Rewrap.Out, Proof: e.Rewrap.Proof}
	}
	k.rewraps = append(k.rewraps, w)
	g.keyed(k)
}

// keyed notes that an event says what a recording's key is, or that it can't have been
// sealed anew before.
func (g *gathering) keyed(k *known) {
	if g.absent != nil {
		k.keyed = len(g.absent.all)
	}
}

// hold notes which recordings' keys can't be held against the log, since later records
// aren't here that nobody accepted.
func (g *gathering) hold() {
	for _, k := range g.found {
		for _, b := range g.absent.all[k.keyed:] {
			if !b.accepted {
				k.unheld = append(k.unheld, b.what)
			}
		}
	}
}

// RewrapEvent is the event for sealing a recording anew.
func RewrapEvent(h recording.Header, r recording.Rewrap) audit.Event {
	return audit.Event{Type: audit.RecordingRewrapped, Session: h.ID, User: h.User, Lab: h.Lab, Target: h.Target, Recording: &audit.Recording{ID: h.ID, Key: r.To},
		Rewrap: &audit.Rewrap{From: r.From, Set: r.Set, Count: r.Count, In: r.In, Out: r.Out, Proof: r.Proof}}
}

// Keys is what a log says of the keys of all recordings.
type Keys struct {
	of     map[string]*known
	absent absences
}

// ErrUnknownRecording says that a log doesn't know a recording.
var ErrUnknownRecording = errors.New("the audit log doesn't know the recording")

// ReadKeys reads the log in logDir, and those before it, for what they say of recordings'
// keys. accepted are records that aren't here, and say nothing of them.
func ReadKeys(logDir string, accepted ...segment.Absent) (Keys, error) {
	keys := Keys{absent: absences{accepted: accepted}}
	g := gathering{found: map[string]*known{}, absent: &keys.absent}
	for e, err := range everything(logDir) {
		if !keys.absent.event(e, err) {
			return keys, err
		}
		if err == nil {
			g.event(e)
		}
	}
	g.hold()
	keys.of = g.found
	return keys, nil
}

// Unheld says that a recording's key can't be held against a log, since later records
// aren't here: what is sealed anew now may be made from an earlier key.
type Unheld struct {
	ID   string
	what []string
}

func (u *Unheld) Error() string {
	return fmt.Sprintf("recording %s: %s, and may say that its key was sealed anew since", u.ID, strings.Join(u.what, "; "))
}

// Hint is what to do about it.
func (u *Unheld) Hint() string {
	return "put those segments into the folder archive beside the log; if you know that they don't say so, accept it with --absent FROM-TO"
}

// Misused is false: it is the log that lacks something.
func (u *Unheld) Misused() bool { return false }

// Of is how the recording in dir with the header h is sealed. The error wraps
// ErrUnknownRecording, or fs.ErrNotExist where its key isn't there, or is an *Unheld, or a
// *Mismatch where that isn't one that the log knows; where such a one is Mendable, the
// recording can be sealed anew all the same.
func (k Keys) Of(dir string, h recording.Header) (s Sealing, err error) {
	about := k.of[h.ID]
	if about == nil {
		return s, ErrUnknownRecording
	}
	if s, err = about.sealing(h); err != nil && s.strayed == nil {
		return s, err
	}
	sum, err := recording.KeyHash(dir, h.ID)
	if err != nil {
		return s, err
	}
	digest := hex.EncodeToString(sum[:])
	switch {
	case s.strayed != nil && digest == s.rightful:
	default:
		err = s.hold(h.ID, digest)
	}
	switch {
	case err != nil:
		return s, err
	case len(s.Unheld) > 0:
		return s, &Unheld{h.ID, s.Unheld}
	}
	return s, s.strayed
}
