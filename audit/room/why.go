//go:build linux

package room

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// least is what anything at all needs: a page of a database's log with its index.
const least = 64 << 10 // bytes

// Why says in words, with what to do, why nothing can be written to the file system
// that what is called path lies on; "" where that isn't what is wrong.
func Why(path string) string { return Short(path, least) }

// Short is Why for who needs that many bytes.
func Short(path string, bytes int64) string {
	var st syscall.Statfs_t
	if syscall.Statfs(path, &st) != nil {
		return ""
	}
	size := uint64(st.Bsize) // the fields' types differ between architectures
	free := of(uint64(st.Blocks)*size, uint64(st.Bavail)*size, st.Files, st.Ffree)
	switch {
	case st.Flags&syscall.MS_RDONLY != 0:
		return path + " is on a read-only file system: mount it writable (the kernel's log says if the disk failed), then try again"
	case free.Bytes < least:
		return fmt.Sprintf("no space left on the disk of %s, where %s: free some, then try again", path, free)
	case free.Bytes < bytes:
		return fmt.Sprintf("too little space on the disk of %s, where %s of the %d to be kept: free some, then try again", path, free, bytes)
	}
	return ""
}

// Refused is Why for a call on path that ended with err: also of what the file system
// as a whole doesn't show, a quota or a folder of another account's.
func Refused(path string, err error) string {
	if why := Why(path); why != "" {
		return why
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "no space left for " + path + ": free some, or raise the quota, then try again"
	case errors.Is(err, syscall.EROFS):
		return path + " is on a read-only file system: mount it writable, then try again"
	case errors.Is(err, os.ErrPermission):
		return "this account may not write " + path + ": run this as the server's account, or give it the folder"
	}
	return ""
}
