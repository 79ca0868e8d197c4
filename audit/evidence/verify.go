package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/segment"
	"entry/session/recording"
)

// Report is what Verify found to hold.
type Report struct {
	// Removed are those that are gone after their lab's retention, Erased by an order.
	Recordings, Live, Removed, Erased int
	// Unheard is how many of those Removed and Erased were while records of the log weren't
	// here, so that no hold which these alone say counted.
	Unheard int
	// Leftover is of how many of those Removed and Erased files are there still without the
	// key: the removal was cut off, or they were put back. Nobody can open them.
	Leftover int
	// Rewrapped is how many were sealed to other auditors since they were made, and Pending
	// of how many of those the log doesn't say yet that the new key is in its place.
	// Unproven are sealed anew by an operator's word alone: their headers, of an older
	// version, have nothing that shows who could open them.
	Rewrapped, Pending, Unproven int
	// Unjudged is how many can't be held against the log, or not to their end, because what
	// it says of them may be in records that aren't here. Those that are there are whole by
	// themselves.
	Unjudged int
	// Unheld is of how many the key isn't held against the whole log: later records aren't
	// here, and may say that they were sealed anew.
	Unheld int
}

// String says it in words.
func (r Report) String() string {
	s := plain.Count(r.Recordings, "recording") + " consistent with the log"
	if r.Live > 0 {
		s += fmt.Sprintf(", %d of them live", r.Live)
	}
	if r.Removed > 0 {
		s += fmt.Sprintf("; %d removed after their lab's retention", r.Removed)
	}
	if r.Erased > 0 {
		s += fmt.Sprintf("; %d erased by operators' order", r.Erased)
	}
	if r.Unheard > 0 {
		s += fmt.Sprintf("; %d of those while records of the log weren't here, so that a hold which only these say didn't count", r.Unheard)
	}
	if r.Leftover > 0 {
		s += fmt.Sprintf("; of %d of those files are left without a key, which nobody can open: the removal was cut off, or they were put back", r.Leftover)
	}
	if r.Rewrapped > 0 {
		s += fmt.Sprintf("; %d sealed anew since", r.Rewrapped)
	}
	if r.Unproven > 0 {
		s += fmt.Sprintf(" (%d of an older version, so that nothing shows that who did it could open them)", r.Unproven)
	}
	if r.Pending > 0 {
		s += fmt.Sprintf("; sealing %d of them anew was cut off, so they may be open to the auditors of before: entry sessions rewrap --take FILE goes on", r.Pending)
	}
	if r.Unheld > 0 {
		s += fmt.Sprintf("; %d of them may have been sealed anew in records that aren't here, so that an earlier key would pass", r.Unheld)
	}
	if r.Unjudged > 0 {
		s += fmt.Sprintf("; %d not held against it: what it says of them may be in records that aren't here", r.Unjudged)
	}
	return s
}

