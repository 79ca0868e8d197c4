package find

import (
	"fmt"
	"testing"

	"entry/session/recording"
)

// attached are the frames of tmux -CC, with what its client sent.
func attached(channel uint32) []recording.Frame {
	frames := []recording.Frame{
		frame(0, channel, recording.Request, `{"type":"channel-open","name":"session"}`),
		frame(0, channel, recording.Request, `{"type":"pty-req","cols":80,"rows":24}`),
		frame(0, channel, recording.Request, `{"type":"exec","command":"tmux -CC"}`),
		frame(1, channel, recording.Output, "\x1bP1000p%begin 1 1 0\r\n%end 1 1 0\r\n%output %0 $ \r\n"),
	}
	at := 2.0
	add := func(k recording.Kind, data string) {
		frames = append(frames, frame(at, channel, k, data))
		at += 0.5
	}
	for _, c := range "cat needle" {
		add(recording.Input, fmt.Sprintf("send -lt %%0 \"%c\"\r", c))
		add(recording.Output, fmt.Sprintf("%%output %%0 %c\r\n", c))
	}
	add(recording.Input, "send -t %0 0xd\r")
	add(recording.Output, "%output %0 \\015\\012\r\n")
	add(recording.Output, "%output %7 nee\\033[31mdle two\\033[m\\015\\012\r\n")
	add(recording.Output, "%output %7 a needle that goes\r\n")
	add(recording.Output, "%output %7 \\015\\033[K\r\n")
	add(recording.Output, "%output %0 $ \r\n%exit\r\n\x1b\\")
	return append(frames, frame(at, channel, recording.Request, `{"type":"channel-close","name":"session","coverage":"recorded"}`))
}

// What panes of a tmux in control mode showed is found, with the pane's name; so is what was
// typed there, and the commands.
func TestPanesAreSearched(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, "alice", true, attached(1)...)
	line := "01/1%0 +11.5s output: $ cat needle"
	two, gone, typed := "01/1%7 +13s output: needle two", "01/1%7 +13.5s output: a needle that goes erased", "01/1%0 +12s input: cat needle"
	for _, tc := range []struct {
		in   []Field
		want []string
	}{
		{[]Field{Output}, []string{line, two, gone}},
		{[]Field{Commands}, []string{"01/1%0 +12.5s commands: cat needle"}},
		{[]Field{Input}, []string{typed, "01 [] missing=false: the keys that were typed aren't kept: its rule doesn't say record_input"}},
		{nil, []string{typed, line, two, gone}},
	} {
		same(t, fmt.Sprint(tc.in), found(t, dir, "needle", Query{In: tc.in}), tc.want...)
	}
}

// Of panes that couldn't be followed a search says so.
func TestPanesThatWerentSearched(t *testing.T) {
	dir := t.TempDir()
	in := []byte("\x1bP1000p")
	for i := range 30_000 {
		in = fmt.Appendf(in, "%%output %%%d x\r\n", i%100)
	}
	record(t, dir, 1, "alice", true, frame(0, 1, recording.Output, string(in)), frame(1, 1, recording.Request, `{"type":"channel-close","coverage":"recorded"}`))
	for _, in := range []Field{Output, Commands} {
		same(t, string(in), found(t, dir, "needle", Query{In: []Field{in}}), "01 [] missing=true: "+whyUnread)
	}
}

const whyUnread = "a tmux in control mode changes among more panes than can be followed: what the rest showed is in the raw bytes alone"
