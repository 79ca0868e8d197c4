package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/witness"
	"entry/session/recording"
)

// Trust is what somebody holds a bundle or a record against: keys that they have from
// elsewhere than from who gave it to them.
type Trust struct {
	Key       string   // public key of the log; "" takes the bundle's own
	Witnesses []string // public keys; nil takes the bundle's own
	Need      int      // how many of those have to have cosigned; 0 for all that are given here
}

// Report is what was proven.
type Report struct {
	Session string `json:"session,omitempty"` // "" of a record alone
	Key     string `json:"log_key"`           // that the tree head was held against
	OwnKey  bool   `json:"own_key,omitempty"` // which the bundle itself says: whose log it is isn't shown
	// Changes are those of the log's key up to the tree head: each is signed by both keys.
	Changes  []audit.KeyReport  `json:"key_changes,omitempty"`
	Size     uint64             `json:"tree_size"`
	Cosigned []witness.Cosigned `json:"cosigned,omitempty"` // of the witnesses that it was held against
	OwnNames bool               `json:"own_witnesses,omitempty"`
	// Unheld is how many signatures under the tree head no key was there for: a record names
	// no witnesses' keys itself.
	Unheld int           `json:"unheld_signatures,omitempty"`
	Events []audit.Event `json:"-"`
	// Followed says of the session's log, where that is one before, which log came after it,
	// and so on up to the one of the key that it was held against.
	Followed []Followed `json:"followed,omitempty"`
	// Rest is how many logs later than that one the bundle has records of, which aren't held
	// against anything.
	Rest int `json:"later_logs,omitempty"`
	// Recording is there where the recording is in the bundle, and holds.
	Recording *recording.Info `json:"-"`
	// Sealed is what the records say of its sealed key, which may be nothing (Sealing.Key
	// is "" then).
	Sealed evidence.Sealing `json:"-"`
	// Lacks says which records aren't in it that belong to every session: nothing proves
	// that they aren't in the log.
	Lacks []string `json:"lacks,omitempty"`
}

// Disproof says that something in a bundle isn't what was written.
type Disproof struct {
	Why string
	err error // of package evidence's, where it found that
}

func (d *Disproof) Error() string { return d.Why }
func (d *Disproof) Unwrap() error { return d.err }

func disproof(format string, args ...any) error {
	return &Disproof{Why: fmt.Sprintf(format, args...)}
}

// Verify proves all that is in the bundle, as package doc says. The error is a *Disproof
// where something isn't what was written, and names it; one of package evidence's is in it.
func (b *Bundle) Verify(t Trust) (rep Report, err error) {
	if rep, err = b.Prove(t); err != nil || b.Dir == "" {
		return rep, err
	}
	info, err := recording.Stat(b.Dir, b.Session)
	if err != nil {
		return rep, disproof("the recording can't be read: %v", err)
	}
	verdict, err := evidence.VerifyBy(rep.Events, b.Dir, info)
	switch {
	case errors.As(err, new(*fs.PathError)):
		return rep, err
	case err != nil:
		return rep, &Disproof{err.Error(), err}
	case verdict.Against != evidence.KnowingLog:
		return rep, disproof("no record in the bundle says what recording %s is", b.Session)
	}
	st, err := os.Stat(filepath.Join(b.Dir, b.Session+recording.Ext))
	if err != nil {
		return rep, err
	}
	if st.Size() != verdict.Info.Size {
		return rep, disproof("there is something behind the recording's last segment")
	}
	for _, what := range rep.Lacks {
		if what != lacksLogin && (what != lacksStart || verdict.Info.State != recording.StateAborted) {
			return rep, disproof("%s isn't in the bundle, so the recording could have been cut", what)
		}
	}
	rep.Recording, rep.Sealed = &verdict.Info, verdict.Sealed
	return rep, nil
}

// Prove proves the records alone, and not yet that the recording is the one that they
// speak of.
func (b *Bundle) Prove(t Trust) (rep Report, err error) {
	if len(b.Next) > 0 {
		rep, err = b.chain(t)
	} else {
		rep, err = prove(b.Records, t, b.Key, b.Changes, b.Witnesses)
	}
	if err != nil {
		return rep, err
	}
	rep.Session = b.Session
	for _, e := range rep.Events {
		if begins := len(b.Next) > 0 && e.Seq == 1 && e.Type == audit.LogGap; !begins && !b.about(e, rep.Events) {
			return rep, disproof("record %d is of another session", e.Seq)
		}
		if e.Type == audit.RecordingFailed && b.Dir != "" {
			return rep, disproof("%v, so the recording could have been cut", ErrFailed)
		}
		if e.Type == audit.RecordingAborted && b.Dir != "" {
			if err := b.mark(e.Time); err != nil {
				return rep, err
			}
		}
	}
	rep.Lacks = b.lacks(rep.Events)
	return rep, nil
}

