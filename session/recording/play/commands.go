package play

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/screen"
)

// maxScriptLine is how long a line of a script may be until it counts as two: bytes.
const maxScriptLine = 64 << 10

// Commands are those of one channel, made of its frames: what was typed at prompts of
// its terminal, the command it was opened with, and the lines that were piped to a
// shell or an interpreter. It isn't safe for concurrent use.
type Commands struct {
	channel recording.Channel
	emit    func(screen.Command)
	term    *screen.Terminal // nil if somebody else's is listened to
	typed   *screen.Commands // nil without a terminal
	script  []byte           // a line whose end is still to come
	at      time.Duration
}

// CommandsOf returns the commands of a channel. emit gets each one as
// screen.NewCommands has it; those that no screen showed may hold controls.
func CommandsOf(c recording.Channel, early bool, emit func(screen.Command)) *Commands {
	m := &Commands{channel: c, emit: emit}
	if c.PTY {
		m.term = screen.New(int(c.Cols), int(c.Rows))
		m.typed = screen.NewCommands(m.term, early, emit)
	}
	return m
}

// Commands returns the commands of the same channel; both take each frame.
func (l Lines) Commands(c recording.Channel, emit func(screen.Command)) *Commands {
	m := &Commands{channel: c, emit: emit}
	if c.PTY {
		m.typed = l.Transcript.Commands(emit)
	}
	return m
}

// Frame takes the recording's next frame, of whatever channel.
func (m *Commands) Frame(f recording.Frame) {
	if f.Channel != m.channel.Number {
		return
	}
	m.at = f.At
	switch f.Kind {
	case recording.Output, recording.Error:
		if m.term != nil {
			m.typed.Write(f.At, f.Data)
		}
	case recording.Resize:
		if size, ok := f.Size(); ok && m.term != nil {
			m.term.Resize(screen.Fit(int(size.Cols), int(size.Rows)))
		}
	case recording.Input:
		switch {
		case m.typed != nil:
			m.typed.Typed(f.At)
		case m.scripted():
			m.piped(f.Data)
		}
	case recording.Request:
		if r := f.Request(); r.Type == "exec" {
			m.emit(screen.Command{At: f.At, Text: string(r.Command)})
		}
	}
}

// scripted reports whether what the channel's program read is what it did.
func (m *Commands) scripted() bool {
	c := m.channel
	return (c.Program == "shell" || c.Program == "exec") && recording.ReadsScript(c.Command)
}

// piped takes a piece of a script.
func (m *Commands) piped(b []byte) {
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		if n := maxScriptLine - len(m.script); len(line) > n {
			line, rest, ended = b[:n], b[n:], true
		}
		m.script, b = append(m.script, line...), rest
		if ended {
			m.endLine()
		}
	}
}

func (m *Commands) endLine() {
	if text := string(bytes.TrimRight(m.script, " \t\r")); text != "" {
		m.emit(screen.Command{At: m.at, Text: text})
	}
	m.script = m.script[:0]
}

// Close tells what is held back.
func (m *Commands) Close() {
	m.endLine()
	if m.typed != nil {
		m.typed.Close()
	}
}

const commandsLegend = "# Times are UTC, of when it was entered. =1: it ended with that exit status, by the shell's own word.\n" +
	"# Found by what was on the screen, where a program can show what it likes: the text export has all of it.\n" +
	"# |: the same command goes on. #: a note of entry's.\n"

// commands writes a channel's commands, each with its time and prompt.
func commands(next func() (recording.Frame, error), w io.Writer, h recording.Header, c recording.Channel, _ []recording.Channel) error {
	t := &textWriter{out: bufio.NewWriterSize(w, 64<<10), start: h.Start}
	_, _ = t.out.WriteString(commandsLegend) // a bufio.Writer keeps its error for Flush
	m := CommandsOf(c, false, func(cmd screen.Command) {
		mark := ""
		if cmd.Status != nil {
			mark = fmt.Sprintf("=%d", *cmd.Status)
		}
		prompt := cmd.Prompt
		for _, line := range strings.Split(cmd.Text, "\n") {
			t.write(cmd.At, mark, []byte(plain.Text(prompt+line)))
			prompt, mark = "", "|"
		}
	})
	err := each(next, c.Number, func(f recording.Frame) error {
		m.Frame(f)
		if f.Kind == recording.Transfer || f.Kind == recording.Gap {
			t.write(f.At, "#", []byte(noteOf(f)))
		}
		return nil
	})
	m.Close()
	return errors.Join(err, t.out.Flush())
}
