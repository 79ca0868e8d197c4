package session

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit/wire"
)

// refused starts Refuse and returns the user's leg.
func refused(t *testing.T, ctx context.Context) (user Leg, done chan struct{}) {
	a, b := wire.Pipe()
	user, client := connect(t, a, b)
	go ssh.DiscardRequests(user.Requests)
	done = make(chan struct{})
	go func() {
		defer close(done)
		Refuse(ctx, client, "home.tinker is down\nfor now\x1b[2J")
	}()
	return user, done
}

func TestRefuseSaysWhyOnEverySession(t *testing.T) {
	user, done := refused(t, context.Background())
	for _, c := range []struct {
		pty  bool
		end  string
		name string
	}{{false, "\n", "exec"}, {true, "\r\n", "shell"}, {false, "\n", "subsystem"}} {
		ch, reqs, err := user.Conn.OpenChannel("session", nil)
		if err != nil {
			t.Fatal(err)
		}
		u := collect(ch, reqs)
		if c.pty {
			u.request(t, "pty-req", testPty)
		}
		if !u.request(t, c.name, "x") {
			t.Errorf("%s wasn't accepted: clients print their own message then", c.name)
		}
		if u.ends(t); u.stderr() != "entry: home.tinker is down for now?[2J"+c.end || u.exit != 255 {
			t.Errorf("%s: stderr %q, status %d", c.name, u.stderr(), u.exit)
		}
	}
	if _, _, err := user.Conn.OpenChannel("direct-tcpip", tcpPayload("localhost", 80)); err == nil || !strings.Contains(err.Error(), "entry: home.tinker is down for now") {
		t.Errorf("a forward: %v", err)
	}
	if ok, _, err := user.Conn.SendRequest("tcpip-forward", true, listenPayload("", 0)); ok || err != nil {
		t.Errorf("a listen: %v %v", ok, err)
	}
	user.Conn.Close()
	<-done
}

func TestRefuseDoesNotWaitForEver(t *testing.T) {
	t.Run("a client that stays", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			_, done := refused(t, context.Background())
			if <-done; time.Since(began) != refuseLinger {
				t.Errorf("it took %v", time.Since(began))
			}
		})
	})
	t.Run("a client that asks for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			user, done := refused(t, context.Background())
			for {
				ch, reqs, err := user.Conn.OpenChannel("session", nil)
				if err != nil {
					break
				}
				go ssh.DiscardRequests(reqs)
				_, _ = ch.SendRequest("shell", true, nil)
				time.Sleep(5 * time.Second)
				_ = ch.Close()
			}
			if <-done; time.Since(began) > refuseTotal+6*time.Second {
				t.Errorf("it took %v", time.Since(began))
			}
		})
	})
	t.Run("a cancelled context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		_, done := refused(t, ctx)
		cancel()
		<-done
	})
}
