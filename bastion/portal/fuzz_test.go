package portal

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// pieces is a connection that gives its bytes a few at a time.
type pieces struct {
	net.Conn
	left []byte
	most int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.most)], p.left)
	p.left = p.left[n:]
	return n, nil
}

// FuzzDeskLines reads any input as lines, as a portal session without a
// terminal does: none is longer than its bound, and none is invented.
func FuzzDeskLines(f *testing.F) {
	for _, s := range []string{"", "one", "one\r\ntwo\n\nthree", "\x00\xff\n\r\n", strings.Repeat("x", maxInputLine+9), strings.Repeat("y", maxInputLine-1) + "\nz"} {
		f.Add([]byte(s), 7)
	}
	f.Fuzz(func(t *testing.T, input []byte, chunk int) {
		if len(input) > 4*maxInputLine {
			return
		}
		rest := input
		d := &desk{in: &pieces{left: input, most: 1 + int(uint(chunk)%4096)}}
		for {
			line, err := d.line()
			if len(line) > maxInputLine || len(d.held) > maxInputLine {
				t.Fatalf("a line of %d bytes, %d held", len(line), len(d.held))
			}
			if err != nil {
				if errors.Is(err, io.EOF) && len(bytes.TrimRight(rest, "\r\n")) != 0 {
					t.Fatalf("%q was lost", rest)
				}
				break
			}
			if !bytes.HasPrefix(rest, []byte(line)) {
				t.Fatalf("line %q isn't the beginning of %q", line, rest)
			}
			rest = bytes.TrimPrefix(bytes.TrimPrefix(rest[len(line):], []byte("\r")), []byte("\n"))
		}
	})
}
