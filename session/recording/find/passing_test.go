package find

import (
	"fmt"
	"strings"
	"testing"

	"filippo.io/age"

	"entry/e2e/testkit"
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
		"01/1 +5s output: needle-2-2 passing",
		"01/1 +6s output: a needle-4 passing",
	)
	same(t, "a span", found(t, dir, "needle-[0-9]", Query{In: []Field{Output}, Since: start.Add(3500e6), Until: start.Add(4500e6)}),
		"01/1 +3s output: $ needle-2 erased", "01/1 +4s output: needle-3 passing")
	// As it is written on a terminal that takes it otherwise.
	record(t, dir, 2, "bob", true, frame(0, 0, recording.Request, `{"type":"exec","command":"x"}`), frame(1, 0, recording.Output, "\x1b(0secret\x1b(B\r\x1b[2K"),
		frame(1, 0, recording.Output, "\x1b[99;1HM\xfcller\x1b[99;1H\x1b[K"), frame(2, 0, recording.Request, `{"type":"channel-close","coverage":"recorded"}`))
	same(t, "graphics", found(t, dir, "secret", Query{In: []Field{Output}}), "02/0 +1s output: secret as written")
	same(t, "another character set", found(t, dir, "Müller", Query{In: []Field{Output}}), "02/0 +1s output: Müller as written")
}

// What passes isn't hidden by another line that has the words that are looked for.
func TestDecoysHideNothingThatPasses(t *testing.T) {
	dir := t.TempDir()
	backwards := ""
	for _, c := range "yoced a tneitap" {
		backwards += string(c) + "\b\b"
	}
	record(t, dir, 1, "alice", true, shell(1, "decoy is a nice word\r\n", "decoy 42mg anna\r\x1b[2K$ ", "\x1b[30G"+backwards+"\x1b[2K", "no decoy\r\n", "decoy is a nice word\r\x1b[2K", "\x1b[H\x1b[2J", "decoy is a nice word\r\x1b[2K")...)
	same(t, "decoys", found(t, dir, "decoy", Query{In: []Field{Output}}),
		"01/1 +2s output: $ decoy is a nice word erased",
		"01/1 +5s output:               no decoy erased",
		"01/1 +3s output: decoy 42mg anna passing",
		"01/1 +4s output: $              patient a decoy passing",
		"01/1 +8s output: decoy is a nice word passing",
	)
}

// A counter that is drawn too fast to be read is a few hits, the last with how many more there
// are.
func TestCountersPassAFewTimes(t *testing.T) {
	dir := t.TempDir()
	said := ""
	for i := range 1500 {
		said += fmt.Sprintf("\r\x1b[K%d of needle", i)
	}
	record(t, dir, 1, "alice", true, shell(1, "\r\n", said+"\r\x1b[K")...)
	list, err := recording.List(dir)
	testkit.Check(t, err)
	match, err := Pattern{}.Compile("needle")
	testkit.Check(t, err)
	var all []string
	alike := 0
	for r, err := range Search(t.Context(), Options{Dir: dir, Identities: []age.Identity{auditor()}, Workers: 1}, list, Query{Match: match, In: []Field{Output}}) {
		testkit.Check(t, err)
		all = append(all, r.Hit.String())
		alike += r.Hit.Alike
	}
	if len(all) != maxAlike+1 || alike != 1500-maxAlike-1 || !strings.Contains(all[maxAlike], "passing, 1491 more that differ in numbers alone): 1499 of needle") {
		t.Errorf("%d hits, %d more: %q", len(all), alike, all)
	}
}
