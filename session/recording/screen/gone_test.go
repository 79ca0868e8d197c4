package screen

import (
	"slices"
	"testing"
)

// The beginning of a line that scrolls off isn't lost where something in its next row goes.
func TestTranscriptOfALineThatScrollsOffUnread(t *testing.T) {
	got := transcribe(12, 6, []piece{{3, "\x1b[2;2Hw9s"}, {33, "w10a"}, {63, "w11f"}, {93, "\r\nw12m"}, {93, "\x1b[H"}, {96, "w14r"}, {126, "w15e"}, {156, "w16h"}, {159, "w17h"}, {159, "w18l"}, {159, "\n\n\n\n\n\n\n"}, {900, ""}})
	if !slices.ContainsFunc(got, func(l string) bool { return len(l) > 12 && l[len(l)-12:] == "w14rw15ew16h" }) {
		t.Errorf("%q", got)
	}
}
