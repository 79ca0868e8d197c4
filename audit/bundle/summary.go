package bundle

import (
	"entry/audit/plain"
	"entry/audit/witness"
)

// Summary is what a bundle has.
type Summary struct {
	Records int
	// Later is how many records about the session aren't in it, since the tree head that
	// witnesses have cosigned doesn't have them yet.
	Later     int
	Cosigned  []witness.Cosigned
	Awaits    bool  // no witness has cosigned that much yet, though the log has some
	Recording int64 // bytes; 0 without
	// Unheld says which records aren't here that may say that the recording was sealed
	// anew: then its sealed key may be an earlier one.
	Unheld []string
	// Before is the log that the session is of, where that is one before the present one.
	Before string
}

// Lines say what it has, the file as it is called first.
func (sum Summary) Lines(file, session string) []string {
	what := plain.Count(sum.Records, "record")
	if sum.Recording > 0 {
		what += " and the recording (" + plain.Size(sum.Recording) + ")"
	}
	lines := []string{file + " has " + what + " of session " + session}
	if sum.Before != "" {
		lines = append(lines, "it is of a log before, "+plain.Word(sum.Before)+": what the logs after it began with leads there")
	}
	for _, c := range sum.Cosigned {
		lines = append(lines, "cosigned by "+plain.Word(c.Name)+" ("+plain.Time(c.At)+")")
	}
	return lines
}

// Notes say what it doesn't show.
func (sum Summary) Notes() (notes []string) {
	switch {
	case len(sum.Cosigned) > 0:
	case sum.Awaits:
		notes = append(notes, "no witness has cosigned the log yet up to where this needs it (the session's end, or its recording's last sealing anew), so this proves nothing against whoever has the log's key: make it again once one has, which takes ten seconds where it can be reached")
	default:
		notes = append(notes, "no witness has cosigned the log up to the session's end, so this proves nothing against whoever has the log's key")
	}
	for _, what := range sum.Unheld {
		notes = append(notes, what+", and may say that the recording was sealed anew: its sealed key may be an earlier one")
	}
	if sum.Later > 0 {
		notes = append(notes, "without "+plain.Count(sum.Later, "later record")+" about it, which witnesses haven't cosigned yet")
	}
	return notes
}
