package audit

import (
	"bufio"
	"errors"
	"io"
)

// errCut is returned for bytes after the last newline.
var errCut = errors.New("is cut short: it has no newline")

// errLong is returned for a line beyond maxLine.
var errLong = errors.New("is longer than any line that the log writes")

// lineReader reads a log line by line in bounded memory.
type lineReader struct {
	r   *bufio.Reader
	off int64 // bytes of the complete lines returned so far
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 2*maxLine)}
}

// next returns the next line without its newline, valid until the next call.
// It returns io.EOF at a clean end, and errCut or errLong with off still at the
// start of the line at fault.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	switch {
	case err == nil && len(line)-1 <= maxLine:
		l.off += int64(len(line))
		return line[:len(line)-1], nil
	case err == nil || errors.Is(err, bufio.ErrBufferFull):
		return nil, errLong
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, errCut
	default:
		return nil, err
	}
}

// skip reads to the end of the line that next refused as too long.
func (l *lineReader) skip() error {
	for {
		p, err := l.r.ReadSlice('\n')
		l.off += int64(len(p))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}
