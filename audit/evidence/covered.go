package evidence

import (
	"fmt"
	"io"

	"entry/audit/plain"
	"entry/session/recording"
)

// Covered sums up channels by how much of them is kept. The zero value is empty.
type Covered struct {
	// Kept are the sealed bytes of sessions' recordings, by ID, as far as they are here.
	Kept map[string]int64

	sums    map[recording.Coverage]*coveredSum
	partial []string
	masked  recording.Missing // in all the channels of masking
	masking int
	beside  int64 // what targets said in all the channels of saying
	saying  int
}

// coveredSum is of one coverage.
type coveredSum struct {
	channels int
	lost     int // of them, those of which nobody counted the bytes
	sessions map[string]bool
	down, up int64
}

// Add adds a channel of the log that is called so; "" where there is one log.
func (s *Covered) Add(log string, c Channel) {
	sum := s.sums[c.Coverage]
	if sum == nil {
		sum = &coveredSum{sessions: map[string]bool{}}
		if s.sums == nil {
			s.sums = map[recording.Coverage]*coveredSum{}
		}
		s.sums[c.Coverage] = sum
	}
	sum.channels++
	if c.Uncounted {
		sum.lost++
	}
	sum.sessions[c.Session] = true
	sum.down, sum.up = sum.down+c.Down, sum.up+c.Up
	if c.Beside > 0 {
		s.saying++
		s.beside += c.Beside
	}
	if c.Coverage == recording.Partial {
		line := partialLine(c, s.Kept[c.Session])
		if log != "" {
			line += ", log " + plain.Word(log)
		}
		s.partial = append(s.partial, line)
	} else if len(c.Missing) > 0 {
		s.masking++
		for _, m := range c.Missing {
			s.masked = recording.Missing{Why: m.Why, Stream: m.Stream, Bytes: s.masked.Bytes + m.Bytes, Lines: s.masked.Lines + m.Lines}
		}
	}
}

// Tell writes a table of the sums, and under it what is missing of which channels.
func (s *Covered) Tell(w io.Writer) error {
	t := plain.NewTable(w)
	t.Row("COVERAGE", "CHANNELS", "SESSIONS", "DOWN", "UP")
	lost := 0
	for _, c := range append(recording.Coverages(), "") {
		name := string(c)
		if name == "" {
			name = "open"
		}
		sum := s.sums[c]
		if sum == nil {
			sum = &coveredSum{}
		}
		down, up := plain.Size(sum.down), plain.Size(sum.up)
		if sum.lost > 0 && sum.lost == sum.channels {
			down, up = "-", "-"
		}
		t.Row(name, fmt.Sprint(sum.channels), fmt.Sprint(len(sum.sessions)), down, up)
		lost += sum.lost
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var lines []string
	if lost > 0 {
		lines = append(lines, "DOWN and UP leave out what was cut off, "+plain.Count(lost, "channel")+": nobody was left to count")
	}
	if s.masking > 0 {
		lines = append(lines, fmt.Sprintf("in %s %s", plain.Count(s.masking, "recorded channel"), s.masked))
	}
	if s.saying > 0 {
		lines = append(lines, fmt.Sprintf("in %s targets said %s beside the files: words and names, which no manifest has", plain.Count(s.saying, "transfer"), plain.Size(s.beside)))
	}
	if len(s.partial) > 0 {
		lines = append(append(lines, "partial:"), s.partial...)
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// partialLine names a channel of which something is missing. The recording of its
// session has so many bytes, 0 where that isn't known.
func partialLine(c Channel, kept int64) string {
	number := ""
	if c.Number != nil {
		number = fmt.Sprintf(" channel %d", *c.Number)
	}
	words := recording.Describe("", c.Missing)
	if c.Uncounted && kept > 0 {
		words += "; its session's recording has " + plain.Size(kept) + ", sealed"
	}
	return fmt.Sprintf("  %s%s, %s on %s, %s%s", c.Session, number, plain.Word(c.User), plain.Word(c.Target), plain.Time(c.Closed), plain.Line(words))
}
