package e2e

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestLockout: nine wrong dialogues lock the name from that address, in the
// same words whether the name exists or not. Its owner gets in from elsewhere.
func TestLockout(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	told := make(map[string][]string)
	for source, name := range map[string]string{"127.0.0.2": "alice", "127.0.0.3": "mallory"} {
		for range 3 {
			p := &person{t: t, name: name}
			p.mistakes("guess 1", "000000", "guess 2", "000001", "guess 3", "000002", "")
			if c, err := s.dialFrom(source, p); err == nil {
				c.Close()
				t.Fatal("let in")
			}
		}
		p := &person{t: t, name: name}
		p.mistakes("guess 10", "000009")
		if name == "alice" {
			p.mistakes(alice.passphrase, alice.phone.code(t)) // right, but too late
		}
		if c, err := s.dialFrom(source, p); err == nil {
			c.Close()
			t.Errorf("%s is let in while locked", name)
		}
		told[name] = p.asked()
	}
	if n := len(told["alice"]); n != 3 || !strings.Contains(told["alice"][n-1], "Too many failed logins") {
		t.Errorf("the owner is told %q", told["alice"])
	}
	if !slices.Equal(told["alice"], told["mallory"]) {
		t.Errorf("a known name is told %q, an unknown one %q", told["alice"], told["mallory"])
	}
	c, err := s.dialFrom("127.0.0.4", alice)
	if err != nil {
		t.Fatalf("the owner is locked out everywhere: %v (asked %q)", err, alice.asked())
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s.awaitEvent("login.locked", func(e event) bool { return e.User == "alice" })
}

// TestUnauthenticatedConnections: one source may hold eight of them, as with
// sshd; others aren't kept out by it.
func TestUnauthenticatedConnections(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.configure(func(c map[string]any) { delete(c, "limits") })
	s.serve()
	connect := func(source string) *bufio.Reader {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
		c, err := d.Dial("tcp", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() }) // entry may have closed it
		if err := c.SetReadDeadline(testkit.Deadline(testkit.Soon)); err != nil {
			t.Fatal(err)
		}
		return bufio.NewReader(c)
	}
	greeted := func(source string) bool {
		t.Helper()
		line, err := connect(source).ReadString('\n')
		return err == nil && strings.HasPrefix(line, "SSH-2.0-")
	}
	ended := make(chan struct{}, 9)
	silent := func(i int) {
		t.Helper()
		r := connect("127.0.0.2")
		if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "SSH-2.0-") {
			t.Fatalf("connection %d was dropped: %q, %v", i, line, err)
		}
		go func() {
			if _, err := io.Copy(io.Discard, r); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
				ended <- struct{}{}
			}
		}()
	}
	for i := range 8 {
		silent(i + 1)
	}
	// There is room for eight: a ninth takes the place of one of them.
	silent(9)
	testkit.Receive(t, "one of them ends", ended)
	if !greeted("127.0.0.3") {
		t.Error("another source is kept out")
	}
	s.awaitEvent("connection.refused", func(e event) bool { return e.Reason == "made-room" })
	if n := len(ended); n != 0 {
		t.Errorf("%d more of them have ended", n)
	}
}

// TestKeysAreNotExchangedForEver: who exchanges keys again and again before login is
// dropped after as many bytes as no login needs.
func TestKeysAreNotExchangedForEver(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	tcp, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	c := &rawSSH{t: t, conn: tcp, in: bufio.NewReader(tcp)}
	if err := c.handshake(); err != nil {
		t.Fatal(err)
	}
	for n := 1; c.exchange() == nil; n++ {
		if n == 2000 { // some 250 bytes each
			t.Fatal("nobody minds")
		}
	}
}
