//go:build linux

package site

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The admin socket is private from its first moment, whatever the umask, and
// making it changes no umask for what else the process makes meanwhile.
func TestAdminSocketIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "s")
	for range 2 { // the second replaces what a crash left
		l, err := listenAdmin(path)
		if err != nil {
			t.Fatal(err)
		}
		fi, err := os.Lstat(path)
		if err != nil || fi.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("%v, %v", fi.Mode(), err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if now := syscall.Umask(0); now != 0 {
		t.Errorf("umask %o", now)
	}
}

// A path that is set wrong costs no file.
func TestAdminSocketReplacesOnlySockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.db")
	if err := os.WriteFile(path, []byte("dear data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "dear data" {
		t.Errorf("%q, %v", b, err)
	}
}
