package bastion_test

import (
	"testing"

	"entry/audit"
)

func TestJump(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	inner := c.jump("home")
	out, _, err := run(t, inner, "say hello")
	if out != "hello" || exitStatus(err) != 3 {
		t.Fatalf("%q, %v", out, err)
	}
	inner.Close()
	start, end := s.log.await(t, audit.SessionStarted, ""), s.log.await(t, audit.SessionEnded, "")
	login := s.log.await(t, audit.LoginSucceeded, "")
	if start.Conn != login.Conn || start.Session != end.Session || start.Recording == nil || start.Recording.Header == "" ||
		end.Recording == nil || end.Recording.Segments == 0 || end.Reason != "closed" || start.Login != "worker" || start.AskedLogin != "whoever" {
		t.Errorf("login, session and recording don't bind:\n%+v\n%+v\n%+v", login, start, end)
	}
}
