//go:build linux

package audit

import (
	"errors"
	"syscall"
	"testing"
)

// TestNoFilesIsNotFinal lets no further file be opened, by the process or the machine. A
// user who had as many open as the process may once ended the log, and the server: it
// gives up files that it has in hand, and without any only says that there is no room.
func TestNoFilesIsNotFinal(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE} {
		t.Run(errno.Error(), func(t *testing.T) {
			p := newPlace(t)
			left := 0 // so many have to be given up before one can be opened
			l, err := open(p.dir, p.options(), watchedDisk{ask: func(step) error { return nil }, files: func() error {
				if left == 0 {
					return nil
				}
				left--
				return errno
			}})
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, Event{Type: ServerStarted})
			for n := 1; n <= inHand; n++ {
				left = n
				mustAppend(t, l, Event{Type: LoginSucceeded, User: "alice"})
			}
			for left = 1 << 20; left > 1<<20-3*(inHand+1); {
				if err := l.Append(t.Context(), Event{Type: LoginFailed}); !errors.Is(err, ErrFull) || !errors.Is(err, errno) {
					t.Fatalf("Append: %v", err)
				}
			}
			if isClosed(l.Failed()) {
				t.Fatal("the log has failed for good")
			}
			left = 0
			mustAppend(t, l, Event{Type: ServerStopped})
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if rep, err := p.verify(); err != nil || rep.Events != inHand+2 || rep.Witnessed != rep.Events {
				t.Errorf("%+v, %v", rep, err)
			}
		})
	}
}
