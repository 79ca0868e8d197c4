package play

import (
	"bufio"
	"errors"
	"io"

	"entry/session/recording"
)

// input writes what a channel's program read, as far as that is recorded: a script
// that was piped to a shell, or all that was typed where policy asks for it.
func input(next func() (recording.Frame, error), w io.Writer, _ recording.Header, c recording.Channel, _ []recording.Channel) error {
	b := bufio.NewWriterSize(w, 64<<10)
	err := each(next, c.Number, func(f recording.Frame) error {
		if f.Kind != recording.Input {
			return nil
		}
		_, err := b.Write(f.Data)
		return err
	})
	return errors.Join(err, b.Flush())
}
