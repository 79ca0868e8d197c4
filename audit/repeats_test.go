package audit

import (
	"fmt"
	"testing"
	"time"
)

// TestRepeats: of 532 refusals alike in half a minute nine events remain, none is
// lost, and every refusal has a reference under which it stands.
func TestRepeats(t *testing.T) {
	var r Repeats
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	noted := 0
	add := func(e Event) string {
		t.Helper()
		ref, sums, again := r.Again(e, now)
		if len(sums) != 0 {
			t.Errorf("sums within a minute: %v", sums)
		}
		if !again {
			noted++
		}
		return ref
	}
	for i := range 532 {
		want := fmt.Sprint("ref", min(i, maxNoted-1))
		if ref := add(Event{Type: ForwardRefused, Reason: "denied", Destination: "db:5432", Ref: fmt.Sprint("ref", i)}); ref != want {
			t.Fatalf("the %dth has the reference %s, want %s", i+1, ref, want)
		}
		now = now.Add(50 * time.Millisecond)
	}
	if ref := add(Event{Type: ForwardRefused, Reason: "denied", Destination: "db:5433", Ref: "other"}); ref != "other" || noted != maxNoted+1 {
		t.Errorf("another destination: %s, %d noted", ref, noted)
	}
	now = now.Add(time.Minute)
	sums := r.Sums(now, false)
	if len(sums) != 1 || sums[0].Count != 532-maxNoted || sums[0].Ref != "ref7" || sums[0].Destination != "db:5432" {
		t.Errorf("sums: %+v", sums)
	}
	if sums := r.Sums(now, true); len(sums) != 0 {
		t.Errorf("summed twice: %+v", sums)
	}
	// After the minute the first is noted anew, and what waits comes along.
	for i := range maxNoted + 1 {
		add(Event{Type: ForwardRefused, Reason: "denied", Ref: fmt.Sprint(i)})
	}
	now = now.Add(time.Minute)
	if ref, sums, again := r.Again(Event{Type: ForwardRefused, Reason: "denied", Ref: "c"}, now); again || ref != "c" || len(sums) != 1 || sums[0].Count != 1 {
		t.Errorf("after a minute: %s, %v, %v", ref, sums, again)
	}
	// However many kinds a client makes up, few are told apart.
	noted = 0
	for i := range 10 * maxKinds {
		add(Event{Type: ChannelRefused, Reason: "unknown-channel", ChannelType: fmt.Sprint("x", i), Ref: fmt.Sprint(i)})
	}
	if noted > maxKinds+maxNoted || len(r.kinds) > maxKinds+1 {
		t.Errorf("%d noted, %d kinds", noted, len(r.kinds))
	}
	if sums := r.Sums(now, true); len(sums) != 1 || sums[0].Count != 10*maxKinds-noted {
		t.Errorf("%d noted, sums %+v", noted, sums)
	}
}

// TestRepeatsOnlyCounted: what is only counted stands in one sum a minute for its
// type and reason, with nothing that a client makes up, under the first reference.
func TestRepeatsOnlyCounted(t *testing.T) {
	var r Repeats
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for i := range 700 {
		e := Event{Type: ForwardRefused, Reason: "malformed", User: "alice", Conn: fmt.Sprint("c", i), Destination: fmt.Sprint("x", i), Ref: fmt.Sprint("ref", i)}
		if ref, sums := r.Count(e, now); ref != "ref0" || len(sums) != 0 {
			t.Fatalf("the %dth: %s, %v", i+1, ref, sums)
		}
	}
	now = now.Add(time.Minute)
	ref, sums := r.Count(Event{Type: ForwardRefused, Reason: "malformed", Ref: "later"}, now)
	if ref != "later" || len(sums) != 1 || sums[0].Count != 700 || sums[0].Ref != "ref0" || sums[0].User != "alice" || sums[0].Conn+sums[0].Destination != "" {
		t.Errorf("after a minute: %s, %+v", ref, sums)
	}
	if sums := r.Sums(now, true); len(sums) != 1 || sums[0].Count != 1 {
		t.Errorf("the rest: %+v", sums)
	}
}
