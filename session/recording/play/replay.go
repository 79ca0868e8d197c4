package play

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/control"
	"entry/session/recording/screen"
)

// Options says how to replay a channel.
type Options struct {
	Channel recording.Channel
	Start   time.Time     // of the recording
	Length  time.Duration // of it as far as it is known, for the status line
	Speed   float64       // times faster than it was; zero means 1
	Idle    time.Duration // longest pause, as recorded; zero means as long as it was
	From    time.Duration // what was before, since Start, is there at once
	// More is asked where a cut recording ends: whether next may have more in a
	// while. Nil means it ends there.
	More func() bool
	// Again opens the recording from its start, to go back in it. Nil means there
	// is no way back.
	Again func() (next func() (recording.Frame, error), err error)
	// View is the reader's terminal, which shows the screen as it changes. Nil
	// means that lines are written as they scroll off, and the screen at the end.
	View *View
	// Notes gets a line for what a screen doesn't show: resizes, what was
	// left out, how the program ended; with a View, it is told them itself.
	Notes io.Writer
	// AtOnce leaves out all pauses but those for more of a live recording.
	AtOnce bool
	// Still writes nothing but the screen as it stood at From. It is for where there is no
	// View.
	Still bool
	// Sleep waits, or returns early with the context's cause. Nil means it does.
	Sleep func(context.Context, time.Duration) error
}

const (
	tickTime   = 40 * time.Millisecond  // between two looks at the keys, and two pictures
	followTime = 200 * time.Millisecond // between two looks for more of a live recording
)

// errQuit ends a replay whose reader has seen enough.
var errQuit = errors.New("quit")

// player is a replay under way.
type player struct {
	o       Options
	term    *screen.Terminal
	panes   *control.Stream
	request *control.Request
	plain   *plainWriter
	view    *picture
	now     time.Duration // where the replay is
	first   bool
	paused  bool
	step    bool // one frame, then pause again
	live    bool
	back    bool // the target is behind
	note    string
	noteFor time.Duration
	looked  time.Time // at the keys
	noted   bool      // that there is control mode
}

// Replay shows a channel's screen as it changed over time. What it writes to w is
// the screen's cells as text and SGR, and, with a View, its own placing of the
// cursor: nothing of the recording reaches the terminal as it came. It returns
// nil at the true end, or where the reader quits, and otherwise the error of next
// or of w.
func Replay(ctx context.Context, next func() (recording.Frame, error), w io.Writer, o Options) error {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Notes == nil {
		o.Notes = io.Discard
	}
	p := &player{o: o, plain: &plainWriter{w: w, end: "\n"}}
	if o.View != nil {
		p.view, p.plain.end, p.plain.styled = newPicture(w, o.View), "\r\n", true // it may be in raw mode
	}
	p.begin()
	err := p.run(ctx, next)
	if errors.Is(err, errQuit) {
		err = nil
	}
	if p.view != nil {
		p.view.close()
	}
	if term := p.term; !o.Still {
		p.panes.Close(p.now)
		p.plain.screen(term)
	} else if err == nil || errors.Is(err, recording.ErrTruncated) {
		p.plain.screen(p.shown())
	}
	return errors.Join(err, p.plain.err)
}

// begin starts with an empty screen.
func (p *player) begin() {
	c := p.o.Channel
	p.term = screen.New(int(c.Cols), int(c.Rows))
	if !c.PTY {
		p.term.Cooked()
	}
	if p.view == nil && !p.o.Still {
		p.term.OnScroll(p.plain.row)
	}
	p.follow()
	p.now, p.first = 0, true
	if p.view != nil {
		cols, rows := p.term.Size()
		p.tell(p.view.tooSmall(cols, rows))
	}
}

