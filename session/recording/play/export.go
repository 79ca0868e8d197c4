package play

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"entry/session/recording"
)

// Format writes one channel of a recording in some form.
type Format struct {
	Name string // for a command line
	// Help says in a few lines what it is for.
	Help string
	// AsItCame says that nothing is made safe: it must not reach a terminal.
	AsItCame bool
	// Write writes channel c, whose frames are among those of next; all are the
	// recording's channels, for the head. It returns nil at the true end and
	// otherwise the error of next or of w.
	Write func(next func() (recording.Frame, error), w io.Writer, h recording.Header, c recording.Channel, all []recording.Channel) error
}

// Formats are all there are, the usual one first. A new one has its own file
// and a line here.
var Formats = []Format{
	{Name: "asciicast-v3", Write: asciicast, Help: "for the asciinema player and its kin, with the timing and\nwithout what could act outside a player"},
	{Name: "text", Write: text, Help: "every line that could be read, with its time: also what was\nerased or overwritten, and what full-screen programs showed"},
	{Name: "commands", Write: commands, Help: "what was typed at prompts, run by exec or piped to a shell, with\nits time and, where the shell tells it, its exit status"},
	{Name: "raw", Write: raw, AsItCame: true, Help: "the bytes as they came; never to a terminal, since they may do\nanything to it"},
	{Name: "input", Write: input, AsItCame: true, Help: "what was piped to a shell as its script, or typed where policy\nrecords that, as it came"},
}

// raw writes a channel's output and errors as they came, byte for byte.
func raw(next func() (recording.Frame, error), w io.Writer, _ recording.Header, c recording.Channel, _ []recording.Channel) error {
	b := bufio.NewWriterSize(w, 64<<10)
	err := each(next, c.Number, func(f recording.Frame) error {
		if f.Kind != recording.Output && f.Kind != recording.Error {
			return nil
		}
		_, err := b.Write(f.Data)
		return err
	})
	return errors.Join(err, b.Flush())
}

// each calls f for a channel's frames.
func each(next func() (recording.Frame, error), channel uint32, f func(recording.Frame) error) error {
	for {
		frame, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if frame.Channel != channel {
			continue
		}
		if err := f(frame); err != nil {
			return fmt.Errorf("export recording: %w", err)
		}
	}
}
