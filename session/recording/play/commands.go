package play

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/screen"
)

// maxScriptLine is how long a line of a script may be until it counts as two: bytes.
const maxScriptLine = 64 << 10

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
		m.emit("", screen.Command{At: m.at, Text: text})
	}
	m.script = m.script[:0]
}

// Close tells what is held back.
func (m *Commands) Close() {
	m.endLine()
	if m.own {
		m.panes.Close(m.at)
	}
	if m.typed != nil {
		m.typed.Close()
	}
}

const commandsLegend = "# Times are UTC, of when it was entered. =1: it ended with that exit status, by the shell's own word.\n" +
	"# Found by what was on the screen, where a program can show what it likes: the text export has all of it.\n" +
	"# |: the same command goes on. #: a note of entry's. %0: in that pane of a tmux in control mode (-CC). %0?: nobody asked for one as far as is recorded, so it may only look so.\n"

// commands writes a channel's commands, each with its time and prompt.
func commands(next func() (recording.Frame, error), w io.Writer, h recording.Header, c recording.Channel, _ []recording.Channel) error {
	t := &textWriter{out: bufio.NewWriterSize(w, 64<<10), start: h.Start}
	_, _ = t.out.WriteString(commandsLegend) // a bufio.Writer keeps its error for Flush
	m := CommandsOf(c, false, func(pane string, cmd screen.Command) {
		mark := ""
		if cmd.Status != nil {
			mark = fmt.Sprintf("=%d", *cmd.Status)
		}
		prompt := cmd.Prompt
		for _, line := range strings.Split(cmd.Text, "\n") {
			t.write(cmd.At, inPane(pane, mark), []byte(plain.Text(prompt+line)))
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
	if text := m.Unread(); text != "" {
		t.write(m.at, "#", []byte(text))
	}
	return errors.Join(err, t.out.Flush())
}
