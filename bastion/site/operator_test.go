//go:build linux

package site

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// A verb that works in the server's place must not leave files that the
// server's account can't open.
func TestOwnAccount(t *testing.T) {
	dir := t.TempDir()
	if err := ownAccount(dir, os.Geteuid()); err != nil {
		t.Errorf("its owner is refused: %v", err)
	}
	err := ownAccount(dir, os.Geteuid()+1)
	if err == nil || !strings.HasPrefix(err.Error(), "no server is running, and its files belong to account ") {
		t.Fatalf("another account: %v", err)
	}
	var e *Error
	if !errors.As(err, &e) || !e.Misused() || !strings.Contains(e.Hint(), "start the server first") {
		t.Errorf("%+v", e)
	}
}
