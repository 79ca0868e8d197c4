package find

import (
	"slices"
	"strings"
	"testing"
)

// What SGR hides is known in whatever pieces it comes, and nothing else is.
func TestHidden(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[8mneedle\x1b[0m b":                                           "needle",
		"\x1b[1;08mneedle\x1b[28m b":                                        "needle",
		"\x1b[31;41mneedle\x1b[m b":                                         "needle",
		"\x1b[37m\x1b[48;5;6mx\x1b[38;5;6mneedle\x1b[39mx":                  "needle",
		"\x1b[38;2;1;2;3m\x1b[48:2::1:2:3mneedle\x1b[49m b":                 "needle",
		"\x1b[97;107mneedle\x1bc b":                                         "needle",
		"\x1b[8mone\r\nneedle\x1b[Kmore":                                    "needlemore",
		"\x1b[>8mb \x1b[?8m\x1b[8K\x1b[38;5;8mb\x1b[1;48;5;8;0mb":           "",
		"\x1b[31;42mb\x1b[0;8;0mb \x1b]8;;x\x1b\\b\x1b[58;5;8mb":            "",
		"\x1b[8\x18mb \x1b[38;2;8mb \x1b[" + strings.Repeat("8", 99) + "mb": "",
	} {
		for step := 1; step <= len(in); step++ {
			var h hidden
			for i := 0; i < len(in); i += step {
				h.write([]byte(in[i:min(i+step, len(in))]))
			}
			if got := h.has("needle"); got != (want != "") {
				t.Errorf("%q, %d bytes at a time: %v, %q", in, step, got, h.runs)
			}
			if h.has("b") || want == "" && len(h.runs) > 0 {
				t.Errorf("%q, %d bytes at a time: %q is hidden", in, step, h.runs)
			}
			if want != "" && !h.has("x "+want+" y") {
				t.Errorf("%q: what has a hidden part isn't", in)
			}
		}
	}
	var h hidden
	for i := range 5000 {
		h.write([]byte("\x1b[8m" + strings.Repeat("x", i%300) + "\x1b[0m"))
	}
	h.write([]byte("\x1b[8m" + strings.Repeat("y", 4*maxHidden)))
	if h.size > maxHidden || len(h.run) > maxHidden || h.has("") {
		t.Errorf("%d and %d bytes are kept", h.size, len(h.run))
	}
}

// A hit says so.
func TestSearchTellsWhatWasHidden(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, "alice", true, shell(1, "a \x1b[8mneedle-1\x1b[0m needle-2\r\n", "\x1b[31;41mneedle-3\x1b[0m\r\x1b[2K")...)
	same(t, "output", found(t, dir, "needle-[0-9]", Query{In: []Field{Output}}), "01/1 +2s output: $ a needle-1 needle-2 hidden", "01/1 +3s output: needle-3 passing hidden")
	same(t, "what was shown", found(t, dir, "needle-2", Query{In: []Field{Output}}), "01/1 +2s output: $ a needle-1 needle-2")
}

// What stands in a sequence is read as it would be split at ; and then at :.
func TestNumbers(t *testing.T) {
	for params, want := range map[string][]int{
		"":                  {0},
		";":                 {0, 0},
		"1;31":              {1, 31},
		"38;2;1;2;3":        {38, 2, 1, 2, 3},
		"38:2::1:2:3":       {38, 2, 1, 2, 3},
		"38:2::1:2:3;8":     {38, 2, 1, 2, 3, 8},
		"38:2:1:2:3":        {38, 2, 1, 2, 3},
		"38:5:9;48:2::1:1:": {38, 5, 9, 48, 2, 1, 1, 0},
		"38:02::1:2:3":      {38, 2, 0, 1, 2, 3},
		"4:3;x8":            {4, 3, 8},
		"99999999":          {99999},
	} {
		if got := numbers(nil, []byte(params)); !slices.Equal(got, want) {
			t.Errorf("%q: %d, want %d", params, got, want)
		}
	}
}