// What every session has a record of.
const (
	lacksLogin = "the record of the login that the session came by"
	lacksStart = "the record of the session's start"
	lacksEnd   = "the record of the session's end"
)

// lacks says which of those aren't there.
func (b *Bundle) lacks(events []audit.Event) (out []string) {
	login, started, ended := false, false, false
	for _, e := range events {
		login = login || e.Type == audit.LoginSucceeded
		of := e.Session == b.Session || e.Recording != nil && e.Recording.ID == b.Session
		started = started || of && e.Type == audit.SessionStarted
		ended = ended || of && (e.Type == audit.SessionEnded || e.Type == audit.RecordingAborted)
	}
	if !login {
		out = append(out, lacksLogin)
	}
	if !started {
		out = append(out, lacksStart)
	}
	if !ended {
		out = append(out, lacksEnd)
	}
	return out
}

// mark makes the file beside a recording by which it is known that a restart found it cut;
// whether as it is here, its record tells.
func (b *Bundle) mark(at time.Time) error {
	a, cut, err := recording.Inspect(b.Dir, b.Session)
	if err != nil || !cut {
		return err
	}
	text, err := a.Mark(at)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.Dir, b.Session+recording.AbortedExt), text, 0o600)
}

// about tells whether an event belongs to the bundle's session: it is about it, or of the
// login that it came by.
func (b *Bundle) about(e audit.Event, all []audit.Event) bool {
	if (audit.Query{Session: b.Session}).Matches(e) {
		return true
	}
	for _, other := range all {
		if other.Session == b.Session && other.Conn != "" && other.Conn == e.Conn {
			return true
		}
	}
	return false
}

// Verify proves one record that came alone.
func (r Record) Verify(t Trust) (Report, error) {
	if t.Key == "" {
		return Report{}, ErrNoKey
	}
	return prove([]Record{r}, t, "", nil, nil)
}

// signatures is how many there are under a signed note.
func signatures(signed []byte) int {
	_, err := note.Open(signed, note.VerifierList())
	var u *note.UnverifiedNoteError
	if !errors.As(err, &u) {
		return 0
	}
	return len(u.Note.UnverifiedSigs)
}

// prove proves records, which share one tree head, against t and what a bundle says itself.
func prove(list []Record, t Trust, ownKey string, changes []byte, ownWitnesses []string) (rep Report, err error) {
	rep.Key = t.Key
	if t.Key == "" {
		rep.Key, rep.OwnKey = ownKey, true
	}
	texts := t.Witnesses
	if texts == nil {
		texts, rep.OwnNames = ownWitnesses, true
	}
	keys, err := witness.ParseKeys(texts)
	if err != nil {
		return rep, err
	}
	log, err := audit.KeysOf(rep.Key, changes)
	if err != nil {
		return rep, disproof("the changes of the log's key %v", err)
	}
	if !rep.OwnKey && ownKey != "" && !log.Has(ownKey) {
		return rep, disproof("the bundle is of the log with the key %.120q, and not of yours", ownKey)
	}
	head, by, err := witness.OpenHead(list[0].Head, log, keys)
	if err != nil {
		return rep, disproof("the tree head %v", err)
	}
	if after, ok := log.Changed(); ok && head.Size <= after {
		return rep, disproof("the tree head is of %s, and by a key that the log changed after record %d: whoever has that key still could have made it", plain.Count(int(head.Size), "record"), after)
	}
	rep.Size, rep.Cosigned, rep.Changes = head.Size, by, log.Reports(head.Size)
	rep.Unheld = signatures(list[0].Head) - 1 - len(by)
	need := t.Need
	if need == 0 && !rep.OwnNames {
		need = len(keys)
	}
	if len(by) < need {
		return rep, disproof("%d of the witnesses have cosigned the tree head, and not %d", len(by), need)
	}
	for _, r := range list {
		if !r.Holds(head) {
			return rep, disproof("record %d isn't in the log: its proof doesn't lead to the signed root", r.Seq)
		}
		e, err := r.Event()
		if err != nil {
			return rep, disproof("record %d %v", r.Seq, err)
		}
		rep.Events = append(rep.Events, e)
	}
	return rep, nil
}
