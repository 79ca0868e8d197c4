//go:build linux

package spool

import (
	"strings"
	"sync"
	"syscall"

	"entry/session/recording"
)

// faulty is a disk that fails as it is told.
type faulty struct {
	disk
	mu     sync.Mutex
	write  func(f file, p []byte) (int, error) // instead of a .rec file's Write
	sync   func() error                        // before syncAll
	fsync  func() error                        // before a .rec file's Sync
	frees  int64                               // 0 means the truth
	full   bool                                // lists find no room beyond what they allocated
	sparse bool                                // allocate does nothing, as on some file systems
	starts func(name string) error
}

func (d *faulty) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *faulty) create(name string) (file, error) {
	d.mu.Lock()
	starts := d.starts
	d.mu.Unlock()
	if starts != nil {
		if err := starts(name); err != nil {
			return nil, err
		}
	}
	f, err := d.disk.create(name)
	if err != nil || !strings.HasSuffix(name, recording.Ext) {
		return f, err
	}
	return &faultyFile{file: f, d: d}, nil
}

func (d *faulty) syncAll() error {
	d.mu.Lock()
	sync := d.sync
	d.mu.Unlock()
	if sync != nil {
		if err := sync(); err != nil {
			return err
		}
	}
	return d.disk.syncAll()
}

func (d *faulty) free() (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frees != 0 {
		return d.frees, nil
	}
	return d.disk.free()
}

func (d *faulty) list(name string) (listFile, int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return nil, 0, syscall.ENOSPC
	}
	f, size, err := d.disk.list(name)
	return &faultyList{listFile: f, d: d, size: size, allocated: size}, size, err
}

// faultyList has its own account of what was allocated.
type faultyList struct {
	listFile
	d               *faulty
	size, allocated int64
}

func (f *faultyList) allocate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	switch {
	case f.d.sparse:
		return nil
	case f.d.full:
		return syscall.ENOSPC
	}
	f.allocated = max(f.allocated, size)
	return f.listFile.allocate(size)
}

// Write writes what has room, which may be a part of p.
func (f *faultyList) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	full := f.d.full
	f.d.mu.Unlock()
	fits := len(p)
	if full {
		fits = int(min(int64(len(p)), max(0, f.allocated-f.size)))
	}
	n, err := f.listFile.Write(p[:fits])
	f.size += int64(n)
	if err == nil && n < len(p) {
		err = syscall.ENOSPC
	}
	return n, err
}

type faultyFile struct {
	file
	d *faulty
}

func (f *faultyFile) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	write := f.d.write
	f.d.mu.Unlock()
	if write != nil {
		return write(f.file, p)
	}
	return f.file.Write(p)
}

func (f *faultyFile) Sync() error {
	f.d.mu.Lock()
	fsync := f.d.fsync
	f.d.mu.Unlock()
	if fsync != nil {
		if err := fsync(); err != nil {
			return err
		}
	}
	return f.file.Sync()
}
