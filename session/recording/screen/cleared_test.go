package screen

import (
	"slices"
	"testing"
)

// What is cleared away at once is told, for many terminals keep it above the screen; not
// where that is cleared, too, as clear(1) does, and what stood for long is told once.
func TestTranscriptOfWhatIsCleared(t *testing.T) {
	for in, want := range map[string][]string{
		"one\r\ntwo\x1b[H\x1b[2J":           {"as written: one", "as written: two"},
		"one\r\ntwo\x1b[H\x1b[J":            {"as written: one", "as written: two"},
		"one\r\ntwo\x1b[H\x1b[2J\x1b[3J":    nil,
		"one\x1b[H\x1b[2J\x1b[3Jtwo\x1b[2J": {"as written: one", "as written: two"},
	} {
		if got := told(80, 24, in); want != nil && !slices.Equal(got, want) || want == nil && len(got) > 0 {
			t.Errorf("%q: %q", in, got)
		}
	}
	if got := told(80, 24, "one", "\x1b[H\x1b[2J"); !slices.Equal(got, []string{"erased: one"}) {
		t.Errorf("%q", got)
	}
}

// XTSAVE and XTRESTORE bring back which screen shows, and how lines are wrapped.
func TestKeptModes(t *testing.T) {
	tr := New(10, 3)
	tr.Write([]byte("main\x1b[?47;7;6;25s\x1b[?47h\x1b[?7l\x1b[?25l\x1b[?6h"))
	if tr.page != tr.alt || tr.autowrap || !tr.hidden || !tr.origin {
		t.Fatal("modes")
	}
	tr.Write([]byte("\x1b[?47;7;6;25r"))
	if tr.page != tr.main || !tr.autowrap || tr.hidden || tr.origin {
		t.Errorf("alt %v, autowrap %v, hidden %v, origin %v", tr.page == tr.alt, tr.autowrap, tr.hidden, tr.origin)
	}
	tr.Write([]byte("\x1b[?1049r")) // it was never saved
	if tr.page != tr.main {
		t.Error("restored what wasn't saved")
	}
}
