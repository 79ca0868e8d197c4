package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// from returns frames one by one, then io.EOF.
func from(frames []Frame) func() (Frame, error) {
	return func() (Frame, error) {
		if len(frames) == 0 {
			return Frame{}, io.EOF
		}
		f := frames[0]
		frames = frames[1:]
		return f, nil
	}
}

// visit is a session with a forward, a shell with a terminal and an exec.
func visit() []Frame {
	f := func(s float64, channel uint32, k Kind, data string) Frame {
		return Frame{At: time.Duration(s * float64(time.Second)), Channel: channel, Kind: k, Data: []byte(data)}
	}
	return []Frame{
		f(0, 0, Request, `{"type":"channel-open","name":"direct-tcpip","destination":"localhost:8888"}`),
		f(1, 1, Request, `{"type":"channel-open","name":"session"}`),
		f(1, 1, Request, `{"type":"pty-req","want_reply":true,"term":"xterm","cols":100,"rows":30}`),
		f(1, 1, Request, `{"type":"shell"}`),
		f(2, 1, Output, "$ lss\b \bé\xe2\x98"),
		f(2.5, 2, Request, `{"type":"exec","command":"cat x"}`),
		f(2.5, 2, Error, "no x\n"),
		f(3, 1, Output, "\x83\x1b]0;t\x1b\\\r\nold\rnew\x1b[K\r\n"),
		f(3, 1, Input, "\x03"),
		f(63, 1, Resize, "120x40"),
		f(63.5, 1, Transfer, `{"stream":"output","omitted_bytes":5,"sha256":"00"}`),
		f(63.5, 1, Gap, "the disk\x1b is full"),
		f(64, 1, Exit, `{"status":7}`),
		f(64, 2, Exit, `{"signal":"TERM"}`),
	}
}

func TestChannels(t *testing.T) {
	list, err := Channels(from(visit()))
	if err != nil || len(list) != 3 {
		t.Fatalf("Channels = %+v, %v", list, err)
	}
	if c := list[0]; c.Type != "direct-tcpip" || c.Destination != "localhost:8888" {
		t.Errorf("the forward: %+v", c)
	}
	if c := list[1]; !c.PTY || c.Program != "shell" || c.Cols != 100 || c.Term != "xterm" || c.Exit.String() != "exit status 7" || c.Resizes != 1 || c.Gaps != 1 {
		t.Errorf("the shell: %+v", c)
	}
	if c := list[2]; c.Program != "exec" || c.Command != "cat x" || c.Error != 5 || c.Exit.String() != `ended by signal "TERM"` {
		t.Errorf("the exec: %+v", c)
	}
	if c, err := Choose(list); err != nil || c.Number != 1 {
		t.Errorf("chosen: %v, %v", c.Number, err)
	}
	if c, err := Choose([]Channel{list[0], list[2]}); err != nil || c.Number != 2 {
		t.Errorf("chosen without a terminal: %v, %v", c.Number, err)
	}
	if _, err := Choose(nil); !errors.Is(err, ErrNoChannel) {
		t.Errorf("chosen of none: %v", err)
	}
}

func TestPlay(t *testing.T) {
	var out, notes bytes.Buffer
	var slept []time.Duration
	err := Play(t.Context(), from(visit()), &out, PlayOptions{
		Channel: 1, Speed: 2, Idle: 4 * time.Second, Notes: &notes,
		Sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "$ lss\b \bé☃\r\nold\rnew\x1b[K\r\n"; out.String() != want {
		t.Errorf("played %q, want %q", out.String(), want)
	}
	var sum time.Duration
	for _, d := range slept {
		sum += d
	}
	if want := (1*time.Second + time.Second + 4*time.Second + time.Second/2 + time.Second/2) / 2; sum != want {
		t.Errorf("it took %v, want %v", sum, want)
	}
	for _, want := range []string{"resized to 120x40", `not kept: {"stream":"output","omitted_bytes":5,"sha256":"00"}`, `a gap: "the disk\x1b is full"`, "exit status 7"} {
		if !strings.Contains(notes.String(), want) {
			t.Errorf("notes %q lack %q", notes.String(), want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if err := Play(ctx, from(visit()), &out, PlayOptions{Channel: 1}); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestExportAsciicast(t *testing.T) {
	var out bytes.Buffer
	h := Header{ID: id(1), User: "alice", Target: "home.tinker", Start: time.Unix(1000, 0)}
	if err := ExportAsciicast(from(visit()), &out, h, Channel{Number: 1, Start: time.Second, Cols: 100, Rows: 30, Term: "xterm"}); err != nil {
		t.Fatal(err)
	}
	want := `{"version":3,"term":{"cols":100,"rows":30,"type":"xterm"},"timestamp":1000,"title":"alice on home.tinker, session ` + id(1) + `"}
[1.000000, "o", "$ lss\b \b\u00e9"]
[1.000000, "o", "\u2603\r\nold\rnew\u001b[K\r\n"]
[60.000000, "r", "120x40"]
[0.500000, "m", "not kept: {\"stream\":\"output\",\"omitted_bytes\":5,\"sha256\":\"00\"}"]
[0.000000, "m", "the recording has a gap: \"the disk\\x1b is full\""]
[0.500000, "x", "7"]
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	out.Reset()
	evil := []Frame{{Kind: Output, Data: []byte("\x1b]0;t\a\u202e\u009b\x7f🙂\xff")}, {Kind: Output, Data: []byte("\xe2")}}
	if err := ExportAsciicast(from(evil), &out, h, Channel{}); err != nil {
		t.Fatal(err)
	}
	if want := `"\ufffd\ud83d\ude42\ufffd"]` + "\n" + `[0.000000, "o", "\ufffd"]` + "\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q, want …%q", out.String(), want)
	}
}

func TestExportText(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"lines", "a\r\nb", "a\nb\n"},
		{"carriage return", "100%\r 50%\r\n", " 50%\n"},
		{"backspace", "cat\b\b\b\x1b[Kls\r\n", "ls\n"},
		{"tab", "a\tb\r\n", "a       b\n"},
		{"colours", "\x1b[31mred\x1b[0m\r\n", "red\n"},
		{"insert and delete", "abc\x1b[2D\x1b[@X\x1b[C\x1b[P\r\n", "aXb\n"},
		{"erase whole line", "secret\x1b[2K\rok\r\n", "ok\n"},
		{"erase start", "abc\x1b[1D\x1b[1K\r\n", "\n"},
		{"column", "abc\x1b[2GX\r\n", "aXc\n"},
		{"full screen", "\x1b[2J\x1b[H~\x1b[2;3H~\x1b[K", "~\n  ~\n"},
		{"far right", "\x1b[99999Cx\r\n", strings.Repeat(" ", maxColumn) + "x\n"},
		{"blanks", "a   \r\n\r\n", "a\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := ExportText(from([]Frame{{Kind: Output, Data: []byte(tc.in)}}), &out, 0); err != nil {
				t.Fatal(err)
			}
			if out.String() != tc.want {
				t.Errorf("got %q, want %q", out.String(), tc.want)
			}
		})
	}
	var out bytes.Buffer
	if err := ExportText(from(visit()), &out, 1); err != nil {
		t.Fatal(err)
	}
	if want := "$ lsé☃\nnew\n"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestExportRaw(t *testing.T) {
	var out bytes.Buffer
	if err := ExportRaw(from(visit()), &out, 1); err != nil {
		t.Fatal(err)
	}
	if want := "$ lss\b \bé\xe2\x98\x83\x1b]0;t\x1b\\\r\nold\rnew\x1b[K\r\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
