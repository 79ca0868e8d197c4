package recording

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// ErrNoChannel is returned for a channel that isn't in the recording.
var ErrNoChannel = errors.New("no such channel in the recording")

// Channel sums up one session channel of a recording. Its strings are a peer's.
type Channel struct {
	Number                uint32
	Type                  string // as opened: "session", "direct-tcpip", …; "" if that wasn't recorded
	Destination           string // of a forward
	Program               string // "shell", "exec", "subsystem", or "" if nothing was started
	Command               string // the command line, or the subsystem's name
	PTY                   bool
	Term                  string
	Modes                 []byte   // of the terminal, RFC 4254 §8
	Cols, Rows            uint32   // at the start; 0 isn't known
	Width, Height         uint32   // the same in pixels
	Env                   []string // "NAME=value", as the client set them, at most maxEnv
	Said                  []Said   // what else it said, and who opened the channel, at most maxEnv
	Start, End            time.Duration
	Output, Error, Input  int64 // bytes that the recording holds
	Down, Up              int64 // bytes that passed, towards the client and the target; 0 before the channel closed
	Beside                int64 // of those down what a target said beside the files that moved, in no line of the manifest
	Resizes, Gaps, Others int
	Exit                  *ExitStatus
	// Coverage is how much is kept; "" where the recording doesn't have the
	// channel's end, or is older than coverages.
	Coverage Coverage
	Missing  []Missing
	// Tmux says that tmux spoke in control mode there. Only who reads its output can say
	// so: see play.Channels.
	Tmux bool
	// Open says that the recording lacks the channel's end because that is still to
	// come. Only who knows that the session runs can say so: see StillOpen.
	Open bool
}

// StillOpen marks the channels of a session that runs whose end is still to come.
func StillOpen(list []Channel) {
	for i := range list {
		list[i].Open = list[i].Coverage == ""
	}
}

// maxEnv bounds the variables that a Channel has; the recording has them all.
const maxEnv = 1000

// Channels sums up the channels that frames from next belong to, by number.
// At the end of a cut recording it returns them with ErrTruncated.
func Channels(next func() (Frame, error)) ([]Channel, error) {
	var t Tally
	for {
		f, err := next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return t.Channels(), err
		}
		t.Add(f)
	}
}

// Tally sums up channels as their frames pass. The zero Tally has none; it isn't safe
// for concurrent use.
type Tally struct{ found map[uint32]*Channel }

// Add takes the next frame and returns its channel as it is by now, which later frames
// change.
func (t *Tally) Add(f Frame) *Channel {
	c := t.found[f.Channel]
	if c == nil {
		c = &Channel{Number: f.Channel, Start: f.At}
		if t.found == nil {
			t.found = map[uint32]*Channel{}
		}
		t.found[f.Channel] = c
	}
	c.add(f)
	return c
}

// Channels returns the channels, by number.
func (t *Tally) Channels() []Channel {
	list := slices.Collect(maps.Values(t.found))
	slices.SortFunc(list, func(a, b *Channel) int { return cmp.Compare(a.Number, b.Number) })
	all := make([]Channel, len(list))
	for i, c := range list {
		all[i] = *c
	}
	return all
}

func (c *Channel) add(f Frame) {
	c.End = f.At
	switch f.Kind {
	case Output:
		c.Output += int64(len(f.Data))
	case Error:
		c.Error += int64(len(f.Data))
	case Input:
		c.Input += int64(len(f.Data))
	case Resize:
		c.Resizes++
	case Gap:
		c.Gaps++
	case Exit:
		if e := f.Exit(); e != nil {
			c.Exit = e
		}
	case Request:
		var r ChannelRequest
		if json.Unmarshal(f.Data, &r) != nil {
			c.Others++
			return
		}
		c.said(r)
		switch r.Type {
		case "channel-open":
			c.Type, c.Destination = string(r.Name), string(r.Destination)
		case "channel-close":
			c.Down, c.Up, c.Beside, c.Coverage, c.Missing = r.BytesDown, r.BytesUp, r.BytesBeside, r.Coverage, r.Missing
		case "env":
		case "pty-req":
			c.PTY, c.Term, c.Modes = true, string(r.Term), r.Modes
			c.Cols, c.Rows, c.Width, c.Height = r.Cols, r.Rows, r.Width, r.Height
		case "shell":
			c.Program = r.Type
		case "exec":
			c.Program, c.Command = r.Type, string(r.Command)
		case "subsystem":
			c.Program, c.Command = r.Type, string(r.Name)
		default:
			c.Others++
		}
	default:
		c.Others++
	}
}

// said takes what a peer said beside what is run.
func (c *Channel) said(r ChannelRequest) {
	for _, said := range r.Said() {
		switch {
		case said.As == "terminal type":
		case said.As == "environment" && len(c.Env) < maxEnv:
			c.Env = append(c.Env, said.Text)
		case said.As != "environment" && len(c.Said) < maxEnv:
			c.Said = append(c.Said, said)
		}
	}
}

// Choose returns the channel that a person most likely wants to see: the
// first with a terminal, else the first with output, else the first.
func Choose(list []Channel) (Channel, error) {
	for _, fits := range []func(Channel) bool{
		func(c Channel) bool { return c.PTY },
		func(c Channel) bool { return c.Output+c.Error > 0 },
		func(Channel) bool { return true },
	} {
		if i := slices.IndexFunc(list, fits); i >= 0 {
			return list[i], nil
		}
	}
	return Channel{}, fmt.Errorf("choose channel: %w", ErrNoChannel)
}

// ChooseOpen returns the channel of a running session that a person most likely wants
// to see: of those that are open the newest with a terminal, else the newest with a
// program, else the newest.
func ChooseOpen(list []Channel) (Channel, error) {
	for _, fits := range []func(Channel) bool{
		func(c Channel) bool { return c.PTY },
		func(c Channel) bool { return c.Program != "" },
		func(Channel) bool { return true },
	} {
		for _, c := range slices.Backward(list) {
			if c.Coverage == "" && fits(c) {
				return c, nil
			}
		}
	}
	return Channel{}, fmt.Errorf("choose an open channel: %w", ErrNoChannel)
}
