package e2e

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// TestNothingIsTaken has one client open many channels whose output it never
// reads. They took as much of the server's memory as there was; now those that have
// moved nothing for longest end, with words and an event, and nobody else notices.
func TestNothingIsTaken(t *testing.T) {
	alone(t)
	s, _ := quickSite(t, recordAll())
	s.configure(rememberEverywhere)
	s.stop()
	s.serve()
	alice := s.remembered(s.enrolled("alice"), filepath.Join(testkit.ShortDir(t), "a"))
	bob := s.remembered(s.enrolled("bob"), filepath.Join(testkit.ShortDir(t), "b"))
	login := func(name string, key ssh.Signer) *ssh.Client {
		t.Helper()
		c, err := s.handshake(testkit.Must(net.Dial("tcp", s.addr()))(t), name, ssh.PublicKeys(key))
		testkit.Check(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	other := testkit.Must(s.jump(login("bob", bob), "home", "cat"))(t)
	before := memory(t, s.proc.Cmd.Process.Pid)
	hostile := login("alice", alice)
	for range 8 {
		p := testkit.Must(s.jump(hostile, "home", "cat /dev/zero"))(t)
		for range 7 {
			session, requests, err := p.inner.OpenChannel("session", nil)
			testkit.Check(t, err)
			go ssh.DiscardRequests(requests)
			_, err = session.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{"cat /dev/zero"}))
			testkit.Check(t, err)
		}
	}
	backlog := func(e event) bool { return e.User == "alice" && e.Reason == "backlog" && e.Ref != "" }
	s.awaitEvent("channel.closed", backlog)
	n := 0
	testkit.Eventually(t, "the excess has ended", func() bool {
		n = 0
		for _, e := range s.events("channel.closed") {
			if backlog(e) {
				n++
			}
		}
		return n >= 64-2*15
	})
	worst := time.Duration(0)
	for range 50 {
		began := time.Now()
		testkit.Check(t, other.echoes())
		worst = max(worst, time.Since(began))
	}
	after := memory(t, s.proc.Cmd.Process.Pid)
	t.Logf("%d of 64 channels ended; memory %d MB, then %d MB; somebody else's worst echo took %s", n, before/1e6, after/1e6, worst)
	if grown := after - before; grown > 450<<20 {
		t.Errorf("it took %d MB", grown>>20)
	}
	if worst > testkit.Bound(2*time.Second) {
		t.Errorf("somebody else waited %s for an echo", worst)
	}
}
