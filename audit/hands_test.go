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
			var l *Log
			room, none := 0, false // how many in hand are too many; nothing can be opened
			l, err := open(p.dir, p.options(), watchedDisk{ask: func(step) error { return nil }, files: func() error {
				if none || l != nil && len(l.hands) > room {
					return errno
				}
				return nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			room = inHand
			mustAppend(t, l, Event{Type: ServerStarted})
			for room = inHand - 1; room >= 0; room-- { // each had to be given up for it
				mustAppend(t, l, Event{Type: LoginSucceeded, User: "alice"})
			}
			none = true
			for range 3 {
				if err := l.Append(t.Context(), Event{Type: LoginFailed}); !errors.Is(err, ErrFull) || !errors.Is(err, errno) {
					t.Fatalf("Append: %v", err)
				}
			}
			if isClosed(l.Failed()) {
				t.Fatal("the log has failed for good")
			}
			none, room = false, inHand
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
