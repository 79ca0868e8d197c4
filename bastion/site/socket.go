//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// adminSocketMode lets only the server's own account and root connect.
const adminSocketMode = 0o600

// listenAdmin opens the admin socket for its owner only. A socket that a crash
// left behind is replaced; the writer's lock is held, so no server uses it.
func listenAdmin(path string) (net.Listener, error) {
	fi, err := os.Lstat(path)
	if err == nil && fi.Mode().Type() != fs.ModeSocket {
		return nil, hinted(fmt.Errorf("admin socket: %s is there already and no socket", path), "set admin.socket to a path of its own")
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	// On Linux the file gets the socket's own mode. A umask would do it too, but
	// for everything else that the process makes meanwhile as well.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), adminSocketMode) })
		return errors.Join(err, failed)
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, hinted(fmt.Errorf("admin socket: %w", err), "its folder must exist, and the whole path be under 108 bytes")
	}
	if err := os.Chmod(path, adminSocketMode); err != nil { // a default ACL of the folder may have widened it
		return nil, errors.Join(fmt.Errorf("admin socket: %w", err), l.Close())
	}
	return l, nil
}
