package evidence

import (
	"fmt"
	"slices"

	"entry/audit"
	"entry/audit/plain"
	"entry/session/recording"
)

// removal holds a removal, as the log has it, against what the log said before: whose the
// recording was, until when it had to be kept, which holds stood, and who had ordered it.
func (g *gathering) removal(k *known, e audit.Event) {
	if k.wrongly != nil {
		return
	}
	wrong := func(kind Kind, format string, args ...any) {
		k.wrongly = mismatch(kind, e.Session, fmt.Sprintf("event %d says that it was removed, ", e.Seq)+fmt.Sprintf(format, args...))
	}
	f, was := &k.fact, recording.Info{Header: recording.Header{ID: e.Session, User: e.User, Lab: e.Lab, Start: e.Time}}
	if f.known() {
		was = f.theirs(was)
		was.Start = f.start
	}
	switch r := e.Recording; {
	case f.known() && (f.user != "" && f.user != e.User || f.lab != "" && f.lab != e.Lab):
		wrong(RemovedOther, "as one of user %s in lab %s, but it was of user %s in lab %s", plain.Word(e.User), plain.Word(e.Lab), plain.Word(f.user), plain.Word(f.lab))
	case f.started && r != nil && r.Header != "" && f.header != "" && r.Header != f.header:
		wrong(RemovedOther, "with another header than the one that the log has")
	case e.Until != nil && e.Until.After(e.Time.Add(slack)):
		wrong(RemovedEarly, "though it had to be kept until %s", plain.Time(*e.Until))
	case e.Until != nil && f.started && e.Until.Before(f.end):
		wrong(RemovedEarly, "as if it had to be kept until %s, before its session ended at %s", plain.Time(*e.Until), plain.Time(f.end))
	}
	if k.wrongly != nil {
		return
	}
	if h, ok := keeps(g.orders.holds(), was); ok {
		wrong(RemovedHeld, "but hold %s on %s kept it then", plain.Word(h.ID), h.What())
		k.wrongly.since = h.At // it may have been released, unless a segment says later that it stands
		if c := g.orders.standing.Carried(); c.After(h.At) {
			k.wrongly.since = c
		}
		return
	}
	if e.Reason != audit.ReasonErasure {
		return
	}
	i := slices.IndexFunc(g.orders.erasures, func(x Erasure) bool { return x.ID == e.Ref })
	switch {
	case i < 0:
		wrong(RemovedUnordered, "by erasure %s, but the log has no such order, or it was withdrawn", plain.Word(e.Ref))
	case g.orders.erasures[i].Stands.IsZero():
		wrong(RemovedUnordered, "by erasure %s, but no second operator had confirmed that", plain.Word(e.Ref))
	case !g.orders.erasures[i].About(was) || g.orders.erasures[i].Session == "" && was.Start.After(g.orders.erasures[i].At.Add(slack)):
		wrong(RemovedUnordered, "by erasure %s, but that isn't about it", plain.Word(e.Ref))
	}
	if k.wrongly != nil {
		k.wrongly.since = e.Time.Add(-ErasureWaits - ErasureLasts)
	}
}

// verifyRemoval holds what the log says of a removal against what it knows of
// the recording before: whoever can plant a file could have another one removed
// in its place, and whoever can write the database could order it.
func (k *known) verifyRemoval(id string) error {
	switch f := k.fact.head; {
	case k.wrongly != nil:
		return k.wrongly
	case !k.started && k.ended == nil && !k.headless && len(k.expect) == 0:
		return mismatch(RemovedUnknown, id, "the audit log says that it was removed, but not that it ever started")
	case k.ended != nil && k.failed == "" && (k.removed.Head != k.ended.Head || k.removed.Segments != k.ended.Segments),
		k.ended == nil && k.failed == "" && f != nil && !k.headless && (f.Segments != k.removed.Segments || f.Head != fmt.Sprintf("%x", k.removed.Head)):
		return mismatch(RemovedOther, id, "what was removed in its place isn't what the audit log knows")
	}
	return nil
}
