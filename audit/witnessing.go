//go:build linux

package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// witness is the writer's side of the witness directory.
type witness struct {
	kept
	path   string
	parent *os.File
	disk   disk
}

// openWitness opens, and for a new log or a newly configured witness makes, the
// file of checkpoints. The directory itself is made only for a new log: where
// it is missing later on, the other disk is more likely not mounted.
func (l *Log) openWitness(dir string, fresh bool) (w *witness, started bool, err error) {
	if fresh && !l.still {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, false, err
		}
	}
	root, err := os.OpenRoot(dir)
	if l.still && fresh && errors.Is(err, os.ErrNotExist) {
		root, err = nowhere()
	}
	if err != nil {
		return nil, false, err
	}
	defer root.Close()
	a, err := l.dir.Stat(".")
	if err != nil {
		return nil, false, err
	}
	b, err := root.Stat(".")
	if err != nil {
		return nil, false, err
	}
	if os.SameFile(a, b) {
		return nil, false, errors.New("it is the log's own directory")
	}
	w = &witness{disk: l.disk}
	if w.parent, err = root.Open("."); err != nil {
		return nil, false, err
	}
	_, err = root.Stat(witnessName)
	started = errors.Is(err, os.ErrNotExist)
	w.File, err = l.openFile(root, witnessName, os.O_CREATE)
	if err == nil && started && !l.still {
		err = l.disk.sync(w.parent, false)
	}
	if err == nil {
		w.path, err = filepath.Abs(filepath.Join(dir, witnessName))
	}
	if err != nil {
		w.close()
		return nil, false, err
	}
	return w, started, nil
}

// add makes one more signed checkpoint durable.
func (w *witness) add(signed []byte) error {
	err := w.disk.write(w.File, signed)
	switch {
	case err == nil:
	case !noSpace(err):
		return fmt.Errorf("write witness: %w", err)
	default:
		if cerr := w.Truncate(w.content.Size()); cerr != nil {
			return fmt.Errorf("write witness: %v, and what was written can't be taken back: %w", err, cerr)
		}
		return fmt.Errorf("%w: %w", errUnwitnessed, err)
	}
	w.content.Wrote(signed)
	if err := w.disk.sync(w.File, true); err != nil {
		return fmt.Errorf("sync witness: %w", err)
	}
	return nil
}

func (w *witness) close() {
	if w == nil {
		return
	}
	for _, f := range []*os.File{w.File, w.parent} {
		if f != nil {
			_ = f.Close() // every write was synced, or the log has failed
		}
	}
}
