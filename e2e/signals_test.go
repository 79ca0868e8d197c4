package e2e

import (
	"context"
	"errors"
	"io"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// TestSignals sends and receives signals and breaks, which OpenSSH's client
// has few words for.
func TestSignals(t *testing.T) {
	beside(t)
	s := initSite(t)
	addr, hostKey := startTarget(t, testkit.ReadFile(t, s.path("keys", "user_ca.pub")), signalled)
	s.setPolicy([]string{"alice"}, []string{testkit.TargetLine("home", addr, hostKey, "default_login: worker")}, recordAll())
	s.serve()
	alice := s.enrolled("alice")
	c, err := s.dialAs("alice+home", alice.keyboard())
	if err != nil {
		t.Fatal(err)
	}
	// Closing it ends whatever a failure below would wait for.
	stop := context.AfterFunc(testkit.Context(t, testkit.CommandTime), func() { c.Close() })
	defer stop()
	defer c.Close()
	for name, send := range map[string]func(*ssh.Session) error{
		"TERM": func(x *ssh.Session) error { return x.Signal(ssh.SIGTERM) },
		"USR1": func(x *ssh.Session) error { return x.Signal(ssh.SIGUSR1) },
		"break": func(x *ssh.Session) error {
			_, err := x.SendRequest("break", true, ssh.Marshal(struct{ Millis uint32 }{500}))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			session, err := c.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			out, err := session.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := session.Start("wait"); err != nil {
				t.Fatal(err)
			}
			ready := make([]byte, len("ready\n"))
			if _, err := io.ReadFull(out, ready); err != nil {
				t.Fatal(err)
			}
			if err := send(session); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(out)
			if err != nil || string(got) != "got "+name+"\n" {
				t.Errorf("the program says %q, %v", got, err)
			}
			var exit *ssh.ExitError
			if err := session.Wait(); !errors.As(err, &exit) || exit.Signal() != "TERM" || exit.Msg() != "died of "+name {
				t.Errorf("it ended with %v", exit)
			}
		})
	}
}
