package segment

import (
	"bufio"
	"errors"
	"io"
)

// MaxLine bounds a line, newline excluded, in bytes. A longer one is never held as a whole.
const MaxLine = 128 << 10

// ErrCut is returned for bytes after the last newline.
var ErrCut = errors.New("is cut short: it has no newline")

// ErrLong is returned for a line beyond MaxLine.
var ErrLong = errors.New("is longer than any line that the log writes")

// lines reads one file line by line in bounded memory.
type lines struct {
	r    *bufio.Reader
	off  int64 // bytes of the complete lines returned so far
	long int64 // bytes that were read of the line that next refused as too long
	over bool  // all of them
}

func newLines(r io.Reader) *lines {
	return &lines{r: bufio.NewReaderSize(r, 2*MaxLine)}
}

// next returns the next line without its newline, valid until the next call.
// It returns io.EOF at a clean end, and ErrCut or ErrLong with off still at the
// start of the line at fault.
func (l *lines) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	switch {
	case err == nil && len(line)-1 <= MaxLine:
		l.off += int64(len(line))
		return line[:len(line)-1], nil
	case err == nil || errors.Is(err, bufio.ErrBufferFull):
		l.long, l.over = int64(len(line)), err == nil
		return nil, ErrLong
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, ErrCut
	default:
		return nil, err
	}
}

// skip reads to the end of the line that next refused as too long.
func (l *lines) skip() error {
	l.off += l.long
	for !l.over {
		p, err := l.r.ReadSlice('\n')
		l.off += int64(len(p))
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		l.over = err == nil
	}
	return nil
}
