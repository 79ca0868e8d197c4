package fastconn

import (
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/e2e/testkit/wire"
	"entry/session/group"
)

// intake is a server's end of a connection of which each accepted channel is given to
// the test.
func intake(t *testing.T) (*Intake, ssh.Conn, <-chan ssh.Channel) {
	t.Helper()
	c, s := wire.Pipe()
	in := NewIntake(s)
	client, server := wire.SSH(t, c, in)
	in.LoggedIn()
	go ssh.DiscardRequests(client.Requests)
	go ssh.DiscardRequests(server.Requests)
	channels := make(chan ssh.Channel)
	go func() {
		for nc := range server.Channels {
			ch, reqs, err := in.Accept(nc)
			if err == nil {
				go ssh.DiscardRequests(reqs)
				channels <- ch
			}
		}
	}()
	t.Cleanup(func() { client.Conn.Close() })
	return in, client.Conn, channels
}

func open(t *testing.T, conn ssh.Conn, channels <-chan ssh.Channel) (near, far ssh.Channel) {
	t.Helper()
	near, reqs, err := conn.OpenChannel("session", nil)
	testkit.Check(t, err)
	go ssh.DiscardRequests(reqs)
	return near, testkit.Receive(t, "the channel", channels)
}

// Packets of a byte count as what they are on the wire, which is what they cost, and
// not as a byte; once they are read, nothing is held, whatever they were.
func TestIntakeCountsPackets(t *testing.T) {
	in, conn, channels := intake(t)
	near, far := open(t, conn, channels)
	const packets = 20_000
	for range packets {
		_, err := near.Write([]byte{'x'})
		testkit.Check(t, err)
	}
	testkit.Eventually(t, "as much is held as came", func() bool { return in.Held() >= packets*35 })
	if held := in.Held(); held > packets*60 {
		t.Errorf("%d bytes are held", held)
	}
	g := group.New(t.Context(), nil)
	DropExtended(g, far)
	g.Go("reader", func() { Drop(far) })
	testkit.Eventually(t, "nothing is held", func() bool { return in.Held() == 0 })
}

// A channel that is never found empty, because its reader is slower than its sender,
// holds a window, however much that isn't data has gone through it.
func TestIntakeOfALongTransfer(t *testing.T) {
	in, conn, channels := intake(t)
	near, far := open(t, conn, channels)
	DropExtended(group.New(t.Context(), nil), far)
	go func() {
		small := make([]byte, 100) // of which a third is overhead
		for {
			if _, err := near.Write(small); err != nil {
				return
			}
		}
	}()
	b := make([]byte, 1<<10)
	for range 40 << 10 {
		_, err := io.ReadFull(far, b)
		testkit.Check(t, err)
	}
	testkit.Eventually(t, "the window is full", func() bool { return in.Held() > 2<<20 })
	if held := in.Held(); held > 15<<20 {
		t.Errorf("%d bytes are held", held)
	}
}

// Who hasn't logged in may send only so much.
func TestIntakeBeforeLogin(t *testing.T) {
	c, s := net.Pipe()
	in := NewIntake(s)
	go func() { _, _ = c.Write(make([]byte, 2*BeforeLogin)) }() // it ends with c
	t.Cleanup(func() { c.Close() })
	n, err := io.Copy(io.Discard, in)
	if !errors.Is(err, ErrBeforeLogin) || n > BeforeLogin {
		t.Errorf("%d bytes, %v", n, err)
	}
	if in.Held() <= BeforeLogin {
		t.Error("what came doesn't count")
	}
}

// Several may read a channel at once, as where its reader hasn't noticed yet that
// nobody wants it any more: all of them learn of its end.
func TestAllReadersLearnOfTheEnd(t *testing.T) {
	_, conn, channels := intake(t)
	g := group.New(t.Context(), nil)
	for range 20 {
		near, far := open(t, conn, channels)
		for range 3 {
			g.Go("reader", func() { Drop(far) })
		}
		_, err := near.Write([]byte("x"))
		testkit.Check(t, err)
	}
	testkit.Check(t, conn.Close())
	testkit.Finishes(t, "all readers end", g.Wait)
}
