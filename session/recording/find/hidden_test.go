package find

import (
	"strings"
	"testing"
	"time"
)

// What was hidden is known by its words and its time, the last of it.
func TestHidden(t *testing.T) {
	var h hidden
	at := func(n int) time.Duration { return time.Duration(n) * time.Second }
	h.takes(at(1), []byte(" nee"))
	h.takes(at(2), []byte("dle "))
	for _, open := range []bool{true, false} {
		for _, tt := range []struct {
			match        string
			since, until int
			want         bool
		}{
			{"needle", 0, 9, true}, {"needle", 2, 9, true}, {"needle", 0, 1, true}, {"needle", 3, 9, false}, {"needle", 0, 0, false},
			{"eed", 1, 2, true}, {"x needle y", 1, 2, true}, {"needles and pins", 1, 2, true}, {"nail", 1, 2, false}, {" ", 1, 2, false}, {"", 1, 2, false},
		} {
			if got := h.has(tt.match, at(tt.since), at(tt.until)); got != tt.want {
				t.Errorf("open %v: %q from %ds to %ds: %v", open, tt.match, tt.since, tt.until, got)
			}
		}
		h.takes(at(3), nil)
	}
	for i := range 100 {
		h.takes(at(5)+time.Duration(i)*50*time.Millisecond, []byte("needle"))
		h.takes(at(5)+time.Duration(i)*50*time.Millisecond, nil)
	}
	if len(h.runs) != 2 || !h.has("needle", at(5), at(5)) || !h.has("needle", at(9), at(9)) || h.has("needle", at(4), at(4)) {
		t.Errorf("what comes again: %v", h.runs)
	}
	for i := range 5000 {
		h.takes(at(6), []byte(strings.Repeat("x", i%300)))
		h.takes(at(6), nil)
	}
	h.takes(at(7), []byte(strings.Repeat("y", 4*maxHidden)))
	h.takes(at(7), []byte("y"))
	if h.size > maxHidden || len(h.open) > maxHidden || h.has("needle", 0, at(9)) {
		t.Errorf("%d and %d bytes are kept", h.size, len(h.open))
	}
}

// A hit says so.
func TestSearchTellsWhatWasHidden(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, "alice", true, shell(1, "a \x1b[8mneedle-1\x1b[0m needle-2\r\n", "\x1b[31;41mneedle-3\x1b[0m\r\x1b[2K")...)
	same(t, "output", found(t, dir, "needle-[0-9]", Query{In: []Field{Output}}), "01/1 +2s output: $ a needle-1 needle-2 hidden", "01/1 +3s output: needle-3 passing hidden")
	same(t, "what was shown", found(t, dir, "needle-2", Query{In: []Field{Output}}), "01/1 +2s output: $ a needle-1 needle-2")
	dir = t.TempDir()
	// Nor is what was shown at another time than the same words were hidden.
	record(t, dir, 2, "bob", true, shell(1, "a \x1b[8mneedle\x1b[0m\r\n", "b needle\r\n", "\x1b[8mneedle\x1b[0m c\r\n", "\x1b[H\x1b[2K\x1b[8mneed", "le\x1b[0m d")...)
	same(t, "times", found(t, dir, "needle", Query{In: []Field{Output}}), "02/1 +2s output: $ a needle erased hidden", "02/1 +3s output: b needle", "02/1 +4s output: needle c hidden", "02/1 +6s output: needle d hidden")
}
