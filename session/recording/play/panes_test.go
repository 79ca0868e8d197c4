package play

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"entry/session/recording"
	"entry/session/recording/screen"
)

// controlFrames are those of a terminal session in which somebody attached to tmux -CC, typed
// in a pane, and detached.
func controlFrames() []recording.Frame {
	var frames []recording.Frame
	at := time.Second
	add := func(s string) {
		frames = append(frames, recording.Frame{At: at, Channel: 1, Kind: recording.Output, Data: []byte(s)})
		at += 300 * time.Millisecond
	}
	add("$ ")
	for _, c := range "tmux -CC" {
		add(string(c))
	}
	add("\r\n\x1bP1000p%begin 1 1 0\r\n%end 1 1 0\r\n%session-changed $0 main\r\n%output %0 $ \r\n")
	for _, c := range "cat TMUXCC" {
		add(fmt.Sprintf("%%output %%0 %c\r\n", c))
	}
	add("%output %0 \\015\\012p\\033[31ma\\033[32mt\\033[0mTWO\\015\\012$ \r\n")
	add("%layout-change @0 8205,80x24,0,0{40x24,0,0,0,39x24,41,0,1} 8205,80x24,0,0{40x24,0,0,0,39x24,41,0,1} *\r\n%output %1 secret\r\n")
	add("%output %1 \\015\\033[Kother\\134\r\n")
	add("%exit\r\n\x1b\\[detached]\r\n$ ")
	return frames
}

var controlChannel = recording.Channel{Number: 1, PTY: true, Cols: 80, Rows: 24, Program: "exec", Command: "tmux -CC", Tmux: true}

