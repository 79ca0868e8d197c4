package play

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"entry/audit/plain"
	"entry/session/recording"
)

// Options says how to replay a channel.
type Options struct {
	Channel uint32
	Speed   float64       // times faster than it was; zero means 1
	Idle    time.Duration // longest pause, as recorded; zero means as long as it was
	// Notes gets a line for what a terminal doesn't show: resizes, what was
	// left out, how the program ended. Nil means nobody wants them.
	Notes io.Writer
	// Sleep waits, or returns early with the context's cause. Nil means it does.
	Sleep func(context.Context, time.Duration) error
}

// Replay writes a channel's output, sanitised, as it came over time. It returns
// nil at the true end and otherwise the error of next or of w.
func Replay(ctx context.Context, next func() (recording.Frame, error), w io.Writer, o Options) (err error) {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Notes == nil {
		o.Notes = io.Discard
	}
	safe := sanitise(w)
	defer func() { err = errors.Join(err, safe.Close()) }()
	var at time.Duration
	first := true
	for {
		f, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if f.Channel != o.Channel {
			continue
		}
		pause := f.At - at
		at = f.At
		if o.Idle > 0 {
			pause = min(pause, o.Idle)
		}
		if first {
			pause, first = 0, false
		}
		if pause > 0 {
			if err := o.Sleep(ctx, time.Duration(float64(pause)/o.Speed)); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		switch note := noteOf(f); {
		case f.Kind == recording.Output, f.Kind == recording.Error:
			if _, err := safe.Write(f.Data); err != nil {
				return fmt.Errorf("play recording: %w", err)
			}
		case note != "":
			if _, err := fmt.Fprintf(o.Notes, "\r\n[entry: %s]\r\n", note); err != nil {
				return fmt.Errorf("play recording: %w", err)
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// noteOf says in words what a frame holds that isn't output; "" if it isn't
// worth a word. Everything from a peer is quoted.
func noteOf(f recording.Frame) string {
	switch f.Kind {
	case recording.Resize:
		if cols, rows, ok := parseSize(f.Data); ok {
			return fmt.Sprintf("the terminal was resized to %dx%d", cols, rows)
		}
	case recording.Transfer:
		return "not kept: " + quoteJSON(f.Data)
	case recording.Gap:
		return "the recording has a gap: " + plain.Quote(clip(f.Data))
	case recording.Exit:
		return f.Exit().String()
	}
	return ""
}

// parseSize reads the payload of a Resize frame.
func parseSize(b []byte) (cols, rows uint32, ok bool) {
	n, err := fmt.Sscanf(clip(b), "%dx%d", &cols, &rows)
	return cols, rows, err == nil && n == 2
}

// clip bounds what a note repeats of a payload.
func clip(b []byte) string { return plain.Clip(string(b), 512) }
