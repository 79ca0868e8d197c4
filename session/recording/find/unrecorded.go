package find

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"entry/audit/evidence"
	"entry/session/recording"
)

// Unrecorded yields the sessions of which the log has something that ran, wanted by
// want, and of which there is no recording with an ID of have: none was made, or it
// isn't here; gone are those of which the log has that they were removed. Only what was open since a time counts. An error is one of reading the
// log, whose remaining events are still looked at.
func Unrecorded(logDir string, since time.Time, have []recording.Info, gone map[string]evidence.Removal, want func(evidence.Channel) bool) iter.Seq2[Unread, error] {
	return func(yield func(Unread, error) bool) {
		here := map[string]bool{}
		for _, info := range have {
			here[info.ID] = true
		}
		found := map[string]*Unread{}
		for c, err := range evidence.Coverage(logDir, since) {
			if err != nil {
				if !yield(Unread{}, err) {
					return
				}
				continue
			}
			if here[c.Session] || c.Session == "" || c.Coverage == recording.Refused || !want(c) {
				continue
			}
			if found[c.Session] == nil {
				h := recording.Header{ID: c.Session, User: c.User, Lab: c.Lab, Target: c.Target, Start: c.Opened}
				found[c.Session] = &Unread{Session: recording.Info{Header: h}}
			}
			u := found[c.Session]
			was, removed := gone[c.Session]
			switch {
			case removed && was.Erased:
				u.Why = "its recording was removed by an order to erase it"
				if was.Order != nil {
					u.Why = "its recording was erased by order " + was.Order.ID
				}
			case removed:
				u.Why = "its recording was removed after its lab's retention"
			case c.Coverage == "":
				u.Why = cmp.Or(u.Why, "it began meanwhile, or isn't recorded")
			case c.Coverage == recording.MetadataOf:
				u.Why = cmp.Or(u.Why, "metadata: it wasn't recorded")
			default:
				u.Why, u.Missing = "its recording isn't here: it was taken away, or is elsewhere", true
			}
		}
		for _, id := range slices.Sorted(maps.Keys(found)) {
			if !yield(*found[id], nil) {
				return
			}
		}
	}
}
