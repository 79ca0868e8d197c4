package evidence

import (
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/session/recording"
)

const (
	// ErasureWaits is how long an erasure waits for a second operator.
	ErasureWaits = 7 * 24 * time.Hour
	// ErasureLasts is how long one is carried out once it stands: what a hold keeps
	// meanwhile, what still runs, and what is younger than every recording is kept at
	// least, is removed within that time once it may be. It is the month within which
	// GDPR, article 12 (3), has a request answered.
	ErasureLasts = 30 * 24 * time.Hour
)

// Erasure is an order to remove recordings before their labs' retention is over: of one
// session, or of all of a user's or a lab's that began before it.
type Erasure struct {
	Order
	// Second is who confirmed it; nil where that isn't needed, or yet to come.
	Second *audit.Actor `json:"confirmed_by,omitempty"`
	Stands time.Time    `json:"stands_since,omitzero"` // zero while an operator has to confirm it
	// Elsewhere is that it was ordered at another server on the database, whose log has it.
	// That a row of a database says so erases nothing: somebody confirms it here.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// Unheard is that it was ordered here, but may have been withdrawn in records of the log
	// that aren't here. It is Elsewhere, too: somebody confirms it anew.
	Unheard bool `json:"unheard,omitempty"`
}

// Of tells whether that recording is one to remove.
func (e Erasure) Of(i recording.Info) bool {
	return e.About(i) && (e.Session != "" || i.Start.Before(e.At))
}

// Waits tells whether a second operator can confirm it still.
func (e Erasure) Waits(now time.Time) bool {
	return e.Stands.IsZero() && now.Before(e.At.Add(ErasureWaits))
}

// Lasts tells whether it is carried out now.
func (e Erasure) Lasts(now time.Time) bool {
	return !e.Stands.IsZero() && now.Before(e.Stands.Add(ErasureLasts))
}

// Erasable is what an erasure finds, by whether it may be removed now.
type Erasable struct {
	Recordings int       `json:"recordings"` // that may
	First      time.Time `json:"first,omitzero"`
	Last       time.Time `json:"last,omitzero"` // when the first and the last of those began
	Held       int       `json:"held,omitempty"`
	Live       int       `json:"live,omitempty"`    // or without an end so far
	Young      int       `json:"young,omitempty"`   // than every recording is kept at least
	Damaged    int       `json:"damaged,omitempty"` // or not what the log knows
	Unsaid     int       `json:"unsaid,omitempty"`  // of which the log's records aren't here
}

// Left is how many may not be removed now.
func (e Erasable) Left() int { return e.Held + e.Live + e.Young + e.Damaged + e.Unsaid }

// Stays says in words how many those are, and until when.
func (e Erasable) Stays() (out []string) {
	for _, l := range []struct {
		n   int
		why string
	}{
		{e.Held, "held (entry sessions holds), until that is released"},
		{e.Live, "still being recorded, or without an end that a start has noted, until it ends"},
		{e.Young, "younger than recording.keep_at_least, until it isn't"},
		{e.Damaged, "damaged, or not what the log knows, as entry audit verify says: what is to be removed isn't known"},
		{e.Unsaid, "of which the log's records aren't here, until their segments are put back"},
	} {
		if l.n > 0 {
			out = append(out, plain.Count(l.n, "recording")+" "+l.why)
		}
	}
	return out
}
