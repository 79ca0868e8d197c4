//go:build linux

// Package room tells how much may still be written on a file system: bytes, and
// files, of which most have a number that was fixed when they were made. A disk whose
// files have run out is full, whatever bytes it has.
//
// When not to use it: to know that a write will go through. Other programs write, too.
package room

import (
	"fmt"
	"math/bits"
	"os"
	"syscall"
)

// Free is what is left of a file system for somebody who isn't root.
type Free struct {
	// Bytes is the lesser of its free bytes and of its free files, of which each counts
	// as many bytes as the file system has for one of all it can have. A reserve in
	// bytes so is the same part of both.
	Bytes int64
	// few tells that files are the lesser, of which there are so many.
	few   bool
	files uint64
}

// Of measures the file system of dir. The error is a *os.SyscallError.
func Of(dir *os.File) (Free, error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(dir.Fd()), &st); err != nil {
		return Free{}, os.NewSyscallError("fstatfs", err)
	}
	size := uint64(st.Bsize) // the fields' types differ between architectures
	return of(uint64(st.Blocks)*size, uint64(st.Bavail)*size, st.Files, st.Ffree), nil
}

// of is what is free of all bytes and files. A file system that makes files as long as
// it has bytes (btrfs, some of FUSE) has none by its own word.
func of(bytes, free, files, unused uint64) Free {
	if files == 0 || unused >= files {
		return Free{Bytes: int64(free)}
	}
	high, low := bits.Mul64(bytes, unused) // unused < files, so that the quotient is below bytes
	if most, _ := bits.Div64(high, low, files); most < free {
		return Free{Bytes: int64(most), few: true, files: unused}
	}
	return Free{Bytes: int64(free)}
}

// String is f for a person, who has to know of what there is too little.
func (f Free) String() string {
	if f.few {
		return fmt.Sprintf("%d more files (inodes) can be made", f.files)
	}
	return fmt.Sprintf("%d bytes are free", f.Bytes)
}
