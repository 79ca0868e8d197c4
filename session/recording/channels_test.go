package recording

import (
	"errors"
	"io"
	"testing"
	"time"
)

func TestChannels(t *testing.T) {
	frames := []Frame{
		{Kind: Request, Data: []byte(`{"type":"channel-open","name":"direct-tcpip","destination":"localhost:8888"}`)},
		{Kind: Request, Channel: 1, Data: []byte(`{"type":"channel-open","name":"session"}`)},
		{Kind: Request, Channel: 1, Data: []byte(`{"type":"pty-req","want_reply":true,"term":"xterm","cols":100,"rows":30}`)},
		{Kind: Request, Channel: 1, Data: []byte(`{"type":"shell"}`)},
		{Kind: Output, Channel: 1, Data: []byte("$ ")},
		{Kind: Request, Channel: 2, Data: []byte(`{"type":"exec","command":"cat x"}`)},
		{Kind: Error, Channel: 2, Data: []byte("no x\n")},
		{Kind: Resize, Channel: 1, Data: []byte("120x40"), At: time.Minute},
		{Kind: Gap, Channel: 1, Data: []byte("the disk is full")},
		{Kind: Exit, Channel: 1, Data: []byte(`{"status":7}`), At: time.Hour},
		{Kind: Exit, Channel: 2, Data: []byte(`{"signal":"TERM"}`)},
		{Kind: Exit, Channel: 2, Data: []byte(`not JSON`)},
	}
	list, err := Channels(func() (Frame, error) {
		if len(frames) == 0 {
			return Frame{}, io.EOF
		}
		f := frames[0]
		frames = frames[1:]
		return f, nil
	})
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

// Of a running session the newest channel that is open is shown.
func TestChooseOpen(t *testing.T) {
	ended, shell, exec, forward := Channel{Number: 0, PTY: true, Coverage: Recorded}, Channel{Number: 1, PTY: true, Program: "shell"},
		Channel{Number: 2, Program: "exec"}, Channel{Number: 3, Destination: "db:1"}
	for _, tt := range []struct {
		list []Channel
		want int
	}{
		{nil, -1}, {[]Channel{ended}, -1}, {[]Channel{ended, shell, exec, forward}, 1}, {[]Channel{ended, exec, forward}, 2},
		{[]Channel{ended, forward}, 3}, {[]Channel{{Number: 7, PTY: true}, {Number: 8, PTY: true}, ended}, 8},
	} {
		c, err := ChooseOpen(tt.list)
		if (err != nil) != (tt.want < 0) || err == nil && int(c.Number) != tt.want {
			t.Errorf("%+v: %+v, %v", tt.list, c, err)
		}
	}
}
