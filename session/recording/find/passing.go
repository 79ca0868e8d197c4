package find

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// maxPassed is how many matches wait for a line of the screen that has them.
const maxPassed = 1 << 10

// Passing is the note of a hit that is no line of the screen, which a replay doesn't show: it
// stands in the bytes as they came.
const Passing = "passing"

// passing has a line as it was written. Where no line of the screen has what matches in it,
// that stood too shortly to be told, or on another terminal than the recording knows of.
func (c *channel) passing(s *scan, pane string, at time.Duration, line []byte) {
	h, ok := s.matches(Hit{Channel: c.number, Pane: pane, Terminal: c.terminal, At: at, In: Output, Note: Passing}, line)
	if !ok || !s.inSpan(at) {
		return
	}
	what := pane + h.Text[h.From:h.To]
	if _, had := c.passed[what]; had || c.has(what) {
		return
	}
	if len(c.passed) >= maxPassed {
		c.endPassing(s)
	}
	if c.passed == nil {
		c.passed = map[string]Hit{}
	}
	c.passed[what] = h
}

// endPassing makes hits of what passed, unless it was a hit since.
func (c *channel) endPassing(s *scan) {
	all := slices.SortedFunc(maps.Values(c.passed), func(a, b Hit) int { return cmp.Compare(a.At, b.At) })
	for _, h := range all {
		if !c.had(h.Pane + h.Text[h.From:h.To]) {
			s.emit(h)
		}
	}
	clear(c.passed)
}
