package session

import (
	"bytes"
	"regexp"
	"time"

	"entry/session/recording"
)

// What comes into a terminal whose input isn't kept may be somebody's typing, of
// which programs show what matters, or a file. So much of it is typing.
const (
	typedAtOnce = 4 << 10         // bytes: some pasted lines
	typedPace   = 64              // bytes a second, that make room for as much again
	typedPause  = 2 * time.Second // after which whatever comes is something else
)

// report is what a mouse or a cursor key that is held down sends, dozens of times a
// second. xterm's control sequences, "Mouse Tracking" and "PC-Style Function Keys".
var report = regexp.MustCompile(`\x1b(\[<(0|[1-9][0-9]{0,2});([1-9][0-9]{0,3});([1-9][0-9]{0,3})([Mm])|[\[O][A-D])`)

// What a report counts, so that more can't be told by them than by as many bytes.
const (
	nearReport = 1 // a key, or the mouse within reportReach of its place before: one of at most 242
	farReport  = 5 // any other: below 2^37
	// reportReach is how many cells away a mouse is near, each way.
	reportReach = 5
)

// mouse is what a report says of one.
type mouse struct{ button, x, y int }

// reports is how many bytes fewer than it has p counts for the reports in it.
func (y *typing) reports(p []byte) (fewer int) {
	number := func(at, end int) int {
		n := 0
		for _, c := range p[at:end] {
			n = 10*n + int(c-'0')
		}
		return n
	}
	for _, at := range report.FindAllSubmatchIndex(p, -1) {
		counts := nearReport
		if at[4] >= 0 {
			now := mouse{number(at[4], at[5]), number(at[6], at[7]), number(at[8], at[9])}
			if was := y.mouse; now.button != was.button || max(now.x-was.x, was.x-now.x, now.y-was.y, was.y-now.y) > reportReach {
				counts = farReport
			}
			y.mouse = now
		}
		fewer += at[1] - at[0] - counts
	}
	return fewer
}

// typing tells what a person may type and paste from what programs send.
type typing struct {
	last time.Time // something came
	full time.Time // there will be room for typedAtOnce again
	over bool      // the piece is more than anybody types

	mouse mouse // as the last report of it has it
}

// take reports whether p, which comes now, begins something else than what came
// before, and whether it is more than a person types.
func (y *typing) take(p []byte, now time.Time) (begins, over bool) {
	begins = !now.Before(y.full) || now.Sub(y.last) >= typedPause
	n := len(p)
	if bytes.IndexByte(p, esc) >= 0 {
		n -= y.reports(p)
	}
	const most = typedAtOnce * time.Second / typedPace
	y.last = now
	if y.full.Before(now) {
		y.full = now
	}
	y.full = y.full.Add(time.Duration(n) * time.Second / typedPace)
	if over = y.full.Sub(now) > most; over {
		y.full = now.Add(most)
	}
	return begins, over
}

// typed counts and digests p, input to a terminal, as far as nobody types so: all of
// it from where it began, so that a file's digest is the file's. Of what somebody may
// have typed nothing stays, a password least of all.
func (t *tap) typed(p []byte) error {
	begins, over := t.typing.take(p, time.Now())
	if begins {
		if err := t.rest(); err != nil {
			return err
		}
	}
	t.piece.open, t.piece.why = true, typedOmitted
	n := t.piece.add(p)
	switch {
	case t.typing.over:
		t.lost.add(recording.Input, typedOmitted, n)
	case over:
		t.typing.over = true
		t.lost.add(recording.Input, typedOmitted, t.piece.bytes)
	}
	return nil
}

// rest ends a piece of input to a terminal: it is recorded as left out, or forgotten.
func (t *tap) rest() error {
	if !t.typing.over {
		t.piece = piece{}
		return nil
	}
	t.typing.over = false
	return t.resume()
}
