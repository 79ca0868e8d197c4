package find

import (
	"bytes"
	"maps"
	"slices"

	"entry/session/recording/control"
)

// maxInput is how long a line of input may be until it counts as two: bytes.
const maxInput = 64 << 10

// typed is what was sent and has no end yet.
type typed struct {
	line  []byte
	keys  control.Keys
	panes map[string][]byte // lines that control mode's send-keys types, by pane
}

// input has what was sent, in lines: as it came, and what it types into panes.
func (c *channel) input(s *scan, data []byte) {
	c.typed.keys.Sent(data, func(pane string, keys []byte) { c.into(s, pane, keys) })
	for b := data; len(b) > 0; {
		n := bytes.IndexAny(b, "\r\n")
		ended := n >= 0
		if !ended {
			n = len(b)
		}
		if room := maxInput - len(c.typed.line); n > room {
			n, ended = room, true
			c.typed.line = append(c.typed.line, b[:n]...)
			b = b[n:]
		} else {
			c.typed.line = append(c.typed.line, b[:n]...)
			b = b[min(n+1, len(b)):]
		}
		if ended {
			c.endInput(s)
		}
	}
}

func (c *channel) endInput(s *scan) {
	s.line(Hit{Channel: c.number, Terminal: c.terminal, At: c.at, In: Input}, c.typed.line)
	c.typed.line = c.typed.line[:0]
}

// lastInput has what was sent and had no end.
func (c *channel) lastInput(s *scan) {
	c.endInput(s)
	for _, pane := range slices.Sorted(maps.Keys(c.typed.panes)) {
		c.into(s, pane, []byte("\r"))
	}
}

// into has keys that control mode's send-keys typed into a pane.
func (c *channel) into(s *scan, pane string, keys []byte) {
	for len(keys) > 0 {
		n := bytes.IndexAny(keys, "\r\n")
		end := n >= 0
		if !end {
			n = len(keys)
		}
		if c.typed.panes == nil {
			c.typed.panes = map[string][]byte{}
		}
		line := append(c.typed.panes[pane], keys[:n]...)
		keys = keys[min(n+1, len(keys)):]
		if c.typed.panes[pane] = line; !end && len(line) < maxInput && len(c.typed.panes) <= maxTyped {
			return
		}
		s.line(Hit{Channel: c.number, Pane: pane, Terminal: c.terminal, At: c.at, In: Input}, line)
		delete(c.typed.panes, pane)
	}
}

// maxTyped is of how many panes lines are kept whose ends are still to come.
const maxTyped = 16
