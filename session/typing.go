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
// second: it counts as one byte. xterm's control sequences, "Mouse Tracking" and
// "PC-Style Function Keys".
var report = regexp.MustCompile(`\x1b(\[<[0-9]{1,3};[0-9]{1,4};[0-9]{1,4}[Mm]|[\[O][A-D])`)

// typing tells what a person may type and paste from what programs send.
type typing struct {
	last time.Time // something came
	full time.Time // there will be room for typedAtOnce again
	over bool      // the piece is more than anybody types
}

// take reports whether p, which comes now, begins something else than what came
// before, and whether it is more than a person types.
func (y *typing) take(p []byte, now time.Time) (begins, over bool) {
	begins = !now.Before(y.full) || now.Sub(y.last) >= typedPause
	n := len(p)
	if bytes.IndexByte(p, esc) >= 0 {
		for _, at := range report.FindAllIndex(p, -1) {
			n -= at[1] - at[0] - 1
		}
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
