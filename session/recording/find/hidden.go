package find

import (
	"slices"
	"strings"
	"time"
)

const (
	maxHidden = 64 << 10               // bytes of what was hidden, of one channel; the oldest go
	leastPart = 3                      // bytes of hidden text that make a match that has more hidden, too
	maxSame   = 16                     // pieces among which one is looked for that comes again
	atOnce    = 100 * time.Millisecond // within which that is the same
)

// hidden collects what a program wrote so that terminals don't show it, as
// screen.Transcript's Hiding tells it. It knows what was written and when, and not where:
// whoever finds the same words of the same time may find those that were shown. The zero
// hidden has none; it isn't safe for concurrent use.
type hidden struct {
	open        []byte // the piece that isn't over
	first, last time.Duration
	runs        []piece
	size        int
}

// piece is text that was hidden, and when.
type piece struct {
	text        string
	first, last time.Duration
}

// takes takes hidden text; nothing is the end of a piece of it.
func (h *hidden) takes(at time.Duration, text []byte) {
	if len(text) == 0 {
		h.end()
		return
	}
	if len(h.open) == 0 {
		h.first = at
	}
	h.last = at
	h.open = append(h.open, text[:min(len(text), maxHidden-len(h.open))]...)
}

// end ends a piece.
func (h *hidden) end() {
	p := piece{strings.TrimSpace(string(h.open)), h.first, h.last}
	if h.open = h.open[:0]; p.text == "" {
		return
	}
	recent := h.runs[max(0, len(h.runs)-maxSame):]
	if i := slices.IndexFunc(recent, func(r piece) bool { return r.text == p.text && p.first-r.last <= atOnce }); i >= 0 {
		recent[i].last = p.last
		return
	}
	h.runs = append(h.runs, p)
	for h.size += len(p.text); h.size > maxHidden; h.runs = h.runs[1:] {
		h.size -= len(h.runs[0].text)
	}
}

// has reports whether what matched was written hidden between two times, or a part of it.
func (h *hidden) has(match string, since, until time.Duration) bool {
	if match = strings.TrimSpace(match); match == "" {
		return false
	}
	is := func(r piece) bool {
		return r.last >= since && r.first <= until && (strings.Contains(r.text, match) || len(r.text) >= leastPart && strings.Contains(match, r.text))
	}
	return slices.ContainsFunc(h.runs, is) || is(piece{strings.TrimSpace(string(h.open)), h.first, h.last})
}
