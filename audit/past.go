//go:build linux

package audit

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
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
		k, err := KeysOf(key, nil)
		if err != nil {
			return nil, fmt.Errorf("%s holds no public key of the log beside it", filepath.Join(dir, publicName))
		}
		p := &Past{dir: dir}
		if root, err := os.OpenRoot(dir); err == nil {
			c, all, err := readSigned(root, key)
			if err == nil { // it may be what was lost
				p.size = c.size
			}
			if all != nil {
				k = all
			}
			_ = root.Close() // only read
		}
		p.name = k.LogName()
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
	roots, err := RootsAt(p.dir, size)
	if Told(err) {
		return at, false, nil
	}
	if err != nil {
		return at, false, err
	}
	return Position{Size: size, Root: roots[0]}, true, nil
}

// Since yields the events after the first size lines. Errors are as Read's.
func (p *Past) Since(size uint64) iter.Seq2[Event, error] { return readAfter(p.dir, size, false) }
