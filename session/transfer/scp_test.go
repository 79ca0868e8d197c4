package transfer

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// scpTalk is who says what, in order: "c" the client, "t" the target.
type scpTalk []struct{ who, says string }

// TestScpTalks has what a decoder makes of what the sides say: what reaches
// each, and the manifest. It comes whole, and byte by byte.
func TestScpTalks(t *testing.T) {
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s)))[:8] }
	up, down := scpRun{paths: []string{"dir/x"}, recursive: true}, scpRun{paths: []string{"dir/x"}, recursive: true, source: true}
	folder := up
	folder.folder = true
	several := down
	several.paths = []string{"a/*.csv", "b/one", "c/", "/d e/f"}
	either := down
	either.paths = []string{"/pub/rep*", "/pub/more", "/secret/report", "/secret/more", "/secret/last"}
	for name, tt := range map[string]struct {
		run     scpRun
		talk    scpTalk
		want    []string
		desync  string
		swallow string // of what was said, this reaches nobody
	}{
		"a file comes": {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 n\n"}, {"t", "\x00"}, {"c", "hello\x00"}, {"t", "\x00"}},
			[]string{"put upload dir/x ok to=dir/x/n size=5 sha256=" + sum("hello")}, "", ""},
		"an empty file with times": {folder, scpTalk{{"t", "\x00"}, {"c", "T1 0 2 0\n"}, {"t", "\x00"}, {"c", "C0644 0 n\n"}, {"t", "\x00"}, {"c", "\x00"}, {"t", "\x00"}},
			[]string{"put upload dir/x/n ok size=0 sha256=" + sum("")}, "", ""},
		"a file goes": {down, scpTalk{{"c", "\x00"}, {"t", "C0644 5 x\n"}, {"c", "\x00"}, {"t", "hello\x00"}, {"c", "\x00"}},
			[]string{"get download dir/x ok size=5 sha256=" + sum("hello")}, "", ""},
		"a line feed in a name that was asked for": {scpRun{paths: []string{"dir/new\nline"}, source: true}, scpTalk{{"c", "\x00"}, {"t", "C0644 1 new\\^Jline\n"}, {"c", "\x00"}, {"t", "x\x00"}, {"c", "\x00"}},
			[]string{"get download dir/new\nline ok size=1 sha256=" + sum("x")}, "", ""},
		"maybe a line feed in a name": {scpRun{paths: []string{"dir/new*"}, source: true}, scpTalk{{"c", "\x00"}, {"t", "C0644 1 new\\^Jline\n"}, {"c", "\x00"}, {"t", "x\x00"}, {"c", "\x00"}},
			[]string{"get download dir/new\\^Jline ok size=1 sha256=" + sum("x") + ` detail=or "new\nline", which scp sends as it stands here`}, "", ""},
		"a name that is spelt so comes": {folder, scpTalk{{"t", "\x00"}, {"c", "C0644 1 new\\^Jline\n"}, {"t", "\x00"}, {"c", "x\x00"}, {"t", "\x00"}},
			[]string{"put upload dir/x/new\\^Jline ok size=1 sha256=" + sum("x")}, "", ""},
		"folders": {folder, scpTalk{{"t", "\x00"}, {"c", "D0755 0 d\n"}, {"t", "\x00"}, {"c", "C0600 1 a\n"}, {"t", "\x00"}, {"c", "1\x00"}, {"t", "\x00"},
			{"c", "D0755 0 e\n"}, {"t", "\x00"}, {"c", "E\n"}, {"t", "\x00"}, {"c", "C0600 1 b\n"}, {"t", "\x00"}, {"c", "2\x00"}, {"t", "\x00"}, {"c", "E\n"}, {"t", "\x00"},
			{"c", "C0600 1 c\n"}, {"t", "\x00"}, {"c", "3\x00"}, {"t", "\x00"}},
			[]string{"mkdir  dir/x/d ok", "put upload dir/x/d/a ok size=1 sha256=" + sum("1"), "mkdir  dir/x/d/e ok",
				"put upload dir/x/d/b ok size=1 sha256=" + sum("2"), "put upload dir/x/c ok size=1 sha256=" + sum("3")}, "", ""},
		"several paths": {several, scpTalk{{"c", "\x00"}, {"t", "C0644 0 1.csv\n"}, {"c", "\x00"}, {"t", "\x00"}, {"c", "\x00"},
			{"t", "C0644 0 2.csv\n"}, {"c", "\x00"}, {"t", "\x00"}, {"c", "\x00"}, {"t", "\x01scp: b/one: No such file or directory\n"},
			{"t", "D0755 0 c\n"}, {"c", "\x00"}, {"t", "C0644 0 in\n"}, {"c", "\x00"}, {"t", "\x00"}, {"c", "\x00"}, {"t", "E\n"}, {"c", "\x00"},
			{"t", "C0644 0 f\n"}, {"c", "\x00"}, {"t", "\x00"}, {"c", "\x00"}},
			[]string{"get download a/1.csv ok size=0 sha256=" + sum(""), "get download a/2.csv ok size=0 sha256=" + sum(""),
				"get download  failed size=0 unknown=it failed detail=scp: b/one: No such file or directory",
				"get download c/in ok size=0 sha256=" + sum(""), "get download /d e/f ok size=0 sha256=" + sum("")}, "", ""},
		"several that fit": {either, scpTalk{{"c", "\x00"}, {"t", "\x01scp: /pub/report: No such file or directory\n"}, {"t", "C0644 2 report\n"}, {"c", "\x00"}, {"t", "it\x00"}, {"c", "\x00"},
			{"t", "D0755 0 more\n"}, {"c", "\x00"}, {"t", "C0644 0 in\n"}, {"c", "\x00"}, {"t", "\x00"}, {"c", "\x00"}, {"t", "E\n"}, {"c", "\x00"},
			{"t", "C0644 0 last\n"}, {"c", "\x00"}, {"t", "\x00"}, {"c", "\x00"}},
			[]string{"get download  failed size=0 unknown=it failed detail=scp: /pub/report: No such file or directory",
				"get download report ok size=2 sha256=" + sum("it") + " detail=one of /pub/report, /secret/report; scp doesn't tell which",
				"get download more/in ok size=0 sha256=" + sum("") + " detail=one of /pub/more, /secret/more; scp doesn't tell which",
				"get download /secret/last ok size=0 sha256=" + sum("")}, "", ""},
		"the target can't open": {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 n\n"}, {"t", "\x01scp: dir/x: Permission denied\n"}, {"c", "C0644 1 m\n"}, {"t", "\x00"}, {"c", "!\x00"}, {"t", "\x00"}},
			[]string{"put upload dir/x failed to=dir/x/n size=0 unknown=it failed detail=scp: dir/x: Permission denied",
				"put upload dir/x ok to=dir/x/m size=1 sha256=" + sum("!")}, "", ""},
		"the target's disk is full": {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 n\n"}, {"t", "\x00"}, {"c", "hello\x00"}, {"t", "\x01scp: dir/x: No space left on device\n"}},
			[]string{"put upload dir/x failed to=dir/x/n size=5 unknown=it failed detail=scp: dir/x: No space left on device"}, "", ""},
		"the folder can't be made": {folder, scpTalk{{"t", "\x00"}, {"c", "D0755 0 d\n"}, {"t", "\x01scp: no\n"}, {"c", "C0644 0 n\n"}, {"t", "\x00"}, {"c", "\x00"}, {"t", "\x00"}},
			[]string{"mkdir  dir/x/d failed detail=scp: no", "put upload dir/x/n ok size=0 sha256=" + sum("")}, "", ""},
		"the source can't read on": {down, scpTalk{{"c", "\x00"}, {"t", "C0644 5 x\n"}, {"c", "\x00"}, {"t", "he\x00\x00\x00\x01x: Input/output error\n"}, {"c", "\x00"}, {"t", "C0644 0 x\n"}, {"c", "\x00"}, {"t", "\x00"}, {"c", "\x00"}},
			[]string{"get download dir/x failed size=5 unknown=it couldn't be read to its end detail=x: Input/output error", "get download dir/x ok size=0 sha256=" + sum("")}, "", ""},
		"the client lacks a file": {up, scpTalk{{"t", "\x00"}, {"c", "\x01scp: n: No such file\n"}, {"c", "C0644 0 m\n"}, {"t", "\x00"}, {"c", "\x00"}, {"t", "\x00"}},
			[]string{"put upload dir/x ok to=dir/x/m size=0 sha256=" + sum("")}, "", ""},
		"cut in a file":                  {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 n\n"}, {"t", "\x00"}, {"c", "hel"}}, []string{"put upload dir/x cut to=dir/x/n size=3 unknown=it was cut after 3 of 5 bytes"}, "", ""},
		"cut before a reply":             {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 n\n"}, {"t", "\x00"}, {"c", "hello\x00"}}, []string{"put upload dir/x cut to=dir/x/n size=5 unknown=it was cut after 5 of 5 bytes"}, "", ""},
		"a shell's words, before scp -t": {up, scpTalk{{"t", "Welcome!\n"}, {"t", "\x00"}}, nil, "", ""},
		"a shell's words, without end":   {up, scpTalk{{"t", "bash: scp: not found"}}, nil, "", ""},
		"a shell's words, before scp -f": {down, scpTalk{{"c", "\x00"}, {"t", "Welcome!\n"}, {"t", "C0644 5 x\n"}}, []string{"get download dir/x failed size=0 unknown=it failed detail=Welcome!"}, "", ""},
		"words instead of an end":        {folder, scpTalk{{"t", "\x00"}, {"c", "D0755 0 d\n"}, {"t", "\x00"}, {"c", "E\n"}, {"t", "\x00\x01scp: d: set times: Operation not permitted\n"}}, []string{"mkdir  dir/x/d ok"}, "", ""},
		"a target that ends it":          {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 n\n"}, {"t", "\x02protocol error: no\n"}}, []string{"put upload dir/x failed to=dir/x/n size=0 unknown=it failed detail=protocol error: no"}, "", ""},

		// What mustn't be told apart otherwise than the target's scp does.
		"a client that goes on after the end": {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 n\n"}, {"t", "\x02no\n"}, {"c", "C0644 5 m\n"}},
			[]string{"put upload dir/x failed to=dir/x/n size=0 unknown=it failed detail=no"}, "goes on", "C0644 5 m\n"},
		"a client that goes on after a shell's words": {up, scpTalk{{"t", "Welcome!\n"}, {"t", "\x00"}, {"c", "C0644 5 m\n"}}, nil, "goes on", "C0644 5 m\n"},
		"a record for data": {up, scpTalk{{"t", "\x00"}, {"c", "C0644 20 n\n"}, {"c", "C0644 5 m\nhello\x00"}, {"t", "\x01no\n"}, {"t", "\x00"}, {"t", "\x00"}},
			[]string{"put upload dir/x failed to=dir/x/n size=0 unknown=it failed detail=no", "put upload dir/x ok to=dir/x/m size=5 sha256=" + sum("hello")}, "", ""},
		"a path for a name":              {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 ../n\n"}}, nil, "a path for a name", "C0644 5 ../n\n"},
		"the folder above":               {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 ..\n"}}, nil, "the name is ..", "C0644 5 ..\n"},
		"this folder":                    {up, scpTalk{{"t", "\x00"}, {"c", "D0755 0 .\n"}}, nil, "the name is .", "D0755 0 .\n"},
		"a name with NUL":                {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 n\x00m\n"}}, nil, "a path for a name", "C0644 5 n\x00m\n"},
		"no name":                        {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 \n"}}, nil, "without mode", "C0644 5 \n"},
		"a size that is none":            {up, scpTalk{{"t", "\x00"}, {"c", "C0644 -5 n\n"}}, nil, "without mode", "C0644 -5 n\n"},
		"a size over the limit":          {up, scpTalk{{"t", "\x00"}, {"c", "C0644 9223372036854775808 n\n"}}, nil, "too large", "C0644 9223372036854775808 n\n"},
		"the largest size":               {up, scpTalk{{"t", "\x00"}, {"c", "C0644 9223372036854775807 n\n"}, {"t", "\x00"}, {"c", "h"}}, []string{"put upload dir/x cut to=dir/x/n size=1 unknown=it was cut after 1 of 9223372036854775807 bytes"}, "", ""},
		"an end too many":                {up, scpTalk{{"t", "\x00"}, {"c", "E\n"}}, nil, "hasn't begun", "E\n"},
		"a folder without -r":            {scpRun{paths: []string{"x"}}, scpTalk{{"t", "\x00"}, {"c", "D0755 0 d\n"}}, nil, "without -r", "D0755 0 d\n"},
		"a longer file":                  {up, scpTalk{{"t", "\x00"}, {"c", "C0644 1 n\n"}, {"t", "\x00"}, {"c", "hello\n"}}, []string{"put upload dir/x cut to=dir/x/n size=1 unknown=it was cut after 1 of 1 bytes"}, "longer than its record", "ello\n"},
		"a record that doesn't end":      {up, scpTalk{{"t", "\x00"}, {"c", "C0644 5 " + strings.Repeat("n", maxScpRecord)}}, nil, "too long", "C0644 5 " + strings.Repeat("n", maxScpRecord)},
		"a warning of two lines' length": {up, scpTalk{{"t", "\x00"}, {"c", "\x01" + strings.Repeat("C", 2047) + "C0644 5 n\n"}}, nil, "too long", "\x01" + strings.Repeat("C", 2047) + "C0644 5 n\n"},
		"no record":                      {up, scpTalk{{"t", "\x00"}, {"c", "X\n"}}, nil, "no record", "X\n"},
		"an empty line":                  {up, scpTalk{{"t", "\x00"}, {"c", "\n"}}, nil, "empty line", "\n"},
		"times that are none":            {up, scpTalk{{"t", "\x00"}, {"c", "T1 2\n"}}, nil, "times", "T1 2\n"},
		"much ahead of replies":          {up, scpTalk{{"t", "\x00"}, {"c", "C0644 9999999 n\n" + strings.Repeat("n", maxScpHeld+1)}}, []string{"put upload dir/x cut to=dir/x/n size=0 unknown=it was cut after 0 of 9999999 bytes"}, "doesn't wait", strings.Repeat("n", maxScpHeld+1)},
		"end ahead of replies":           {up, scpTalk{{"t", "\x00"}, {"c", "C0644 2 n\nhe\x00"}}, []string{"put upload dir/x cut to=dir/x/n size=0 unknown=it was cut after 0 of 2 bytes"}, "doesn't wait", "he\x00"},
		"a name that nobody asked for": {down, scpTalk{{"c", "\x00"}, {"t", "C0644 5 other\n"}, {"c", "\x00"}, {"t", "hello\x00"}, {"c", "\x00"}},
			[]string{"get download dir/x ok size=5 sha256=" + sum("hello") + ` detail=the target calls it "other"`}, "", ""},
		"a name that is no file's":     {down, scpTalk{{"c", "\x00"}, {"t", "C0644 0 " + strings.Repeat("n", maxScpName+1) + "\n"}}, nil, "longer than any file's", "C0644 0 " + strings.Repeat("n", maxScpName+1) + "\n"},
		"the target's path for a name": {down, scpTalk{{"c", "\x00"}, {"t", "C0644 5 ../../.bashrc\n"}}, nil, "a path for a name", "C0644 5 ../../.bashrc\n"},
	} {
		for _, size := range []int{1 << 20, 1} {
			t.Run(fmt.Sprint(name, " by ", size), func(t *testing.T) {
				b := newBench(t, newSCP(tt.run, everything))
				var said [2]string
				for _, s := range tt.talk {
					toTarget := s.who == "c"
					said[side(toTarget)] += s.says
					for piece := range slices.Chunk([]byte(s.says), size) {
						if b.err == nil {
							_ = b.data(toTarget, piece) // b.err
						}
					}
				}
				for _, toTarget := range []bool{true, false} {
					if b.err == nil {
						b.err = b.d.End(toTarget, b.rulings[side(toTarget)])
						passed, answers := b.rulings[side(toTarget)].take()
						b.passed[side(toTarget)] = slices.Concat(b.passed[side(toTarget)], slices.Concat(passed...))
						b.answers[side(toTarget)] = slices.Concat(b.answers[side(toTarget)], slices.Concat(answers...))
					}
				}
				var desync *Desync
				if got := errors.As(b.err, &desync); got != (tt.desync != "") || got && !strings.Contains(desync.Reason, tt.desync) {
					t.Errorf("error %v, want %q", b.err, tt.desync)
				}
				var got []string
				for _, e := range b.entries {
					got = append(got, line(e))
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("entries\n%q, want\n%q", got, tt.want)
				}
				for i, text := range said {
					text = strings.Replace(text, tt.swallow, "", 1)
					if reached := string(b.passed[i]) + string(b.answers[1-i]); len(reached) != len(text) || i == 1 && tt.desync == "" && reached != text {
						t.Errorf("to %d: %q, want %q", i, reached, text)
					}
				}
			})
		}
	}
}

// TestScpRefusals has what each side is told when a file may not be.
func TestScpRefusals(t *testing.T) {
	for _, source := range []bool{false, true} {
		allowed := 1
		run := scpRun{paths: []string{"x"}, source: source}
		b := newBench(t, newSCP(run, func(d Direction) string {
			if allowed--; allowed >= 0 {
				return ""
			}
			return "entry: no\nmore"
		}))
		fromSource, fromSink := !source, source
		_ = b.data(fromSink, []byte{0})
		_ = b.data(fromSource, []byte("C0644 0 a\n"))
		_ = b.data(fromSink, []byte{0})
		_ = b.data(fromSource, []byte{0})
		_ = b.data(fromSink, []byte{0})
		_ = b.data(fromSource, []byte("C0644 5 b\n"))
		_ = b.data(fromSource, []byte("hello\x00"))
		_ = b.data(fromSink, []byte{0})
		b.end(true)
		b.end(false)
		const last = "\x02entry: no more\n"
		if got := string(b.passed[side(fromSource)]); got != "C0644 0 a\n\x00"+last {
			t.Errorf("the sink has %q", got)
		}
		if got := string(b.passed[side(fromSink)]) + string(b.answers[side(fromSource)]); got != "\x00\x00\x00"+last {
			t.Errorf("the source has %q", got)
		}
		if len(b.entries) != 2 || b.entries[1].Outcome != Refused || b.entries[1].Detail != "entry: no\nmore" {
			t.Errorf("%+v", b.entries)
		}
	}
}

// TestScpStopsInAFile has a right lost where the protocol has no words.
func TestScpStopsInAFile(t *testing.T) {
	why := ""
	b := newBench(t, newSCP(scpRun{paths: []string{"x"}}, func(Direction) string { return why }))
	_ = b.data(false, []byte{0})
	_ = b.data(true, []byte("C0644 5 a\n"))
	_ = b.data(false, []byte{0})
	_ = b.data(true, []byte("he"))
	why = "no more"
	var stopped *Stopped
	if err := b.data(true, []byte("llo\x00")); !errors.As(err, &stopped) || stopped.Reason != why || stopped.Direction != Upload {
		t.Error(err)
	}
	if len(b.entries) != 1 || b.entries[0].Outcome != Cut || b.entries[0].Detail != why || b.entries[0].Size != 2 || b.entries[0].SHA256 != nil {
		t.Errorf("%+v", b.entries)
	}
	if got := string(b.passed[1]); got != "C0644 5 a\nhe" {
		t.Errorf("%q", got)
	}
}

// TestScpHoldsLittle bounds what a decoder keeps of a hostile peer.
func TestScpHoldsLittle(t *testing.T) {
	d := newSCP(scpRun{paths: []string{"x"}, recursive: true}, everything)
	b := newBench(t, d)
	err := b.data(false, []byte{0})
	depth := 0
	for ; err == nil; depth++ {
		if err = b.data(true, fmt.Appendf(nil, "D0755 0 %s\n", bytes.Repeat([]byte("n"), 900))); err == nil {
			err = b.data(false, []byte{0})
		}
		if held := len(d.partial) + cap(d.held[0]) + cap(d.held[1]) + cap(d.places.dir) + cap(d.places.other) + 16*cap(d.places.lens); held > 64<<10 {
			t.Fatalf("%d bytes", held)
		}
	}
	if depth > maxScpPath/900+1 || !strings.Contains(err.Error(), "too deep") {
		t.Error(depth, err)
	}
}

// What a login shell says is in no manifest: whoever puts files into one's start can
// have it say a file, but not a long one.
func TestScpWordsAreFew(t *testing.T) {
	for name, source := range map[string]bool{"scp -f": true, "scp -t": false} {
		for _, first := range []string{"Welcome!\n", strings.Repeat("x", maxScpWords) + "y\n"} {
			b := newBench(t, newSCP(scpRun{paths: []string{"x"}, source: source}, everything))
			var err error
			if source {
				err = b.data(true, []byte{0})
			}
			passed := 0
			for line := first; err == nil && passed < 1<<20; line = "a line of a file\n" {
				if err = b.data(false, []byte(line)); err == nil {
					passed += len(line)
				}
			}
			var desync *Desync
			if !errors.As(err, &desync) || desync.ToTarget || passed > maxScpWords {
				t.Errorf("%s: %v after %d bytes", name, err, passed)
			}
		}
	}
}
