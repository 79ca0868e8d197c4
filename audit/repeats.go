package audit

import (
	"sync"
	"time"
)

// Repeats sums refusals, so that a client that is refused again and again costs
// the log no event each time: the first eight of a kind are noted, those that follow
// are counted, and stand in one more event a minute. Its zero value is ready. It is
// safe for concurrent use.
type Repeats struct {
	mu    sync.Mutex
	kinds map[repeatKind]*repeat
}

const (
	repeatFor = time.Minute // for so long the first of a kind stand for the others
	maxNoted  = 8           // of a kind in that time
	maxKinds  = 64          // what clients make up; past it only type and reason tell kinds apart
)

// repeatKind is what makes refusals the same: all but when.
type repeatKind struct {
	typ                                                                   Type
	reason, target, capability, channelType, destination, digest, program string
}

type repeat struct {
	last  Event // that was noted
	noted int
	more  int // that weren't
	since time.Time
}

// Again counts e, a refusal with its Ref, and reports whether enough like it were
// noted within the last minute: then ref is the latest one's, and e isn't to be
// appended. Else e is. sums are to be appended in either case.
func (r *Repeats) Again(e Event, now time.Time) (ref string, sums []Event, again bool) {
	k := repeatKind{e.Type, e.Reason, e.Target, e.Capability, e.ChannelType, e.Destination, e.Digest, e.Program}
	r.mu.Lock()
	defer r.mu.Unlock()
	sums = r.due(now, false)
	if r.kinds == nil {
		r.kinds = map[repeatKind]*repeat{}
	}
	if _, ok := r.kinds[k]; !ok && len(r.kinds) >= maxKinds {
		k = repeatKind{typ: e.Type, reason: e.Reason}
	}
	of := r.kinds[k]
	if of == nil {
		of = &repeat{since: now}
		r.kinds[k] = of
	}
	if of.noted < maxNoted {
		of.noted++
		of.last = e
		return e.Ref, sums, false
	}
	of.more++
	return of.last.Ref, sums, true
}

// Count counts e, a refusal with its Ref (or e.Count of them), of which nothing is noted: it stands in
// the sum of its type and reason that comes after a minute, under ref. What else e
// says is lost, so that no client can make up kinds. sums are to be appended.
func (r *Repeats) Count(e Event, now time.Time) (ref string, sums []Event) {
	k := repeatKind{typ: e.Type, reason: e.Reason}
	r.mu.Lock()
	defer r.mu.Unlock()
	sums = r.due(now, false)
	if r.kinds == nil {
		r.kinds = map[repeatKind]*repeat{}
	}
	of := r.kinds[k]
	if of == nil {
		of = &repeat{since: now, last: Event{Type: e.Type, Reason: e.Reason, User: e.User, Ref: e.Ref,
			Detail: "only counted, over all connections of the user, who caused too many events"}}
		r.kinds[k] = of
	}
	of.more += max(1, e.Count)
	return of.last.Ref, sums
}

// Sums are the events for what was only counted: what is a minute old, or all of
// it where nothing more comes.
func (r *Repeats) Sums(now time.Time, all bool) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.due(now, all)
}

func (r *Repeats) due(now time.Time, all bool) []Event {
	var out []Event
	for k, old := range r.kinds {
		if !all && now.Sub(old.since) < repeatFor {
			continue
		}
		delete(r.kinds, k)
		if old.more > 0 {
			e := old.last
			e.Count = old.more
			out = append(out, e)
		}
	}
	return out
}
