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

// text writes the transcript of a channel: every line that ever could be read on
// its screen, with its time in UTC and a mark. What a recorded program prints
// can't look like a mark, for each line begins with entry's own columns.
func text(next func() (recording.Frame, error), w io.Writer, h recording.Header, c recording.Channel, all []recording.Channel) error {
	t := &textWriter{out: bufio.NewWriterSize(w, 64<<10), start: h.Start}
	writeAbout(t.out, h, c, all)
	_, _ = t.out.WriteString(textLegend) // a bufio.Writer keeps its error for Flush
	lines := Transcribe(c, t.line)
	at := c.Start
	err := each(next, c.Number, func(f recording.Frame) error {
		at = f.At
		lines.Frame(f)
		if note := noteOf(f); note != "" && f.Kind != recording.Resize {
			lines.Note(at, []byte(note))
		}
		return nil
	})
	lines.Close(at)
	t.endRedrawn()
	if text := lines.Unread(); text != "" {
		t.write(at, "#", []byte(text))
	}
	return errors.Join(err, t.out.Flush())
}

const textLegend = "# Times are UTC: since when a line stood there as it is here. -1.0s: that long, then it was erased or overwritten.\n" +
	"# ~: a line whose numbers change again and again: each look of it, + that long after the first. #: a note of entry's.\n" +
	"# …: what was drawn there in place of something else, and went too soon to be read.\n" +
	"# ?: in a control string, which most terminals hide and some show; titles, links (8;), the clipboard (52;) and others, each once.\n" +
	"# !: as it was written, or stood, in one go with something by which not all terminals erase or move alike, or as it stands on a larger terminal or in another character set; it may have stood for longer than is told, each once. !40ms: that long for certain.\n" +
	"# %0: in that pane of a tmux in control mode (-CC), whose lines are in the order of time among themselves. %0?: neither the command nor recorded input asked for one: it may only look so.\n"

const (
	maxRedrawn     = 4 << 10 // bytes of a line that is a list of looks
	maxRedrawnTime = time.Minute
)

// textWriter writes a transcript as text.
type textWriter struct {
	out       *bufio.Writer
	start     time.Time
	day       string
	redrawn   []byte // the looks of lines that are drawn again and again
	redrawnAt time.Duration
	redrawnIn string // the pane where they were
}

// line writes one line of the transcript, or of a pane's.
func (t *textWriter) line(pane string, l screen.Line) {
	if l.Kind == screen.Returned {
		return // which was told
	}
	if l.Kind == screen.Redrawn {
		if len(t.redrawn)+len(l.Text) > maxRedrawn || l.At-t.redrawnAt > maxRedrawnTime || pane != t.redrawnIn {
			t.endRedrawn()
		}
		if len(t.redrawn) == 0 {
			t.redrawnAt, t.redrawnIn = l.At, pane
		} else {
			t.redrawn = fmt.Appendf(t.redrawn, " | +%.1fs ", (l.At - t.redrawnAt).Seconds())
		}
		t.redrawn = append(t.redrawn, bytes.TrimLeft(l.Text, " ")...)
		return
	}
	t.endRedrawn()
	mark := ""
	switch l.Kind {
	case screen.Erased:
		mark = "-" + short(l.Gone-l.At)
	case screen.Concealed:
		mark = "?"
	case screen.Written:
		if mark = "!"; l.Gone > l.At {
			mark += short(l.Gone - l.At)
		}
	case screen.Note:
		mark = "#"
	}
	t.write(l.At, inPane(pane, mark), l.Text)
}

// inPane is a mark that says in which pane its line is.
func inPane(pane, mark string) string { return strings.TrimSpace(pane + " " + mark) }

func (t *textWriter) endRedrawn() {
	if len(t.redrawn) > 0 {
		t.write(t.redrawnAt, inPane(t.redrawnIn, "~"), t.redrawn)
		t.redrawn = t.redrawn[:0]
	}
}

// write writes the columns in front of a line and the line.
func (t *textWriter) write(at time.Duration, mark string, text []byte) {
	when := t.start.Add(at).UTC()
	if day := when.Format(time.DateOnly); day != t.day {
		t.day = day
		_, _ = fmt.Fprintf(t.out, "# %s\n", day) // a bufio.Writer keeps its error for Flush
	}
	var stamp [16]byte
	_, _ = t.out.Write(when.AppendFormat(stamp[:0], "15:04:05.0"))
	if len(text) > 0 {
		_, _ = fmt.Fprintf(t.out, "  %-6s ", mark)
		_, _ = t.out.Write(text)
	}
	_ = t.out.WriteByte('\n')
}

// short is a duration in at most five characters.
func short(d time.Duration) string {
	switch {
	case d > 0 && d < 50*time.Millisecond:
		return fmt.Sprintf("%dms", max(1, d.Milliseconds()))
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", max(d, 0).Seconds())
	case d < 10*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 100*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	}
	return plain.Count(int(d.Hours()/24), "day")
}
