package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Kind says what a frame holds.
type Kind uint8

// The kinds of frames. The numbers are part of the format.
const (
	Output   Kind = 1 // bytes the target wrote to standard output
	Error    Kind = 2 // bytes the target wrote to standard error
	Input    Kind = 3 // bytes the user typed; only in recordings whose header says so
	Resize   Kind = 4 // a Size
	Request  Kind = 5 // a ChannelRequest, or an opened or closed channel, as JSON
	Exit     Kind = 6 // an ExitStatus as JSON
	Transfer Kind = 7 // a JSON object standing for payload that isn't kept
	Gap      Kind = 8 // text: why something is missing from here on
)

// String returns the kind's name as it stands in design and exports.
func (k Kind) String() string {
	switch k {
	case Output:
		return "output"
	case Error:
		return "error"
	case Input:
		return "input"
	case Resize:
		return "resize"
	case Request:
		return "request"
	case Exit:
		return "exit"
	case Transfer:
		return "transfer"
	case Gap:
		return "gap"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Valid reports whether k is one of the constants above.
func (k Kind) Valid() bool { return k >= Output && k <= Gap }

// Stream reports whether frames of this kind are pieces of a byte stream, so
// that a long one may be cut into several.
func (k Kind) Stream() bool { return k == Output || k == Error || k == Input }

// Frame is one recorded fact.
type Frame struct {
	At      time.Duration // since the recording's Start, in whole microseconds
	Channel uint32        // the SSH session channel, numbered by the recorder's caller
	Kind    Kind
	Data    []byte // valid until the next call of Next
}

const (
	MaxFrame      = 2 << 20        // bytes of one frame's Data; an SSH packet holds 256 KiB, JSON escapes make at most six times that
	FrameOverhead = 10 + 5 + 1 + 5 // bytes that a frame takes beside its Data, at most
)

var errFrame = errors.New("malformed frame")

// AppendFrame appends the encoding of one frame to b; delta is the time since
// the frame before in µs. p has at most MaxFrame bytes.
func AppendFrame(b []byte, delta uint64, k Kind, channel uint32, p []byte) []byte {
	b = binary.AppendUvarint(b, delta)
	b = binary.AppendUvarint(b, uint64(channel))
	b = append(b, byte(k))
	b = binary.AppendUvarint(b, uint64(len(p)))
	return append(b, p...)
}

// cutFrame decodes the frame at the start of b and returns what follows it.
// The frame's Data aliases b. Lengths are checked before they are used.
func cutFrame(b []byte) (delta uint64, f Frame, rest []byte, err error) {
	delta, n := binary.Uvarint(b)
	if n <= 0 || delta > uint64(maxDelta/time.Microsecond) {
		return 0, f, nil, fmt.Errorf("%w: time", errFrame)
	}
	b = b[n:]
	channel, n := binary.Uvarint(b)
	if n <= 0 || channel > 1<<32-1 {
		return 0, f, nil, fmt.Errorf("%w: channel", errFrame)
	}
	b = b[n:]
	if len(b) == 0 || !Kind(b[0]).Valid() {
		return 0, f, nil, fmt.Errorf("%w: kind", errFrame)
	}
	k := Kind(b[0])
	b = b[1:]
	length, n := binary.Uvarint(b)
	if n <= 0 || length > MaxFrame || length > uint64(len(b)-n) {
		return 0, f, nil, fmt.Errorf("%w: length", errFrame)
	}
	b = b[n:]
	f = Frame{Channel: uint32(channel), Kind: k, Data: b[:length:length]}
	return delta, f, b[length:], nil
}

// maxDelta bounds the time between two frames, so that sums can't overflow.
const maxDelta = 10 * 365 * 24 * time.Hour
