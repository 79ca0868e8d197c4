package logbook

import (
	"context"
	"errors"
	"testing"

	"entry/audit"
)

func TestLog(t *testing.T) {
	t.Parallel()
	var l Log
	var saw []audit.Type
	l.Before(func(e audit.Event) { saw = append(saw, e.Type) })
	l.Refuse(func(e audit.Event) bool { return e.Type == audit.LoginFailed })
	if err := l.Append(t.Context(), audit.Event{Type: audit.SessionStarted}, audit.Event{Type: audit.LoginFailed}); !errors.Is(err, ErrFull) || l.Mark() != 0 {
		t.Errorf("%v, and %d events are kept", err, l.Mark())
	}
	l.Refuse(nil)
	broken := errors.New("broken")
	l.Break(broken)
	if err := l.Append(t.Context(), audit.Event{Type: audit.LoginFailed}); !errors.Is(err, broken) || l.Mark() != 0 {
		t.Errorf("%v, and %d events are kept", err, l.Mark())
	}
	l.Break(nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Append(ended, audit.Event{Type: audit.LoginFailed}); !errors.Is(err, context.Canceled) || l.Mark() != 0 {
		t.Errorf("%v, and %d events are kept", err, l.Mark())
	}
	for _, reason := range []string{"one", "two"} {
		if err := l.Append(t.Context(), audit.Event{Type: audit.LoginFailed, Reason: reason}); err != nil {
			t.Fatal(err)
		}
	}
	if len(saw) != 6 {
		t.Errorf("saw %q", saw)
	}
	if e := l.Await(t, audit.LoginFailed, ""); e.Reason != "two" {
		t.Errorf("%+v isn't the latest", e)
	}
	if e := l.Await(t, audit.LoginFailed, "one"); e.Reason != "one" || len(l.All(audit.SessionStarted)) != 0 || len(l.All()) != 2 {
		t.Errorf("%+v of %+v", e, l.All())
	}
	l.Want(t, 1, "login.failed two")
	select {
	case <-l.Failed():
		t.Error("it failed by itself")
	default:
	}
	l.Fail()
	<-l.Failed()
}