func (p *player) run(ctx context.Context, next func() (recording.Frame, error)) error {
	for {
		f, err := next()
		switch {
		case errors.Is(err, io.EOF):
			return p.pause(ctx, 0)
		case errors.Is(err, recording.ErrTruncated) && p.o.More != nil:
			more := p.o.More()
			p.live, p.o.From = true, 0
			if werr := p.pause(ctx, followTime); werr != nil {
				return werr
			}
			if !more {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if f.Channel != p.o.Channel.Number {
			continue
		}
		if p.o.Still && f.At > p.o.From {
			return nil
		}
		if err := p.until(ctx, f.At); err != nil {
			return err
		}
		if p.back {
			p.back = false
			if next, err = p.o.Again(); err != nil {
				return err
			}
			p.begin()
			continue
		}
		if err := p.frame(f); err != nil {
			return fmt.Errorf("play recording: %w", err)
		}
	}
}

// until lets time pass up to a frame's moment.
func (p *player) until(ctx context.Context, at time.Duration) error {
	for {
		from := p.o.From
		pause := at - max(p.now, min(from, at))
		if p.o.Idle > 0 {
			pause = min(pause, p.o.Idle)
		}
		if p.first || p.live || p.o.AtOnce {
			pause, p.first = 0, false
		}
		if err := p.pause(ctx, time.Duration(float64(pause)/p.o.Speed)); err != nil || p.back {
			return err
		}
		if p.o.From == from || p.o.From >= at {
			p.now = max(at, p.now)
			return nil
		}
		p.now = p.o.From // the reader went on to somewhere before it
	}
}

// pause lets time pass, and does meanwhile what the reader's keys say.
func (p *player) pause(ctx context.Context, left time.Duration) error {
	if p.view == nil {
		if left > 0 {
			return p.o.Sleep(ctx, left)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}
	p.step = false
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if left > 0 || p.paused || time.Since(p.looked) > tickTime {
			p.looked = time.Now()
			if err := p.view.paint(p.shown(), p.status()); err != nil {
				return err
			}
			was, speed := p.o.From, p.o.Speed
			if err := p.keys(); err != nil {
				return err
			}
			left = time.Duration(float64(left) * speed / p.o.Speed)
			if p.back || p.step || p.o.From != was {
				return nil
			}
		}
		if left <= 0 && !p.paused {
			return nil
		}
		slice := min(left, tickTime)
		if p.paused {
			slice = tickTime
		}
		if err := p.o.Sleep(ctx, slice); err != nil {
			return err
		}
		if !p.paused {
			left -= slice
		}
		p.noteFor -= slice
	}
}

// frame carries out one frame.
func (p *player) frame(f recording.Frame) error {
	switch f.Kind {
	case recording.Output:
		p.panes.Write(f.At, f.Data)
	case recording.Error:
		p.term.Write(f.Data)
	case recording.Resize:
		if size, ok := f.Size(); ok {
			p.term.Resize(int(size.Cols), int(size.Rows))
			p.panes.Resize(int(size.Cols), int(size.Rows))
		}
	case recording.Input:
		p.request.Sent(f.Data)
	}
	note := cmp.Or(noteOf(f), p.inControl())
	if note == "" {
		return p.plain.err
	}
	if p.view != nil {
		if f.Kind == recording.Resize {
			if small := p.view.tooSmall(p.term.Size()); small != "" {
				note = small
			}
		}
		if f.At >= p.o.From {
			p.tell(note)
		}
		return nil
	}
	if p.o.Still {
		return p.plain.err
	}
	_, err := fmt.Fprintf(p.o.Notes, "[entry: %s]\n", note)
	return err
}

// tell shows a note for some seconds.
func (p *player) tell(note string) {
	if note != "" {
		p.note, p.noteFor = note, 4*time.Second
	}
}

// status is the line below the picture.
func (p *player) status() string {
	if p.noteFor > 0 {
		return " [" + p.note + "]"
	}
	what := "play"
	switch {
	case p.paused:
		what = "pause"
	case p.live:
		what = "live"
	}
	s := fmt.Sprintf(" %s  %s UTC  +%s", what, p.o.Start.Add(p.now).UTC().Format(time.DateTime), p.now.Truncate(time.Second))
	if p.o.Length > 0 && !p.live {
		s += " of " + p.o.Length.Truncate(time.Second).String()
	}
	if name, _ := p.panes.Shown(); name != "" {
		s += "  tmux pane " + name
	}
	if p.o.Speed != 1 {
		s += fmt.Sprintf("  x%g", p.o.Speed)
	}
	return s + "  space . left right + - q"
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
		switch size, ok := f.Size(); {
		case ok && size.Known():
			return "the terminal was resized to " + size.String()
		case ok:
			return "the client doesn't say how large the terminal is"
		}
	case recording.Request:
		if r := f.Request(); r.Type == "signal" {
			return "the user sent the signal " + plain.Word(string(r.Name))
		} else if r.Type == "break" {
			return "the user sent a break"
		}
	case recording.Transfer:
		if file, ok := f.File(); ok {
			return file.String()
		}
		if begun, ok := f.Begun(); ok {
			return begun.String()
		}
		if left, ok := f.Omitted(); ok {
			return left.String()
		}
		return "not kept: " + quoteJSON(f.Data)
	case recording.Gap:
		return "the recording has a gap: " + plain.Quote(clip(f.Data))
	case recording.Exit:
		return f.Exit().String()
	}
	return ""
}

// clip bounds what a note repeats of a payload.
func clip(b []byte) string { return plain.Clip(string(b), 512) }