// Verify checks every recording in dir against the log in logDir, which must
// have been verified itself, and that none is missing. It joins a *Mismatch for
// each one that is bad, and for each bad list of a tick. What else goes wrong,
// such as a file that can't be read, is in the error, too.
//
// Records that aren't here excuse a recording that may have started or ended there. That
// an earlier one is missing, or its key another, only those excuse that are in accepted.
func Verify(logDir, dir string, accepted ...segment.Absent) (rep Report, err error) {
	// First what is there, then the log: who is in the spool is in the log.
	list, err := recording.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return rep, err
	}
	about, absent, err := gather(logDir, dir, "", accepted)
	if about == nil {
		return rep, err
	}
	bad := []error{err}
	judge := func(k *known, started time.Time, err error) bool {
		var m *Mismatch
		switch {
		case errors.As(err, &m) && absent.excuse(m, k, started):
			rep.Unjudged++
		case err != nil:
			bad = append(bad, err)
		}
		return err == nil
	}
	for _, i := range list {
		k := about[i.ID]
		if k == nil {
			if i.State != recording.Live { // one that is just starting isn't in the log yet
				err := error(mismatch(Unknown, i.ID, "the audit log doesn't know it"))
				if absent.droppedAt(i.Start) {
					err = mismatch(Unknown, i.ID, "the audit log says that its records of then were dropped, and it keeps those that are as old as its oldest recording: they were dropped too early, or it was put back since")
				}
				if absent.at(i.Start) {
					if _, own := new(known).verify(dir, i.ID); own != nil {
						err = own
					}
				}
				judge(nil, i.Start, err)
			}
			continue
		}
		info, err := k.verify(dir, i.ID)
		if k.removed != nil && errors.Is(err, fs.ErrNotExist) {
			continue // removed since it was listed
		}
		if err == nil && k.wrongly != nil {
			err = k.wrongly
		}
		delete(about, i.ID)
		if !judge(k, i.Start, err) {
			continue
		}
		if k.removed != nil { // without its key, as was looked at
			rep.Leftover++
			rep.gone(k)
			continue
		}
		if k.ended == nil && !k.cut && info.State != recording.Live && len(absent.after(k.last)) > 0 {
			rep.Unjudged++ // where it ended is in what isn't here
			continue
		}
		rep.Recordings++
		rep.sealing(k)
		if info.State == recording.Live {
			rep.Live++
		}
	}
	for id, k := range about {
		if k.removed != nil {
			rep.gone(k)
			err := k.verifyRemoval(id)
			if _, kerr := recording.KeyHash(dir, id); err == nil && !errors.Is(kerr, fs.ErrNotExist) {
				err = mismatch(StillThere, id, "the audit log says that it was removed, but its key is there: with a copy of the recording it opens that") // the key goes first
			}
			judge(k, k.last, err)
			continue
		}
		// One that started after the listing is there by now.
		if _, err := recording.Verify(dir, id); errors.Is(err, fs.ErrNotExist) {
			judge(k, k.last, mismatch(Missing, id, "it is missing from the spool"))
		}
	}
	return rep, errors.Join(bad...)
}

// gone counts a recording that the log says was removed.
func (r *Report) gone(k *known) {
	if k.erased {
		r.Erased++
	} else {
		r.Removed++
	}
	if k.unheard {
		r.Unheard++
	}
}

// sealing counts how a recording is sealed.
func (r *Report) sealing(k *known) {
	if k.sealed.Rewraps > 0 {
		r.Rewrapped++
	}
	if k.sealed.Unproven > 0 {
		r.Unproven++
	}
	if k.sealed.Pending() {
		r.Pending++
	}
	if len(k.unheld) > 0 {
		r.Unheld++
	}
}

// verify holds a recording against what is known of it. The end of a recording
// that failed was never durable, so it isn't expected: all up to the last tick
// is.
func (k *known) verify(dir, id string) (recording.Info, error) {
	if k.headless && len(k.expect) == 0 {
		return recording.Info{Header: recording.Header{ID: id}, State: recording.StateAborted}, nil
	}
	expect := k.expect
	if k.ended != nil && k.failed == "" {
		expect = append(expect, *k.ended)
	}
	info, err := recording.Verify(dir, id, expect...)
	var bad *recording.BadSegment
	switch {
	case !errors.As(err, &bad):
	case k.failed != "" && info.State == recording.StateAborted && bad.Segment == int(info.Segments) && info.Segments >= k.durable():
		err = nil // it lacks its end, as the log says
	case bad.Unmarked && k.unended && k.ended == nil && k.failed == "" && info.Segments >= k.durable():
		err = &Mismatch{Kind: Unended, ID: id, err: fmt.Errorf("recording %s: it has no end, nor has its session in the log: the server ended before it did, and none has started since; all that the log knows of it is there, %s", id, plain.Count(int(info.Segments), "segment"))}
	default:
		err = &Mismatch{Kind: Kind(bad.Fault), ID: id, err: err}
	}
	if err == nil {
		err = k.verifyKey(dir, info.Header)
	}
	return info, err
}

