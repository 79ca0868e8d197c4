package screen

import (
	"math"
	"time"
	"unicode/utf8"
)

// Kind says why a line stands in a transcript.
type Kind uint8

// The kinds of lines.
const (
	Kept      Kind = iota // it scrolled off, or stands at the end
	Erased                // it stood there to be read and was erased or overwritten, or a program's own screen closed
	Concealed             // it stood in a control string, which most terminals hide and some show
	Redrawn               // a look of a line whose numbers and drawings change, again and again
	Returned              // it was told when it left at the top, came back as it was since the screen grew, and stood there again
	Written               // it was written, and terminals differ about whether it stood: they erase and move otherwise
	Note                  // it stood nowhere, but was told beside the screen
)

// String returns the kind's name as it stands in exports.
func (k Kind) String() string {
	switch k {
	case Erased:
		return "erased"
	case Concealed:
		return "concealed"
	case Redrawn:
		return "redrawn"
	case Returned:
		return "returned"
	case Written:
		return "as written"
	case Note:
		return "note"
	}
	return "kept"
}

// Stands is the time when a line goes that was told before it went.
const Stands = time.Duration(math.MaxInt64)

// Line is one line of a transcript: a line as its program wrote it, which may
// have been wrapped over several rows.
type Line struct {
	At   time.Duration // since when it could be read as it stands here
	Gone time.Duration // when it went: was erased or scrolled off, or all ended
	Kind Kind
	// Title says that it is one of a window, which shows until the next one, of this
	// screen, is told. It is Concealed the first time, and then Returned.
	Title bool
	Text  []byte // UTF-8 without controls or blanks at its end; valid until emit returns
	came  []came // since when parts of it stood there; nil if all came at At

	flashes bool          // words of it came and went before At
	first   time.Duration // since then
}

// came says since when the text up to a place stood.
type came struct {
	end int
	at  time.Duration
}

// Flashed reports whether words of it came and went before a time, each time too shortly
// to be told, though they weren't there all the while.
func (l Line) Flashed(at time.Duration) bool { return l.flashes && l.first < at }

// Since is when the first of it came, or came and went.
func (l Line) Since() time.Duration {
	since := l.At
	for _, c := range l.came {
		since = min(since, c.at)
	}
	if l.flashes {
		since = min(since, l.first)
	}
	return since
}

// Before returns the line as it stood until a time, while more was still to come:
// blanks where that is. ok says that something did.
func (l Line) Before(at time.Duration) (was Line, ok bool) {
	last := time.Duration(-1)
	late := false
	for _, c := range l.came {
		if c.at < at {
			last = max(last, c.at)
		} else {
			late = true
		}
	}
	switch {
	case len(l.came) == 0 && l.At >= at, len(l.came) > 0 && last < 0:
		return Line{}, false
	case !late && l.At < at:
		return l, true
	}
	text, from := make([]byte, 0, len(l.Text)), 0
	for _, c := range l.came {
		end := min(c.end, len(l.Text))
		switch part := l.Text[from:end]; {
		case c.at < at:
			text = append(text, part...)
		default:
			for range utf8.RuneCount(part) {
				text = append(text, ' ')
			}
		}
		from = end
	}
	l.At, l.Text, l.came = min(l.At, last), trimRight(text), nil
	return l, true
}

// build is a line that is put together.
type build struct {
	text []byte
	came []came
	at   time.Duration
}

func (b *build) reset() { b.text, b.came, b.at = b.text[:0], b.came[:0], 0 }

// pad adds blanks.
func (b *build) pad(n int) {
	for ; n > 0; n-- {
		b.text = append(b.text, ' ')
	}
}

// step says since when what was added stands there.
func (b *build) step(at time.Duration) {
	if n := len(b.came); n > 0 && b.came[n-1].at == at {
		b.came[n-1].end = len(b.text)
		return
	}
	b.came = append(b.came, came{len(b.text), at})
}

// steps is what a line of a time has to say of when its parts came.
func (b *build) steps(at time.Duration) []came {
	if len(b.came) == 1 && b.came[0].at == at {
		return nil
	}
	return b.came
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}
