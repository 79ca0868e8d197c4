package recording

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"entry/audit/plain"
)

// Coverage is how much of a channel is kept. The set is closed.
type Coverage string

// The coverages.
const (
	Recorded   Coverage = "recorded" // all that was shown, and what was read as a script; some answers to password prompts may be masked
	Manifested Coverage = "manifest" // each file's path, size and digest
	MetadataOf Coverage = "metadata" // counts, and digests where there is a recording
	Partial    Coverage = "partial"  // less than its grant asks for
	Refused    Coverage = "refused"  // nothing was run or opened
)

// Least is the coverage of a whole of which parts have a and b; "" is none.
func Least(a, b Coverage) Coverage {
	order := []Coverage{"", Refused, Recorded, Manifested, MetadataOf, Partial}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// Coverages are all of them, in the order in which they are listed.
func Coverages() []Coverage { return []Coverage{Recorded, Manifested, MetadataOf, Partial, Refused} }

// Missing is what a recording lacks of one stream, and why.
type Missing struct {
	Why    string `json:"why"`              // "bulk", "share", "input", "masked", …
	Stream string `json:"stream,omitempty"` // "output", "error", "input"; "" for the channel
	Bytes  int64  `json:"bytes,omitempty"`  // 0 where it isn't known
	Lines  int64  `json:"lines,omitempty"`  // 0 where they aren't counted
}

// reasons are codes of Why in words; what isn't one is words already.
var reasons = map[string]string{
	"bulk":     "more than policy keeps of bulk",
	"share":    "the user's share of the day was used up",
	"input":    "input that is no script is kept by record_input only",
	"pasted":   "faster than anybody types; a terminal's is kept by record_input only",
	"masked":   "masked as answers to password prompts",
	"words":    "printed beside the files, more than a transfer says; record: full keeps it",
	"recorder": "the recording failed",
	"desync":   "it wasn't the protocol that it began as",
}

// wordsOf is a code of Why in words.
func wordsOf(why string) string { return cmp.Or(reasons[why], why) }

// ByPolicy reports whether what is missing is what the grant doesn't ask to be kept, or
// what is never kept; the rest was lost.
func (m Missing) ByPolicy() bool {
	return m.Why == "bulk" || m.Why == "input" || m.Why == "pasted" || m.Why == "masked"
}

// String is "4 KiB of output missing (more than policy keeps of bulk)".
func (m Missing) String() string {
	why := wordsOf(m.Why)
	switch {
	case m.Stream == "":
		return why
	case m.Bytes == 0:
		return fmt.Sprintf("%s missing (%s)", m.Stream, why)
	case m.Lines > 0:
		return fmt.Sprintf("%s of %s, %s, missing (%s)", plain.Count(int(m.Lines), "line"), m.Stream, plain.Size(m.Bytes), why)
	}
	return fmt.Sprintf("%s of %s missing (%s)", plain.Size(m.Bytes), m.Stream, why)
}

// Describe is a coverage in words: "partial: 4 KiB of output missing (…)".
func Describe(c Coverage, missing []Missing) string {
	if len(missing) == 0 {
		return string(c)
	}
	var parts []string
	for _, m := range missing {
		parts = append(parts, m.String())
	}
	return string(c) + ": " + strings.Join(slices.Compact(parts), ", ")
}
