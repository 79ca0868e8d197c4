package play

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"entry/session/recording"
)

// from returns frames one by one, then io.EOF.
func from(frames []recording.Frame) func() (recording.Frame, error) {
	return func() (recording.Frame, error) {
		if len(frames) == 0 {
			return recording.Frame{}, io.EOF
		}
		f := frames[0]
		frames = frames[1:]
		return f, nil
	}
}

// visit is a session with a forward, a shell with a terminal and an exec.
func visit() []recording.Frame {
	f := func(s float64, channel uint32, k recording.Kind, data string) recording.Frame {
		return recording.Frame{At: time.Duration(s * float64(time.Second)), Channel: channel, Kind: k, Data: []byte(data)}
	}
	return []recording.Frame{
		f(0, 0, recording.Request, `{"type":"channel-open","name":"direct-tcpip","destination":"localhost:8888"}`),
		f(1, 1, recording.Request, `{"type":"channel-open","name":"session"}`),
		f(1, 1, recording.Request, `{"type":"pty-req","want_reply":true,"term":"xterm","cols":100,"rows":30}`),
		f(1, 1, recording.Request, `{"type":"shell"}`),
		f(2, 1, recording.Output, "$ lss\b \bé\xe2\x98"),
		f(2.5, 2, recording.Request, `{"type":"exec","command":"cat x"}`),
		f(2.5, 2, recording.Error, "no x\n"),
		f(3, 1, recording.Output, "\x83\x1b]0;t\x1b\\\r\nold\rnew\x1b[K\r\n"),
		f(3, 1, recording.Input, "\x03"),
		f(63, 1, recording.Resize, "120x40"),
		f(63.5, 1, recording.Transfer, `{"stream":"output","omitted_bytes":5,"sha256":"00"}`),
		f(63.5, 1, recording.Gap, "the disk\x1b is full"),
		f(64, 1, recording.Exit, `{"status":7}`),
		f(64, 2, recording.Exit, `{"signal":"TERM"}`),
	}
}

func TestAsciicast(t *testing.T) {
	var out bytes.Buffer
	h := recording.Header{ID: "01JCHZ00000000000000000001", User: "alice", Target: "home.tinker", Source: "192.0.2.7:9", Rule: "søm (a.yaml:1)", Start: time.Unix(1000, 0)}
	c := recording.Channel{Number: 1, Start: time.Second, Cols: 100, Rows: 30, Term: "xterm", Env: []string{"LANG=C", "X=\n[0, \"o\", \"é\"]", "LANG=nb"}}
	others := []recording.Channel{c, {Number: 2, Type: "session", Program: "subsystem", Command: "sftp\n", Coverage: recording.Manifested}, {Number: 3, Type: "direct-tcpip", Destination: "db:5432\n", Down: 2000, Up: 3, Coverage: recording.MetadataOf}}
	if err := asciicast(from(visit()), &out, h, c, others); err != nil {
		t.Fatal(err)
	}
	want := `{"version":3,"term":{"cols":100,"rows":30,"type":"xterm"},"timestamp":1000,"title":"alice on home.tinker, session ` + "01JCHZ00000000000000000001" + `","env":{"LANG":"nb","X":"\n[0, \"o\", \"\u00e9\"]"}}
# Session 01JCHZ00000000000000000001: alice on home.tinker from 192.0.2.7:9, by rule "s\u00f8m (a.yaml:1)"
# Channel 1, partial: its end is missing
#   environment LANG="C"
#   environment X="\n[0, \"o\", \"\u00e9\"]"
#   environment LANG="nb"
# Not in this file: channel 2 subsystem "sftp\n", 0 B out, no exit status, manifest
# Not in this file: channel 3 direct-tcpip to "db:5432\n", 2000 B down and 3 B up passed, metadata
[1.000000, "o", "$ lss\b \b\u00e9"]
[1.000000, "o", "\u2603\r\nold\rnew\u001b[K\r\n"]
[60.000000, "r", "120x40"]
[0.500000, "m", "not kept: 5 B of output, SHA-256 00"]
[0.000000, "m", "the recording has a gap: \"the disk\\x1b is full\""]
[0.500000, "x", "7"]
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if !strings.HasPrefix(line, "#") && !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	out.Reset()
	bytesOnly := recording.Channel{Number: 1, PTY: true, Program: "exec", Command: "rm Bj\xf8rk\x1b", Term: "\xe5", Modes: []byte{1, 0, 0, 0, 3, 0}, Env: []string{"LC_X=\xe3"}}
	if err := asciicast(from(visit()), &out, h, bytesOnly, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"type":"\\xe5"}`, `"command":"rm Bj\\xf8rk\u001b"`, `"env":{"LC_X":"\\xe3"}}`, `# Channel 1 exec "rm Bj\xf8rk\x1b", terminal "\xe5" of unknown size, 0 B out`, `#   environment LC_X="\xe3"`, "#   terminal modes 010000000300\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s isn't in\n%s", want, out.String())
		}
	}
	out.Reset()
	evil := []recording.Frame{{Kind: recording.Output, Data: []byte("\x1b]0;t\a\u202e\u009b\x7f🙂\xff")}, {Kind: recording.Output, Data: []byte("\xe2")}}
	if err := asciicast(from(evil), &out, h, recording.Channel{}, nil); err != nil {
		t.Fatal(err)
	}
	if want := `"\ud83d\ude42\ufffd"]` + "\n" + `[0.000000, "o", "\ufffd"]` + "\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q, want …%q", out.String(), want)
	}
}

