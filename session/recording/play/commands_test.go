package play

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"entry/session/recording"
	"entry/session/recording/screen"
)

// shellAt are the frames of a shell with marks, in which somebody types key by key.
func shellAt() []recording.Frame {
	var frames []recording.Frame
	at := time.Second
	add := func(kind recording.Kind, s string) {
		frames = append(frames, recording.Frame{At: at, Channel: 1, Kind: kind, Data: []byte(s)})
		at += 200 * time.Millisecond
	}
	prompt := "\x1b]133;A\a$ \x1b]133;B\a"
	add(recording.Request, `{"type":"pty-req","cols":80,"rows":24}`)
	add(recording.Request, `{"type":"exec","command":"bash\u001b[2J -i"}`)
	add(recording.Output, prompt)
	for _, s := range []string{"l", "l", "\b \b", "s", "\r\n\x1b]133;C\aheart.csv\r\n\x1b]133;D;0\a" + prompt, "i", "f", "\r\n> ", "f", "i", "\r\n\x1b]133;D;2\a" + prompt} {
		add(recording.Output, s)
	}
	add(recording.Gap, "full\x1b")
	return frames
}

func TestCommands(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	script := []recording.Frame{
		{At: time.Second, Kind: recording.Request, Data: []byte(`{"type":"shell"}`)},
		{At: 2 * time.Second, Kind: recording.Input, Data: []byte("cd /da")},
		{At: 3 * time.Second, Kind: recording.Input, Data: []byte("ta\r\n\n\x1b]0;x\a tar c .")},
		{At: 4 * time.Second, Kind: recording.Output, Data: []byte("$ not a command\r\n")},
	}
	for _, tc := range []struct {
		name   string
		frames []recording.Frame
		c      recording.Channel
		want   string
	}{
		{"typed", shellAt(), recording.Channel{Number: 1, PTY: true, Program: "exec", Command: "bash -i", Cols: 80, Rows: 24},
			"03:04:06.2         bash?[2J -i\n03:04:07.4  =0     $ ls\n03:04:08.0  =2     $ if\n03:04:08.0  |      fi\n03:04:08.8  #      the recording has a gap: \"full\\x1b\"\n"},
		{"script", script, recording.Channel{Program: "shell"}, "03:04:08.0         cd /data\n03:04:09.0         ?]0;x? tar c .\n"},
		{"what an interpreter reads", script[1:3], recording.Channel{Program: "exec", Command: "sudo bash -s"}, "03:04:08.0         cd /data\n03:04:08.0         ?]0;x? tar c .\n"},
		{"no UTF-8", []recording.Frame{{At: time.Second, Kind: recording.Request, Data: []byte(`{"type":"exec","command":{"raw":"cm0gQmr4cms="}}`)}}, recording.Channel{Program: "exec", Command: "rm Bj\xf8rk"}, "03:04:06.0         rm Bj\\xf8rk\n"},
		{"what isn't a script", script[1:3], recording.Channel{Program: "exec", Command: "cat > file"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := commands(from(tc.frames), &out, recording.Header{Start: start}, tc.c, nil); err != nil {
				t.Fatal(err)
			}
			got := strings.TrimPrefix(strings.TrimPrefix(out.String(), commandsLegend), "# 2026-01-02\n")
			if got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}

// Players list the commands of an asciicast as its markers, each where it was entered.
func TestAsciicastHasMarkers(t *testing.T) {
	var out bytes.Buffer
	c := recording.Channel{Number: 1, Start: time.Second, PTY: true, Program: "shell", Cols: 80, Rows: 24}
	if err := asciicast(from(shellAt()), &out, recording.Header{}, c, nil); err != nil {
		t.Fatal(err)
	}
	var markers []string
	for _, line := range strings.Split(out.String(), "\n") {
		if _, label, ok := strings.Cut(line, `"m", `); ok {
			markers = append(markers, label)
		}
	}
	if got := fmt.Sprint(markers); !strings.HasPrefix(got, `["bash?[2J -i"] "ls"] "if"] "fi"] `) {
		t.Errorf("got %s\n%s", got, out.String())
	}
}

func TestScriptLinesAreBounded(t *testing.T) {
	n := 0
	m := CommandsOf(recording.Channel{Program: "shell"}, false, nil)
	m.emit = func(_ string, c screen.Command) {
		if n++; len(c.Text) > maxScriptLine {
			t.Errorf("a line of %d bytes", len(c.Text))
		}
	}
	for range 100 {
		m.Frame(recording.Frame{Kind: recording.Input, Data: bytes.Repeat([]byte("x"), 10_000)})
	}
	m.Close()
	if n != 16 {
		t.Errorf("%d lines", n)
	}
}
