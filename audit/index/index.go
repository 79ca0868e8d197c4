package index

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/segment"
)

// Options are how an index is kept.
type Options struct {
	Folder string           // that it lies in, made where it isn't there; required
	Now    func() time.Time // nil for time.Now
}

// Index is of one log, for one search after the other. It is an audit.Index. It isn't safe
// for concurrent use; other processes may have one of the same log and folder.
type Index struct {
	folder string
	now    func() time.Time
	db     *database // nil where it can't be gone on with
	hasher hasher
	spans  map[uint64]span
	most   uint64 // records of a chunk

	damaged bool  // something in the database wasn't what was written there
	full    bool  // the disk hasn't room for more
	fault   error // why db is nil

	// Of the part that is read:
	part  segment.Part
	state string // of its file when that was begun with; "" where that can't be told from another one's
	chain []span // what is known of it
	next  *chunk // what is learnt; nil for nothing
}

// Folder is where one's own indexes are: below the folder that the system has for what a
// person's programs keep and can make again. It fails where there is none.
func Folder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Dir(cache)); err != nil { // a home that isn't there isn't made
		return "", err
	}
	return filepath.Join(cache, "entry"), nil
}

// Open opens the index of the log in dir, or begins it. The error says why
// there can be none in the folder.
func Open(dir string, o Options) (*Index, error) {
	x := &Index{folder: o.Folder, now: o.Now, most: chunkLines}
	if x.now == nil {
		x.now = time.Now
	}
	var err error
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	if x.folder, err = filepath.Abs(o.Folder); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(x.folder, 0o700); err != nil {
		return nil, err
	}
	if err := own(x.folder); err != nil {
		return nil, err
	}
	key, err := keyIn(x.folder)
	if err != nil {
		return nil, err
	}
	x.hasher = newHasher(key)
	name := sha256.Sum256([]byte(dir))
	path := filepath.Join(x.folder, hex.EncodeToString(name[:12])+".db")
	if x.db, x.damaged, err = openDatabase(path, newSealer(key, dir)); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	var others []uint64
	if x.spans, others, err = x.db.spans(); err != nil {
		x.fail(err)
	}
	for _, first := range others {
		x.damaged = true
		if err := x.db.drop(first); err != nil {
			x.fail(err)
			break
		}
	}
	return x, nil
}

// keyIn is the key in the folder, which is made where there is none.
func keyIn(folder string) ([]byte, error) {
	const size = 32 // bytes
	path := filepath.Join(folder, "key")
	for range 2 {
		key, err := readKey(path, size)
		if err == nil && len(key) == size {
			return key, nil
		}
		if err == nil {
			err = os.Remove(path) // it is none
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		key = make([]byte, size)
		_, _ = rand.Read(key) // it never fails
		f, err := os.CreateTemp(folder, "key-")
		if err != nil {
			return nil, err
		}
		_, err = f.Write(key)
		err = errors.Join(err, f.Close())
		if err == nil {
			if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) { // somebody else's counts
				err = nil
			}
		}
		if err := errors.Join(err, os.Remove(f.Name())); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s is no key of an index", path)
}

// readKey reads a file of at most size bytes; nothing of one that is longer, or that isn't
// one's own, which may be somebody's else or have no end.
func readKey(path string, size int64) ([]byte, error) {
	if ours, err := ownFile(path); err != nil || !ours {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	key, err := io.ReadAll(io.LimitReader(f, size+1))
	return key, err
}

// ownFile tells whether path is a regular file, and no link to one, of this user's that
// nobody else may read or write. The error is an fs.ErrNotExist where nothing is there.
func ownFile(path string) (bool, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return false, err
	}
	return info.Mode().IsRegular() && mine(info), nil
}

// same tells whether two MACs are.
func same(a, b []byte) bool { return hmac.Equal(a, b) }

// fail gives the index up for this search. Where its file is at fault, the next one
// begins with another.
func (x *Index) fail(err error) {
	if x.db == nil {
		return
	}
	path := x.db.path
	x.fault = err
	_ = x.Close() // err says what is wrong
	if !busy(err) {
		removeDatabase(path)
	}
}

// Note is what is to be said of the index after a search, "" for nothing.
func (x *Index) Note() string {
	switch {
	case x.fault != nil && busy(x.fault):
		return "the log's index was busy, so the log itself was read"
	case x.fault != nil:
		return "the log's index can't be used, so the log itself was read: " + x.fault.Error()
	case x.damaged:
		return "the log's index wasn't what was written into it: it was made anew where that was so, and the log itself read there"
	case x.full:
		return fmt.Sprintf("the log's index doesn't grow, since the disk of %s has less than %s free", x.folder, plain.Size(leastFree))
	}
	return ""
}

// Close lets go of the files.
func (x *Index) Close() error {
	if x.db == nil {
		return nil
	}
	err := x.db.db.Close()
	x.db = nil
	return err
}

var _ audit.Index = (*Index)(nil)

// Empty tells that it knows nothing of the log yet.
func (x *Index) Empty() bool { return len(x.spans) == 0 }
