package play

import "time"

// Key is what the reader of a replay asks for.
type Key int

// The keys. ParseKeys says what is typed for them.
const (
	Pause   Key = iota + 1
	Step        // one frame on
	Forward     // ten seconds
	Back        // ten seconds
	Further     // a minute
	FurtherBack
	Home // the start
	Faster
	Slower
	ViewLeft
	ViewRight
	ViewUp
	ViewDown
	Follow // the view goes with the cursor again
	Quit
)

// ParseKeys returns the keys among the bytes that a terminal sent.
func ParseKeys(b []byte) []Key {
	var keys []Key
	for len(b) > 0 {
		n := 1
		if b[0] == 0x1b && len(b) >= 3 && (b[1] == '[' || b[1] == 'O') {
			n = 3
		}
		if k, ok := typed[string(b[:n])]; ok {
			keys = append(keys, k)
		}
		b = b[n:]
	}
	return keys
}

var typed = map[string]Key{
	" ": Pause, ".": Step, "\x1b[C": Forward, "\x1bOC": Forward, "\x1b[D": Back, "\x1bOD": Back, "\x1b[A": Further, "\x1bOA": Further, "\x1b[B": FurtherBack, "\x1bOB": FurtherBack,
	"0": Home, "\x1b[H": Home, "\x1bOH": Home, "+": Faster, "=": Faster, "-": Slower,
	"h": ViewLeft, "l": ViewRight, "k": ViewUp, "j": ViewDown, "f": Follow, "q": Quit, "\x03": Quit,
}

// keys does what the reader's keys say.
func (p *player) keys() error {
	for _, k := range p.o.View.Keys() {
		switch k {
		case Quit:
			return errQuit
		case Pause:
			p.paused = !p.paused
		case Step:
			p.paused, p.step = true, true
		case Forward:
			p.seek(10 * time.Second)
		case Back:
			p.seek(-10 * time.Second)
		case Further:
			p.seek(time.Minute)
		case FurtherBack:
			p.seek(-time.Minute)
		case Home:
			p.seek(-p.now)
		case Faster:
			p.o.Speed = min(p.o.Speed*2, 1024)
		case Slower:
			p.o.Speed = max(p.o.Speed/2, 1.0/16)
		default:
			p.view.move(k)
		}
	}
	return nil
}

// seek goes on from another moment.
func (p *player) seek(by time.Duration) {
	if by < 0 && p.o.Again == nil {
		p.tell("this recording can't go back")
		return
	}
	p.o.From = max(0, p.now+by)
	p.back = p.back || by < 0
	p.live = false
}
