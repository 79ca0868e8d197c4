package session

import (
	"bytes"
	"io"
	"sync/atomic"
	"unicode/utf8"

	"entry/session/fastconn"
)

// outlet is one stream on its way out of entry: what goes through it is
// recorded first, and goes in one order into both.
type outlet struct {
	f    *flow
	w    io.Writer
	sent atomic.Int64 // bytes that w took
	line *line        // of the connection, which counts them too; nil without a backlog

	// turn holds a token while somebody is in Frame or Write, and guards what
	// follows. x/crypto keeps one packet for each stream of a channel, so that
	// two writers would spoil each other's. Who waits here can wait for a peer:
	// with a sync.Mutex, tests could not tell that from work.
	turn chan struct{}

	tap     *tap
	screen  bool   // a terminal, whose latest bytes are in tail
	tail    []byte // at most maxTail
	waiting []byte // lines that came inside an escape sequence
	ended   bool
}

func (f *flow) newOutlet(w io.Writer, t *tap) *outlet {
	o := &outlet{f: f, w: w, tap: t, turn: make(chan struct{}, 1)}
	if f.o.Backlog != nil {
		o.line = &f.o.Backlog.line
	}
	return o
}

// maxTail is where an escape sequence is looked for: terminals' own limits
// are in that range, and few programs send longer ones.
const maxTail = 256 // bytes

// put records p and sends it on, in pieces of fastconn.MaxChunk. An error says
// that the stream can't go on: the recorder failed, which ends the flow, or the
// peer is gone.
func (o *outlet) put(p []byte) error {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	return o.putting(p)
}

// putting is put with the turn held.
func (o *outlet) putting(p []byte) error {
	if err := o.write(p); err != nil || o.waiting == nil || o.inside() {
		return err
	}
	return o.flush()
}

// write is putting, but shows no lines.
func (o *outlet) write(p []byte) error {
	if err := o.tap.keep(p); err != nil {
		o.f.untaken(err)
		return err
	}
	if o.screen {
		o.tail = latest(o.tail, p, maxTail)
	}
	for len(p) > 0 {
		n := min(len(p), fastconn.MaxChunk)
		if _, err := o.w.Write(p[:n]); err != nil {
			return err
		}
		o.took(n)
		p = p[n:]
	}
	return nil
}

// took notes that w has taken n bytes.
func (o *outlet) took(n int) {
	o.sent.Add(int64(n))
	if o.line != nil {
		o.line.sent.Add(int64(n))
	}
}

// flush shows the lines that waited; the turn is held.
func (o *outlet) flush() error {
	p := o.waiting
	o.waiting = nil
	return o.write(p)
}

// say sends entry's own p, unrecorded.
func (o *outlet) say(p []byte) {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	_, _ = o.w.Write(p) // the peer may be gone
}

// show puts a line between what a program shows, as wall(1) does: where the
// program's output stands inside an escape sequence or a character, with what
// comes next.
func (o *outlet) show(line []byte) {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	if o.ended {
		return
	}
	o.waiting = append(o.waiting, line...)
	if !o.inside() {
		_ = o.flush() // the peer may be gone
	}
}

// end records what stands for the bytes that weren't kept. Nothing is shown
// after it.
func (o *outlet) end() {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	if err := o.tap.close(); err != nil {
		o.f.untaken(err)
	}
	o.tap, o.ended = nil, true
}

// latest is the last bytes of tail and then p, at most most of them, in tail's memory.
func latest(tail, p []byte, most int) []byte {
	if len(p) >= most {
		return append(tail[:0], p[len(p)-most:]...)
	}
	if over := len(tail) + len(p) - most; over > 0 {
		tail = append(tail[:0], tail[over:]...)
	}
	return append(tail, p...)
}

// inside reports whether the terminal is within an escape sequence (ECMA-48
// §5.3, §5.4, §5.6) or a character of several bytes.
func (o *outlet) inside() bool {
	if n := len(o.tail); n > 0 && o.tail[n-1] >= utf8.RuneSelf {
		start := n - 1
		for start > max(0, n-utf8.UTFMax) && !utf8.RuneStart(o.tail[start]) {
			start--
		}
		if !utf8.FullRune(o.tail[start:]) {
			return true
		}
	}
	i := bytes.LastIndexByte(o.tail, esc)
	if i < 0 {
		return false
	}
	rest := o.tail[i+1:]
	if len(rest) == 0 {
		return true
	}
	switch body := rest[1:]; rest[0] {
	case '[': // CSI: parameters and intermediates up to a final byte
		return !bytes.ContainsFunc(body, func(c rune) bool { return c >= '@' || c == can || c == sub })
	case ']', 'P', 'X', '^', '_': // OSC, DCS, SOS, PM, APC: up to BEL or ESC \
		return !bytes.ContainsFunc(body, func(c rune) bool { return c == bel || c == can || c == sub })
	default: // nF: intermediates up to a final byte
		return !bytes.ContainsFunc(rest, func(c rune) bool { return c < ' ' || c > '/' })
	}
}

const (
	esc = 0x1b
	bel = 0x07
	can = 0x18
	sub = 0x1a
)
