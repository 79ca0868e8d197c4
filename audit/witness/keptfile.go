package witness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"entry/audit/names"
)

func keysOf(peers ...*Peer) (keys []note.Verifier) {
	for _, p := range peers {
		keys = append(keys, p.verifier)
	}
	return keys
}

// errGone says that the file isn't where it was.
var errGone = errors.New("it was moved or removed")

// keptFile is the file of cosigned checkpoints, as the log's server writes it.
type keptFile struct {
	*os.File
	path string
	size int64 // of its whole entries
	long int64 // from this size on it is thinned
}

// openKept opens the file in dir, and cuts off what a crash left of an entry.
func openKept(dir string) (_ *keptFile, err error) {
	path := filepath.Join(dir, CosignedName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	k := &keptFile{File: f, path: path, long: thinAt}
	err = each(f, func(e entry) error { k.size = e.end; return nil })
	if err == nil {
		err = f.Truncate(k.size)
	}
	if err == nil {
		err = names.Sync(dir) // it may be new
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return k, nil
}

// add makes a checkpoint with the lines of those who cosigned it durable. What failed
// is cut off again, or written over.
func (k *keptFile) add(checkpoint []byte, lines []string) error {
	there, err := os.Stat(k.path)
	mine, merr := k.Stat()
	if err != nil || merr != nil || !os.SameFile(there, mine) {
		return fmt.Errorf("write %s: %w", CosignedName, errGone)
	}
	text := string(checkpoint) + strings.Join(lines, "")
	if _, err := k.WriteAt([]byte(text), k.size); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", CosignedName, err), k.Truncate(k.size))
	}
	if err := k.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", CosignedName, err)
	}
	k.size += int64(len(text))
	return nil
}
