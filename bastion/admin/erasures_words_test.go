package admin

import (
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit/evidence"
)

// What an order to erase would do and has done is said with what stays, and until when.
func TestErasureInWords(t *testing.T) {
	t.Parallel()
	order := func(change func(*Erasure)) Erasure {
		e := Erasure{Erasure: evidence.Erasure{Order: evidence.Order{ID: "un22b7lw", User: "alice"}}, Until: noon}
		change(&e)
		return e
	}
	found := order(func(e *Erasure) {
		e.Erasable = evidence.Erasable{Recordings: 2, First: noon.Add(-48 * time.Hour), Last: noon, Held: 1, Live: 1, Young: 1, Damaged: 1, Unsaid: 3}
	})
	would := found.Would()
	if len(would) != 6 || !strings.HasPrefix(would[0], "To be removed for good, of user alice: 2 recordings, from 2026-02-28T12:00:00Z to 2026-03-02T12:00:00Z;") ||
		would[1] != "Stays for now: 1 recording held (entry sessions holds), until that is released" || !strings.HasPrefix(would[5], "Stays for now: 3 recordings of which the log's records aren't here") {
		t.Errorf("%q", would)
	}
	if got := order(func(*Erasure) {}).Would(); !slices.Equal(got, []string{"Nothing to remove now of user alice."}) {
		t.Errorf("%q", got)
	}
	if got := found.Text(); found.State() != "waits for a second operator" || !strings.HasPrefix(got, "nothing is erased yet: erasure un22b7lw of all of user alice waits for a second operator until 2026-03-02 12:00") {
		t.Errorf("%s: %s", found.State(), got)
	}
	found.Stands, found.Removed = noon, 2
	if got := found.Text(); found.State() != "stands" || !strings.HasPrefix(got, "Erased: 2 recordings of user alice, by order un22b7lw.\nLeft: 1 recording held (") || !strings.Contains(got, "The order stands until 2026-03-02 12:00") {
		t.Errorf("%s: %s", found.State(), got)
	}
	found.Erasable = evidence.Erasable{}
	if got := found.Text(); got != "Erased: 2 recordings of user alice, by order un22b7lw." {
		t.Error(got)
	}
	found.Elsewhere = true
	if !strings.HasPrefix(found.State(), "ordered at another server") {
		t.Error(found.State())
	}
	found.Unheard = true
	if !strings.HasPrefix(found.State(), "may have been withdrawn") {
		t.Error(found.State())
	}
}
