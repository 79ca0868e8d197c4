package play

import (
	"bufio"
	"fmt"
	"strings"

	"entry/audit/plain"
	"entry/session/recording"
)

// maxOthers is how many other channels the head of an export names.
const maxOthers = 100

// Describe says in one line what a channel was, and how much of it is kept. What the
// user or the target chose is quoted.
func Describe(c recording.Channel) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", c.Number)
	switch {
	case c.Program != "":
		b.WriteString(" " + c.Program)
	case c.Type != "":
		b.WriteString(" " + plain.Word(c.Type))
	}
	if c.Command != "" {
		b.WriteString(" " + plain.Quote(c.Command))
	}
	if c.Destination != "" {
		b.WriteString(" to " + plain.Word(c.Destination))
	}
	if c.PTY {
		fmt.Fprintf(&b, ", terminal %s %dx%d", plain.Word(c.Term), c.Cols, c.Rows)
	}
	if c.Program != "" || c.Output+c.Error > 0 {
		fmt.Fprintf(&b, ", %s out", plain.Size(c.Output+c.Error))
	}
	if c.Input > 0 {
		fmt.Fprintf(&b, ", %s in", plain.Size(c.Input))
	}
	if c.Down+c.Up > 0 || c.Destination != "" && c.Coverage != "" {
		fmt.Fprintf(&b, ", %s down and %s up passed", plain.Size(c.Down), plain.Size(c.Up))
	}
	if c.Gaps > 0 {
		fmt.Fprintf(&b, ", %s", plain.Count(c.Gaps, "gap"))
	}
	if c.Program != "" && (c.Exit != nil || !c.Open) {
		b.WriteString(", " + c.Exit.String())
	}
	return b.String() + ", " + plain.Line(coverageOf(c))
}

// coverageOf says how much of a channel is kept.
func coverageOf(c recording.Channel) string {
	switch {
	case c.Open:
		return "open: this is what there is of it so far"
	case c.Coverage == "":
		return "partial: its end is missing"
	}
	return recording.Describe(c.Coverage, c.Missing)
}

// Environment says which variables a channel's client set, a line for each.
func Environment(c recording.Channel) (lines []string) {
	for _, variable := range c.Env {
		name, value, _ := strings.Cut(variable, "=")
		lines = append(lines, fmt.Sprintf("environment %s=%s", plain.Word(name), plain.Quote(value)))
	}
	return lines
}

// writeAbout writes the head of an export of channel c, as lines of comment: what it
// is, and which other channels its session had.
func writeAbout(w *bufio.Writer, h recording.Header, c recording.Channel, all []recording.Channel) {
	comment := func(format string, args ...any) {
		writeASCII(w, fmt.Appendf(nil, "# "+format+"\n", args...))
	}
	comment("Session %s: %s on %s from %s, by rule %s", plain.Word(h.ID), plain.Word(h.User), plain.Word(h.Target), plain.Word(h.Source), plain.Line(h.Rule))
	comment("Channel %s", Describe(c))
	for _, line := range Environment(c) {
		comment("  %s", line)
	}
	others := 0
	for _, o := range all {
		if o.Number == c.Number {
			continue
		}
		if others++; others <= maxOthers {
			comment("Not in this file: channel %s", Describe(o))
		}
	}
	if others > maxOthers {
		comment("Not in this file: %s more; entry sessions show lists them", plain.Count(others-maxOthers, "channel"))
	}
}

// environment is what a channel's client set, by name: the last of a name.
func environment(c recording.Channel) map[string]string {
	env := map[string]string{}
	for _, variable := range c.Env {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	return env
}
