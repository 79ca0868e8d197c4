package catalog

import (
	"fmt"
	"strings"

	"entry/audit/plain"
	"entry/session/recording"
)

// channelLine is a channel as --json has it.
type channelLine struct {
	Number  uint32         `json:"channel"`
	Type    string         `json:"type,omitempty"`
	Program string         `json:"program,omitempty"`
	Command recording.Text `json:"command,omitzero"`
	To      recording.Text `json:"destination,omitzero"`
	PTY     bool           `json:"pty"`
	Term    recording.Text `json:"term,omitzero"`
	Modes   []byte         `json:"modes,omitempty"` // of the terminal, RFC 4254 §8
	Cols    uint32         `json:"cols,omitempty"`
	Rows    uint32         `json:"rows,omitempty"`
	Width   uint32         `json:"width,omitempty"` // in pixels
	Height  uint32         `json:"height,omitempty"`
	Start   float64        `json:"start"` // seconds since the session's
	End     float64        `json:"end"`
	Output  int64          `json:"output_bytes"`
	Error   int64          `json:"error_bytes"`
	Input   int64          `json:"input_bytes"`
	Down    int64          `json:"bytes_down,omitempty"` // that passed, once it is closed
	Up      int64          `json:"bytes_up,omitempty"`
	Beside  int64          `json:"bytes_beside,omitempty"` // of those down what was said beside the files that moved, in no line of the manifest
	Gaps    int            `json:"gaps,omitempty"`
	Exit    *uint32        `json:"exit,omitempty"`
	Signal  recording.Text `json:"signal,omitzero"`
	Message recording.Text `json:"message,omitzero"` // with the signal

	Env      []recording.Text    `json:"env,omitempty"`      // "NAME=value"
	Said     []saidLine          `json:"said,omitempty"`     // what else its peer said, and who opened it
	Coverage recording.Coverage  `json:"coverage,omitempty"` // absent where the recording lacks the channel's end
	Tmux     bool                `json:"tmux_control_mode,omitempty"`
	Open     bool                `json:"open,omitempty"` // since that is still to come
	Missing  []recording.Missing `json:"missing,omitempty"`
}

// saidLine is something that a peer said, as --json has it.
type saidLine struct {
	As   string         `json:"as"`
	Text recording.Text `json:"text"`
}

func channelLines(list []recording.Channel) []channelLine {
	out := make([]channelLine, len(list))
	for i, c := range list {
		out[i] = channelLine{
			Number: c.Number, Type: c.Type, Program: c.Program, Command: recording.Text(c.Command), To: recording.Text(c.Destination),
			PTY: c.PTY, Term: recording.Text(c.Term), Modes: c.Modes, Cols: c.Cols, Rows: c.Rows, Width: c.Width, Height: c.Height,
			Start: c.Start.Seconds(), End: c.End.Seconds(), Output: c.Output, Error: c.Error, Input: c.Input, Down: c.Down, Up: c.Up, Beside: c.Beside, Gaps: c.Gaps,
			Coverage: c.Coverage, Tmux: c.Tmux, Open: c.Open, Missing: c.Missing,
		}
		if c.Exit != nil {
			out[i].Exit, out[i].Signal, out[i].Message = c.Exit.Status, c.Exit.Signal, c.Exit.Message
		}
		for _, variable := range c.Env {
			out[i].Env = append(out[i].Env, recording.Text(variable))
		}
		for _, said := range c.Said {
			out[i].Said = append(out[i].Said, saidLine{said.As, recording.Text(said.Text)})
		}
	}
	return out
}

// leastOf is the least coverage of a session's channels; "" without them, and while
// one of them is open.
func leastOf(list []recording.Channel) (least recording.Coverage) {
	for _, c := range list {
		if c.Open {
			return ""
		}
		if c.Coverage == "" {
			c.Coverage = recording.Partial
		}
		least = recording.Least(least, c.Coverage)
	}
	return least
}

// coverageOfAll sums up how much of a session is kept; "" without its channels.
func coverageOfAll(list []recording.Channel) string {
	const open recording.Coverage = "open so far"
	sums := map[recording.Coverage]int{}
	for _, c := range list {
		switch {
		case c.Open:
			c.Coverage = open
		case c.Coverage == "":
			c.Coverage = recording.Partial
		}
		sums[c.Coverage]++
	}
	var parts []string
	for _, c := range append(recording.Coverages(), open) {
		if n := sums[c]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", plain.Count(n, "channel"), c))
		}
	}
	return strings.Join(parts, ", ")
}