// verifyKey holds the file with the recording's sealed key against what is known of it.
func (k *known) verifyKey(dir string, header recording.Header) error {
	id := header.ID
	h, err := recording.KeyHash(dir, id)
	switch gone := errors.Is(err, fs.ErrNotExist); {
	case k.removed != nil && !gone:
		return mismatch(StillThere, id, "the audit log says that it was removed, but it is still there with its key")
	case k.removed != nil: // it is on its way out: a crash can stop that half-way
		return nil
	case gone && k.started:
		return mismatch(MissingKey, id, "its sealed key, "+id+recording.KeyExt+", is missing: nobody can open it without a copy of that")
	case gone:
		return nil // a crash came before its session started
	case err != nil:
		return err
	}
	if k.sealed, err = k.sealing(header); err != nil {
		return err
	}
	return k.sealed.hold(id, hex.EncodeToString(h[:]))
}

// durable is how many segments the log knows to be on the disk.
func (k *known) durable() (most uint32) {
	for _, x := range k.expect {
		most = max(most, x.Segments)
	}
	return most
}

// Against says what a recording was held against.
type Against int

// What a recording can be held against.
const (
	Nothing    Against = iota // it wasn't verified
	NoLog                     // there is no log here
	BadLog                    // the log can't be read
	OtherLog                  // the log doesn't know the recording
	KnowingLog                // the log's events and every tick
	AbsentLog                 // what the log may say of it is in records that aren't here
)

// String says it for a person; "" for Nothing.
func (a Against) String() string {
	switch a {
	case NoLog:
		return "by itself: the audit log isn't here"
	case BadLog:
		return "by itself: the audit log can't be read"
	case OtherLog:
		return "by itself: the audit log doesn't know it"
	case AbsentLog:
		return "by itself: the records of the audit log from then aren't here"
	case KnowingLog:
		return "against the audit log"
	}
	return ""
}

// Verdict is what VerifyOne found of one recording.
type Verdict struct {
	Info    recording.Info
	Against Against
	Failed  string  // what the log says went wrong while it was recorded
	Sealed  Sealing // to whom it is
}

// VerifyOne verifies one recording in dir, listed by recording.List, against
// the log in logDir with every tick, or by itself where logDir is "" or has no
// log that knows it. Errors are as Verify's; the verdict stands beside them.
func VerifyOne(logDir, dir string, listed recording.Info) (v Verdict, err error) {
	v = Verdict{Info: listed, Against: NoLog}
	k := &known{}
	var lists error
	if logDir != "" {
		all, absent, gerr := gather(logDir, dir, listed.ID, nil)
		switch {
		case all == nil:
			v.Against = BadLog
		case all[listed.ID] == nil && absent.at(listed.Start):
			v.Against, lists = AbsentLog, gerr
		case all[listed.ID] == nil:
			v.Against, lists = OtherLog, gerr
		default:
			k, lists = all[listed.ID], gerr
			v.Against, v.Failed = KnowingLog, k.failed
		}
	}
	err = v.hold(k, dir)
	return v, errors.Join(err, lists)
}

// hold verifies the recording against what is known of it.
func (v *Verdict) hold(k *known, dir string) error {
	info, err := k.verify(dir, v.Info.ID)
	if err == nil {
		v.Info, v.Sealed = info, k.sealed
	}
	return err
}

// VerifyBy is VerifyOne against events of a log that are here without it, in their order:
// what was proven of them is for whoever calls. Of ticks nothing is looked at.
func VerifyBy(events []audit.Event, dir string, listed recording.Info) (v Verdict, err error) {
	g := gathering{dir: dir, only: listed.ID, found: map[string]*known{}}
	for _, e := range events {
		g.event(e)
	}
	v = Verdict{Info: listed, Against: OtherLog}
	k := g.found[listed.ID]
	if k == nil {
		k = &known{}
	} else {
		v.Against, v.Failed = KnowingLog, k.failed
	}
	err = v.hold(k, dir)
	return v, err
}
