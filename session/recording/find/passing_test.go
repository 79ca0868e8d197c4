package find

import (
	"testing"

	"entry/session/recording"
)

// What passed too shortly to be told, for the recording's clock or on a screen of its size, is
// found as it was written, once, unless a line has it.
func TestSearchFindsWhatPasses(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, "alice", true, shell(1, "one needle-1\r\x1b[2K$ ", "needle-2\r\n", "\x1b[5;5Hneed\x1b[mle-3\r\x1b[2K\x1b[H", "needle-2\r\x1b[K",
		"a needle-4\r\x1b[K", "\x1b[10;1Hneedle-4\x1b[H")...)
	same(t, "output", found(t, dir, "needle-[0-9]", Query{In: []Field{Output}}),
		"01/1 +3s output: $ needle-2 erased",
		"01/1 +7s output: needle-4",
		"01/1 +2s output: $ one needle-1 passing",
		"01/1 +4s output: needle-3 passing",
	)
	same(t, "a span", found(t, dir, "needle-[0-9]", Query{In: []Field{Output}, Since: start.Add(3500e6), Until: start.Add(4500e6)}),
		"01/1 +3s output: $ needle-2 erased", "01/1 +4s output: needle-3 passing")
	// As it is written on a terminal that takes it otherwise.
	record(t, dir, 2, "bob", true, frame(0, 0, recording.Request, `{"type":"exec","command":"x"}`), frame(1, 0, recording.Output, "\x1b(0secret\x1b(B\r\x1b[2K"),
		frame(1, 0, recording.Output, "\x1b[99;1HM\xfcller\x1b[99;1H\x1b[K"), frame(2, 0, recording.Request, `{"type":"channel-close","coverage":"recorded"}`))
	same(t, "graphics", found(t, dir, "secret", Query{In: []Field{Output}}), "02/0 +1s output: secret as written")
	same(t, "another character set", found(t, dir, "Müller", Query{In: []Field{Output}}), "02/0 +1s output: Müller as written")
}
