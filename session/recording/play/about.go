package play

import (
	"bufio"
	"fmt"
	"net/netip"
	"regexp"
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
		fmt.Fprintf(&b, ", terminal %s %s", plain.Word(c.Term), recording.Size{Cols: c.Cols, Rows: c.Rows})
	}
	if c.Tmux {
		b.WriteString(", " + inControlMode)
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
	if c.Beside > 0 {
		fmt.Fprintf(&b, ", %s of it said beside the files", plain.Size(c.Beside))
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

// Asked says what a channel's client set and asked for beside the program, a line for
// each: variables, and what it might have put bytes into.
func Asked(c recording.Channel) (lines []string) {
	for _, variable := range c.Env {
		name, value, _ := strings.Cut(variable, "=")
		lines = append(lines, fmt.Sprintf("environment %s=%s", plain.Word(name), plain.Quote(value)))
	}
	for _, said := range c.Said {
		if !customary(said) {
			lines = append(lines, said.As+" "+plain.Quote(said.Text))
		}
	}
	return lines
}

// customary reports whether it is what clients say of themselves, of which nobody reads
// anything, or stands in the channel's own line.
func customary(said recording.Said) bool {
	switch said.As {
	case "X11 protocol":
		return said.Text == "MIT-MAGIC-COOKIE-1"
	case "X11 cookie":
		return cookie.MatchString(said.Text)
	case "forward to":
		return true
	case "forward from":
		_, err := netip.ParseAddr(said.Text)
		return err == nil
	}
	return false
}

// cookie is what an X11 cookie looks like: 16 random bytes.
var cookie = regexp.MustCompile(`^[0-9a-f]{32}$`)

// writeAbout writes the head of an export of channel c, as lines of comment: what it
// is, and which other channels its session had.
func writeAbout(w *bufio.Writer, h recording.Header, c recording.Channel, all []recording.Channel) {
	comment := func(format string, args ...any) {
		writeASCII(w, fmt.Appendf(nil, "# "+format+"\n", args...))
	}
	comment("Session %s: %s on %s from %s, by rule %s", plain.Word(h.ID), plain.Word(h.User), plain.Word(h.Target), plain.Word(h.Source), plain.Line(h.Rule))
	comment("Channel %s", Describe(c))
	for _, line := range Asked(c) {
		comment("  %s", line)
	}
	if len(c.Modes) > 0 {
		comment("  terminal modes %x", c.Modes)
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
		env[plain.UTF8(name)] = plain.UTF8(value)
	}
	return env
}