// Each pane of a tmux in control mode is read as a terminal, by its name, and what is around
// them as before.
func TestTextHasPanes(t *testing.T) {
	got := textOf(t, controlFrames(), controlChannel)
	for _, want := range []string{
		"         $ tmux -CC\n", "  ?      %session-changed $0 main\n", "  %0     $ cat TMUXCC\n", "  %0     patTWO\n", "  %1 -0.3s secret\n", "  %1     other\\\n", "         [detached]\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	// Control mode's own lines stand beside that, as what a control string holds.
	if strings.Count(got, "secret") != 2 || !strings.Contains(got, "  ?      %output %1 secret\n") {
		t.Errorf("%s", got)
	}
}

// What only looks like control mode hides nothing: the terminal shows it.
func TestTextHasWhatLooksLikePanes(t *testing.T) {
	for _, in := range []string{
		"\x1bP1000p\x1b]0;x\x1b\\\n%extended-output %0 patient one SECRET : x\r\n",
		"\x1bP1000p\x18%output %0 patient one SECRET\r\n",
		"\x1bP1000p\r\n%output %0 \\033[patient one SECRETm\r\n",
		"\x1bP1000p\r\n%output %0 hidden\rpatient one SECRET\r\n",
		"\x1bP1000p\x1b]0;x\x1b\\\r\n%output %0 hidden\rpatient one SECRET\r\n%output %0 a\r\n",
		"\x1bP1000p\x1b]0;x\x1b\\\npatient one SECRET\r\n%output %0 \\033[2J\\033[Hnothing\r\n\x1b[A\x1b[2K",
	} {
		at := int64(2000)
		frames := []recording.Frame{{At: time.Second, Channel: 1, Kind: recording.Output, Data: []byte(in)}, {At: time.Duration(at) * time.Millisecond, Channel: 1, Kind: recording.Output, Data: []byte("\r\n$ ")}}
		if got := textOf(t, frames, controlChannel); !strings.Contains(got, "patient one SECRET") {
			t.Errorf("%q: %s", in, got)
		}
	}
}

// Numbers that stand where tmux has its own are told, too.
func TestTextHasNumbersAmongPanes(t *testing.T) {
	in := "\x1bP1000p\x1b]0;x\x1b\\\r\n%output %0 \\033[1019012345m\r\n%output %1019013 \r\n%begin 1019014 1 1\r\n"
	frames := []recording.Frame{{At: time.Second, Channel: 1, Kind: recording.Output, Data: []byte(in)}}
	for _, want := range []string{"1019012345", "1019013", "1019014"} {
		if got := textOf(t, frames, controlChannel); !strings.Contains(got, want) {
			t.Errorf("%s isn't in\n%s", want, got)
		}
	}
}

// Where neither the command nor recorded input asked for control mode, panes have a question
// mark, and a replay says so.
func TestPanesThatNobodyAskedFor(t *testing.T) {
	channel := controlChannel
	channel.Program, channel.Command = "shell", ""
	replay := func(frames []recording.Frame) (string, string) {
		var out, notes bytes.Buffer
		if err := Replay(context.Background(), from(frames), &out, Options{Channel: channel, AtOnce: true, Notes: &notes}); err != nil {
			t.Fatal(err)
		}
		return out.String(), notes.String()
	}
	out, notes := replay(controlFrames())
	if !strings.Contains(out, "%0?  $ cat TMUXCC\n") || strings.Count(notes, "what looks like a tmux in control mode, for which neither the command nor recorded input asked") != 1 {
		t.Errorf("%s\n%s", out, notes)
	}
	if got := textOf(t, controlFrames(), channel); !strings.Contains(got, "  %0?    patTWO\n") || !strings.Contains(got, "  %1? -0.3s secret\n") {
		t.Errorf("%s", got)
	}
	var typed bytes.Buffer
	if err := commands(from(controlFrames()), &typed, recording.Header{}, channel, nil); err != nil || !strings.Contains(typed.String(), "  %0?    $ cat TMUXCC\n") {
		t.Errorf("%v, %s", err, typed.String())
	}
	frames := append([]recording.Frame{{Channel: 1, Kind: recording.Input, Data: []byte("tmux -C")}, {Channel: 1, Kind: recording.Input, Data: []byte("C\r")}}, controlFrames()...)
	if out, notes = replay(frames); !strings.Contains(out, "%0  $ cat TMUXCC\n") || strings.Contains(notes, "looks like") {
		t.Errorf("%s\n%s", out, notes)
	}
	if got := textOf(t, frames, channel); !strings.Contains(got, "  %0     patTWO\n") {
		t.Errorf("%s", got)
	}
}

func TestCommandsOfPanes(t *testing.T) {
	var out bytes.Buffer
	if err := commands(from(controlFrames()), &out, recording.Header{}, controlChannel, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"         $ tmux -CC\n", "  %0     $ cat TMUXCC\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// A replay shows the pane in front while control mode is on; without a view the lines of each.
func TestReplayShowsPanes(t *testing.T) {
	var out, notes bytes.Buffer
	options := Options{Channel: controlChannel, AtOnce: true, Notes: &notes}
	if err := Replay(context.Background(), from(controlFrames()), &out, options); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"$ tmux -CC\n", "%0  $ cat TMUXCC\n", "TWO", "%1  other\\\n", "[detached]\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Count(notes.String(), "a tmux in control mode") != 1 {
		t.Errorf("notes are %q", notes.String())
	}

	frames := controlFrames()
	end := frames[len(frames)-1]
	end.At += 10 * time.Second
	frames[len(frames)-1] = end
	r := newReader(90, 30, map[time.Duration]string{time.Second: "f", 6*time.Second + 150*time.Millisecond: "f", 15 * time.Second: "f"})
	r.play(t, frames, Options{Channel: controlChannel})
	for at, want := range map[time.Duration]string{
		time.Second: "tmu\n", 6*time.Second + 150*time.Millisecond: "$ cat TMUXCC\npatTWO\n$", 15 * time.Second: "other\\\n",
	} {
		if !strings.HasPrefix(strings.TrimLeft(r.seen[at], "$ "), strings.TrimLeft(want, "$ ")) {
			t.Errorf("at %v %q shows", at, r.seen[at])
		}
	}
	if !strings.Contains(r.seen[15*time.Second], "tmux pane %1") {
		t.Errorf("nothing says which pane shows: %q", r.seen[15*time.Second])
	}
	if got := r.shows(); !strings.HasPrefix(got, "$ tmux -CC\n[detached]") {
		t.Errorf("in the end %q shows", got)
	}
}

// What couldn't be followed is said.
func TestPanesThatAreTooMany(t *testing.T) {
	in := []byte("\x1bP1000p")
	for i := range 30_000 {
		in = fmt.Appendf(in, "%%output %%%d x\r\n", i%100)
	}
	frames := []recording.Frame{{Channel: 1, Kind: recording.Output, Data: in}}
	if got := textOf(t, frames, controlChannel); !strings.Contains(got, "#      a tmux in control mode changes among more panes") {
		t.Errorf("nothing says so")
	}
	var out bytes.Buffer
	if err := commands(from(frames), &out, recording.Header{}, controlChannel, nil); err != nil || !strings.Contains(out.String(), "more panes than can be followed") {
		t.Errorf("%v: nothing says so", err)
	}
}

// What looks like control mode's first line doesn't keep a script's lines from being commands.
func TestControlModeHidesNoScript(t *testing.T) {
	var got []string
	m := CommandsOf(recording.Channel{Number: 1, Program: "shell"}, false, func(pane string, c screen.Command) { got = append(got, pane+c.Text) })
	m.Frame(recording.Frame{Channel: 1, Kind: recording.Output, Data: []byte("%begin 1 1 0\n%end 1 1 0\n")})
	m.Frame(recording.Frame{Channel: 1, Kind: recording.Input, Data: []byte("rm -rf data\n")})
	if m.Close(); fmt.Sprint(got) != "[rm -rf data]" {
		t.Errorf("got %q", got)
	}
}

// Describe names control mode, so that show does.
func TestWatchFindsControlMode(t *testing.T) {
	var w watch
	next := w.over(from(append(controlFrames(), recording.Frame{Channel: 2, Kind: recording.Output, Data: []byte("%begin\n")})))
	list, err := recording.Channels(next)
	if w.mark(list); err != nil || len(list) != 2 || !list[0].Tmux || list[1].Tmux {
		t.Fatalf("%v %+v", err, list)
	}
	if got := Describe(list[0]); !strings.Contains(got, ", a tmux in control mode, ") {
		t.Errorf("got %q", got)
	}
}
