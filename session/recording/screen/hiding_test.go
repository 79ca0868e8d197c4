package screen

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// What SGR hides is heard of, in whatever pieces it comes, and nothing else is.
func TestHiding(t *testing.T) {
	for in, want := range map[string][]string{
		"a\x1b[8mneedle\x1b[0m b":                                             {"needle"},
		"\x1b[1;08mneedle\x1b[28m b":                                          {"needle"},
		"\x1b[31;41mneedle\x1b[m b":                                           {"needle"},
		"\x1b[38;5;1;41mneedle\x1b[m b":                                       {"needle"},
		"\x1b[37m\x1b[48;5;6mx\x1b[38;5;6mneedle\x1b[39mx":                    {"needle"},
		"\x1b[38;2;1;2;3m\x1b[48:2::1:2:3mneedle\x1b[49m b":                   {"needle"},
		"\x1b[97;107mneedle\x1bc b":                                           {"needle"},
		"\x1b[8mone\r\nn\u00e4dle\x1b[Kmore":                                  {"one", "n\u00e4dlemore"},
		"\x1b[8mone\x1b[5;5Htwo\x1b[0mb\x1b[8mthree":                          {"one", "two", "three"},
		"\x1b[8mx\x1b[3b":                                                     {"xxxx"},
		"\x1b[>8mb \x1b[?8m\x1b[8K\x1b[38;5;8mb\x1b[1;48;5;8;0mb":             nil,
		"\x1b[31;42mb\x1b[0;8;0mb \x1b]8;;x\x1b\\b\x1b[58;5;8mb":              nil,
		"\x1b[8\x18mb \x1b[38;2;8mb \x1b[" + strings.Repeat("8", 99) + "mb\a": nil,
	} {
		for step := 1; step <= len(in); step++ {
			got := []string{""}
			tr := NewTranscript(80, 24, func(Line) {})
			tr.Hiding(func(_ time.Duration, text []byte) {
				if got[len(got)-1] += string(text); text == nil {
					got = append(got, "")
				}
			})
			for i := 0; i < len(in); i += step {
				tr.Write(time.Second, []byte(in[i:min(i+step, len(in))]))
			}
			tr.Close(time.Minute)
			if got = slices.DeleteFunc(got, func(s string) bool { return s == "" }); !slices.Equal(got, want) {
				t.Errorf("%q, %d bytes at a time: %q, want %q", in, step, got, want)
			}
		}
	}
}
