//go:build linux

package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Past is a log before the one that is open, which began anew because that can't go
// on. It is read as far as it can be, and proves nothing.
type Past struct {
	dir, name string
	size      uint64
}

// past are the logs before the one in dir, the first first.
func past(dir string) ([]*Past, error) {
	var out []*Past
	for _, dir := range Before(dir) {
		key, err := ReadKey(filepath.Join(dir, publicName))
		if err != nil {
			return nil, fmt.Errorf("read whose log it is that was before this one: %w", err)
		}
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("%s holds no public key of the log beside it", filepath.Join(dir, publicName))
		}
		p := &Past{dir: dir, name: nameOf(v)}
		if root, err := os.OpenRoot(dir); err == nil {
			if c, err := readCheckpoint(root, v); err == nil { // it may be what was lost
				p.size = c.size
			}
			_ = root.Close() // only read
		}
		out = append(out, p)
	}
	return out, nil
}

// Name is as Log's.
func (p *Past) Name() string { return p.name }

// Size is how many records were acknowledged, 0 where that isn't known.
func (p *Past) Size() uint64 { return p.size }

// At is as Log's.
func (p *Past) At(size uint64) (at Position, ok bool, err error) {
	f, _, err := openEvents(p.dir)
	if err != nil {
		return at, false, err
	}
	defer f.Close()
	var t tree
	for lines := newLineReader(bufio.NewReader(f)); t.size < size; {
		line, err := lines.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errCut), errors.Is(err, errLong):
			return at, false, nil
		case err != nil:
			return at, false, fmt.Errorf("read %s: %w", eventsName, err)
		}
		t.add(tlog.RecordHash(line), nil)
	}
	return Position{Size: size, Root: t.root()}, true, nil
}

// Since yields the events after the first size lines. A line that isn't an event is
// yielded as a *BadRecord, and reading goes on after it.
func (p *Past) Since(size uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		n := uint64(0)
		for e, err := range Read(p.dir) {
			if n++; n > size && !yield(e, err) {
				return
			}
		}
	}
}

// LogName is what Log.Name says of the log with this public key.
func LogName(public string) (string, error) {
	v, err := note.NewVerifier(public)
	if err != nil {
		return "", errors.New("the log's public key is malformed")
	}
	return nameOf(v), nil
}
