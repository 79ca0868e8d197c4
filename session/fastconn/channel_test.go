package fastconn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/e2e/testkit/wire"
	"entry/session/group"
)

// jump opens a jump channel and returns both ends.
func jump(t testing.TB) (user, entry ssh.Channel, outer ssh.Conn) {
	t.Helper()
	a, b := wire.Pipe()
	client, server := wire.SSH(t, a, b)
	go ssh.DiscardRequests(client.Requests)
	go ssh.DiscardRequests(server.Requests)
	got := make(chan ssh.Channel, 1)
	go func() {
		nc := <-server.Channels
		ch, reqs, _ := nc.Accept()
		go ssh.DiscardRequests(reqs)
		got <- ch
	}()
	ch, reqs, err := client.Conn.OpenChannel("direct-tcpip", wire.DirectTCPIP("home", 22))
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	t.Cleanup(func() { client.Conn.Close(); server.Conn.Wait() })
	return ch, <-got, client.Conn
}

// testGroup is a group whose goroutines have to end with the test, and to which
// nothing may happen.
func testGroup(t testing.TB) *group.Group {
	g := group.New(context.Background(), nil)
	t.Cleanup(func() {
		g.Wait()
		if err := context.Cause(g.Context()); err != nil {
			t.Error(err)
		}
	})
	return g
}

var someAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}

func TestChannelConnKeepsTheStream(t *testing.T) {
	user, entry, _ := jump(t)
	c := Channel(testGroup(t), entry, someAddr, someAddr)
	want := bytes.Repeat([]byte("0123456789abcdef"), 300_000)
	go func() { user.Write(want); user.CloseWrite() }()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came in, %v", len(got), err)
	}
	go func() { c.Write(want); c.Close() }()
	if got, err = io.ReadAll(user); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes went out, %v", len(got), err)
	}
	if c.RemoteAddr() != net.Addr(someAddr) || Coalesce(testGroup(t), c) != c {
		t.Error("the address or the conn was changed")
	}
}

// The user's side neither reads nor answers CLOSE: x/crypto alone would hang.
func TestChannelConnUnblocksByItself(t *testing.T) {
	for _, c := range []struct {
		name string
		act  func(net.Conn)
		want error
	}{
		{"Close", func(c net.Conn) { c.Close() }, net.ErrClosed},
		{"deadline to come", func(c net.Conn) { c.SetDeadline(time.Now().Add(20 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		{"deadline gone by", func(c net.Conn) { c.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := wire.Pipe()
			client, server := wire.SSH(t, a, b)
			go ssh.DiscardRequests(client.Requests)
			go ssh.DiscardRequests(server.Requests)
			opened := make(chan ssh.Channel, 1)
			go func() {
				ch, _, _ := client.Conn.OpenChannel("direct-tcpip", wire.DirectTCPIP("home", 22))
				opened <- ch
			}()
			ch, reqs, err := (<-server.Channels).Accept()
			if err != nil {
				t.Fatal(err)
			}
			go ssh.DiscardRequests(reqs)
			<-opened
			a.Stop() // nothing more comes from the user

			conn := Channel(testGroup(t), ch, someAddr, someAddr)
			read, written := make(chan error, 1), make(chan error, 1)
			go func() { _, err := conn.Read(make([]byte, 10)); read <- err }()
			go func() {
				for {
					if _, err := conn.Write(make([]byte, 64<<10)); err != nil {
						written <- err
						return
					}
				}
			}()
			q := conn.(*channelConn)
			testkit.Eventually(t, "a full window and batch", func() bool {
				q.out.mu.Lock()
				defer q.out.mu.Unlock()
				return q.out.pending != nil && len(*q.out.pending) == batchLimit
			})
			c.act(conn)
			if err := <-read; !errors.Is(err, c.want) {
				t.Errorf("Read = %v", err)
			}
			if err := <-written; !errors.Is(err, c.want) {
				t.Errorf("Write = %v", err)
			}
			began := time.Now()
			conn.Close()
			if d := time.Since(began); d > 2*closeGrace {
				t.Errorf("Close took %v", d)
			}
			client.Conn.Close()
			server.Conn.Close()
			server.Conn.Wait()
		})
	}
}

func TestChannelConnAfterADeadline(t *testing.T) {
	user, entry, _ := jump(t)
	c := Channel(testGroup(t), entry, someAddr, someAddr)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v", err)
	}
	c.SetReadDeadline(time.Now().Add(time.Hour))
	user.Write([]byte("x"))
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("Read = %d, %v", n, err)
	}
}

func TestChannelConnReadsAheadOnlySoFar(t *testing.T) {
	user, entry, _ := jump(t)
	c := Channel(testGroup(t), entry, someAddr, someAddr).(*channelConn)
	defer c.Close()
	go user.Write(make([]byte, 4<<20))
	testkit.Eventually(t, "the bound", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.full() })
	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	if held > readAhead+MaxChunk {
		t.Errorf("%d bytes are held", held)
	}
	for range 4 {
		io.CopyN(io.Discard, c, 1<<20)
	}
}

// Nobody reads the place of a program's standard error: it isn't kept for that.
func TestChannelConnKeepsNoExtendedData(t *testing.T) {
	user, entry, _ := jump(t)
	c := Channel(testGroup(t), entry, someAddr, someAddr)
	defer c.Close()
	testkit.Finishes(t, "more than a window of it", func() {
		_, err := user.Stderr().Write(make([]byte, 5<<20))
		testkit.Check(t, err)
	})
}
