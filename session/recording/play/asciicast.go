package play

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/screen"
)

// castHeader is the first line of an asciicast v3 file.
// Source: https://docs.asciinema.org/manual/asciicast/v3
type castHeader struct {
	Version   int               `json:"version"`
	Term      castTerm          `json:"term"`
	Timestamp int64             `json:"timestamp"`
	Command   string            `json:"command,omitempty"`
	Title     string            `json:"title,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
}

type castTerm struct {
	Cols int    `json:"cols"`
	Rows int    `json:"rows"`
	Type string `json:"type,omitempty"`
}

// asciicast writes a channel as asciicast v3. Sequences that could act
// outside a player (OSC, DCS, queries) are left out, so that a player in a
// terminal is safe, too; full-screen programs stay intact. Below the header, which
// has the environment, comments say what the session was. Every byte of the
// result is printable ASCII.
func asciicast(next func() (recording.Frame, error), w io.Writer, h recording.Header, c recording.Channel, all []recording.Channel) error {
	out := bufio.NewWriterSize(w, 64<<10)
	cols, rows := screen.Fit(int(c.Cols), int(c.Rows)) // without a terminal the customary size
	head := castHeader{
		Version: 3, Term: castTerm{Cols: cols, Rows: rows, Type: plain.UTF8(c.Term)}, Timestamp: h.Start.Unix(),
		Command: plain.UTF8(c.Command), Title: fmt.Sprintf("%s on %s, session %s", h.User, h.Target, h.ID),
		Env: environment(c),
	}
	b, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("export recording: %w", err)
	}
	writeASCII(out, b)
	_ = out.WriteByte('\n') // a bufio.Writer keeps its error for Flush
	writeAbout(out, h, c, all)
	e := caster{out: out, at: c.Start}
	e.output, e.input = sanitise(&e.buf, cols, e.skipped), sanitise(&e.buf, cols, e.skipped)
	e.commands = CommandsOf(c, true, func(_ string, cmd screen.Command) { e.entered = append(e.entered, cmd.Text) })
	err = each(next, c.Number, e.frame)
	if err == nil {
		e.commands.Close()
		e.markers(e.at)
		e.write(e.at, "o", e.output, nil)
		e.write(e.at, "i", e.input, nil)
	}
	return errors.Join(err, out.Flush())
}

// caster writes the events of an asciicast.
type caster struct {
	out           *bufio.Writer
	at            time.Duration
	buf           bytes.Buffer
	output, input *sanitiser
	line          []byte
	long          []int // bytes of the strings left out since the last event
	commands      *Commands
	entered       []string // commands since the last event
}

func (e *caster) frame(f recording.Frame) error {
	e.commands.Frame(f)
	defer e.markers(f.At)
	switch f.Kind {
	case recording.Output, recording.Error:
		e.write(f.At, "o", e.output, f.Data)
	case recording.Input:
		e.write(f.At, "i", e.input, f.Data)
	case recording.Resize:
		if size, ok := f.Size(); ok {
			cols, rows := screen.Fit(int(size.Cols), int(size.Rows)) // players hang on 0x0
			e.event(f.At, "r", fmt.Sprintf("%dx%d", cols, rows))
			e.output.cols = cols
		}
	case recording.Exit:
		if exit := f.Exit(); exit != nil && exit.Status != nil {
			e.event(f.At, "x", fmt.Sprint(*exit.Status))
		} else {
			e.event(f.At, "m", exit.String())
		}
	case recording.Transfer, recording.Gap:
		e.event(f.At, "m", noteOf(f))
	}
	return nil // errors of writing come from Flush
}

// markers writes a marker for each command that was entered, which players list and
// jump to.
func (e *caster) markers(at time.Duration) {
	for _, text := range e.entered {
		e.event(at, "m", plain.Text(strings.ReplaceAll(text, "\n", " ⏎ ")))
	}
	e.entered = e.entered[:0]
}

// write adds data as far as it makes whole characters and sequences.
func (e *caster) write(at time.Duration, code string, s *sanitiser, data []byte) {
	e.buf.Reset()
	_, _ = s.Write(data) // into a bytes.Buffer, which can't fail
	if data == nil {
		_ = s.Close() // the same
	}
	if e.buf.Len() > 0 {
		e.event(at, code, e.buf.String())
	}
	for _, n := range e.long {
		e.event(at, "m", "left out: a control string of "+plain.Size(int64(n))+", which no screen shows")
	}
	e.long = e.long[:0]
}

// skipped notes a long string that was left out.
func (e *caster) skipped(length int) { e.long = append(e.long, length) }

func (e *caster) event(at time.Duration, code, data string) {
	b, err := json.Marshal(data)
	if err != nil {
		return // a string always marshals
	}
	e.line = fmt.Appendf(e.line[:0], "[%d.%06d, %q, ", (at-e.at)/time.Second, (at-e.at)%time.Second/time.Microsecond, code)
	_, _ = e.out.Write(e.line) // a bufio.Writer keeps its error for Flush
	writeASCII(e.out, b)
	_, _ = e.out.WriteString("]\n")
	e.at = at
}

// writeASCII writes JSON with everything but printable ASCII escaped.
func writeASCII(w *bufio.Writer, b []byte) {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf && b[0] != 0x7f {
			_ = w.WriteByte(b[0]) // a bufio.Writer keeps its error for Flush
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			_, _ = fmt.Fprintf(w, `\u%04x\u%04x`, hi, lo)
		} else {
			_, _ = fmt.Fprintf(w, `\u%04x`, r)
		}
	}
}

// quoteJSON returns JSON from a recording as printable ASCII on one line.
func quoteJSON(b []byte) string {
	var compact, ascii bytes.Buffer
	if json.Compact(&compact, []byte(clip(b))) != nil {
		return plain.Quote(clip(b))
	}
	w := bufio.NewWriter(&ascii)
	writeASCII(w, compact.Bytes())
	_ = w.Flush() // into a bytes.Buffer, which can't fail
	return ascii.String()
}