// textOf is the text export of frames, without the legend, and with nothing but
// the mark of entry's columns.
func textOf(t *testing.T, frames []recording.Frame, c recording.Channel) string {
	t.Helper()
	var out bytes.Buffer
	if err := text(from(frames), &out, recording.Header{Start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, c, nil); err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(out.String(), textLegend)
	if !ok {
		t.Errorf("no legend: %q", rest)
	}
	return strings.TrimPrefix(rest, "# 2026-01-02\n")
}

func TestText(t *testing.T) {
	const blank = "03:04:05.0         "
	for _, tc := range []struct{ name, in, want string }{
		{"lines", "a\r\nb", "a\nb\n"},
		{"carriage return", "100%\r 50%\r\n", " 50%\n"},
		{"backspace", "cat\b\b\b\x1b[Kls\r\n", "ls\n"},
		{"tab", "a\tb\r\n", "a       b\n"},
		{"colours", "\x1b[31mred\x1b[0m\r\n", "red\n"},
		{"insert and delete", "abc\x1b[2D\x1b[@X\x1b[C\x1b[P\r\n", "aXb\n"},
		{"erase whole line", "secret\x1b[2K\rok\r\n", "ok\n"},
		{"erase start", "abc\x1b[1D\x1b[1K\r\n", ""},
		{"column", "abc\x1b[2GX\r\n", "aXc\n"},
		{"full screen", "\x1b[2J\x1b[H~\x1b[2;3H~\x1b[K", "~\n  ~\n"},
		{"far right", "\x1b[99999Cx\r\n", strings.Repeat(" ", 79) + "x\n"},
		{"blanks", "a   \r\n\r\nb", "a\n\nb\n"},
		{"90 characters in 80 columns", strings.Repeat("0123456789", 9) + "\r\nb", strings.Repeat("0123456789", 9) + "\nb\n"},
		{"wide characters", "日本\b\b語\r\n", "日語\n"},
		{"typed, Left, inserted, Ctrl-A", "$ ac\b\x1b[@b\x1b[C\b\b\b\x1b[@x", "$ xabc\n"},
		{"zero-width joiners", "👩\u200d💻\u202ex", "👩\u200d💻x\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := ""
			for _, line := range strings.SplitAfter(tc.want, "\n") {
				switch line {
				case "":
				case "\n":
					want += "03:04:05.0\n"
				default:
					want += blank + line
				}
			}
			if got := textOf(t, []recording.Frame{{Kind: recording.Output, Data: []byte(tc.in)}}, recording.Channel{PTY: true}); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	want := `03:04:08.0  ?      t
03:04:08.0         $ lsé☃
03:04:08.0         new
03:05:08.5  #      not kept: 5 B of output, SHA-256 00
03:05:08.5  #      the recording has a gap: "the disk\x1b is full"
03:05:09.0  #      exit status 7
`
	if got := textOf(t, visit(), recording.Channel{Number: 1, PTY: true}); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := textOf(t, visit(), recording.Channel{Number: 2}); !strings.HasPrefix(got, "03:04:07.5         no x\n") {
		t.Errorf("without a terminal: %q", got)
	}
}

// Whatever was erased is there, with how long it stood; what is drawn again and
// again is one line.
func TestTextOfWhatWasErased(t *testing.T) {
	frames := []recording.Frame{
		{Data: []byte("$ show\r\n")},
		{At: time.Second, Data: []byte("SECRET")},
		{At: 2 * time.Second, Data: []byte("\r\x1b[2K")},
		{At: 2 * time.Second, Data: []byte("[entry: exit status 0]\r\n")},
	}
	at := 3 * time.Second
	for i := range 1000 {
		note := ""
		if i == 500 {
			note = "HIDDEN"
		}
		frames = append(frames, recording.Frame{At: at, Data: fmt.Appendf(nil, "\r\x1b[K%3d%% of it %s", i/10, note)})
		at += 120 * time.Millisecond
	}
	for i := range frames {
		frames[i].Kind = recording.Output
	}
	got := textOf(t, frames, recording.Channel{PTY: true})
	for _, want := range []string{"03:04:05.0         $ show\n", "03:04:06.0  -1.0s  SECRET\n", "03:04:07.0         [entry: exit status 0]\n", "HIDDEN", "03:04:08.0  -1.2s    0% of it\n", "03:04:09.2  ~      1% of it | +1.2s 2% of it | +2.4s 3% of it | "} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n > 10 {
		t.Errorf("%d lines:\n%s", n, got)
	}
}

func TestRaw(t *testing.T) {
	var out bytes.Buffer
	if err := raw(from(visit()), &out, recording.Header{}, recording.Channel{Number: 1}, nil); err != nil {
		t.Fatal(err)
	}
	if want := "$ lss\b \bé\xe2\x98\x83\x1b]0;t\x1b\\\r\nold\rnew\x1b[K\r\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// What stood for a moment says for how long.
func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0.0s", 100 * time.Microsecond: "1ms", 30 * time.Millisecond: "30ms", 60 * time.Millisecond: "0.1s", 90 * time.Second: "90s"} {
		if got := short(d); got != want {
			t.Errorf("%v is %q, not %q", d, got, want)
		}
	}
}
