package fastconn

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"entry/e2e/testkit"
	"entry/e2e/testkit/wire"
)

// gate is a conn whose writes wait to be let through.
type gate struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
	open   chan struct{} // one value lets one write through; closed lets all
	fail   error
	once   sync.Once
	closed chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{}, 100), closed: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	g.writes = append(g.writes, bytes.Clone(p))
	err := g.fail
	g.mu.Unlock()
	select {
	case <-g.open:
	case <-g.closed:
		return 0, net.ErrClosed
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (g *gate) Read([]byte) (int, error)         { <-g.closed; return 0, net.ErrClosed }
func (g *gate) Close() error                     { g.once.Do(func() { close(g.closed) }); return nil }
func (g *gate) SetReadDeadline(time.Time) error  { return nil }
func (g *gate) SetWriteDeadline(time.Time) error { return nil }

func (g *gate) sizes() (n []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.writes {
		n = append(n, len(w))
	}
	return n
}

func TestTypingIsWrittenThroughAndBulkInOnePiece(t *testing.T) {
	g := newGate()
	c := Coalesce(testGroup(t), g)
	g.open <- struct{}{}
	if _, err := c.Write([]byte("k")); err != nil { // returns only after the write
		t.Fatal(err)
	}
	if got := g.sizes(); len(got) != 1 || got[0] != 1 {
		t.Fatalf("writes %v", got)
	}
	write := func(n int) {
		t.Helper()
		if m, err := c.Write(make([]byte, n)); m != n || err != nil {
			t.Fatal(m, err)
		}
	}
	write(4096) // the beginning of a long packet starts the goroutine
	testkit.Eventually(t, "the first write", func() bool { return len(g.sizes()) == 2 })
	write(28_000)
	write(4096)
	write(28_000)
	write(100) // small, but it must not overtake
	g.open <- struct{}{}
	testkit.Eventually(t, "the second write", func() bool { return len(g.sizes()) == 3 })
	if got := g.sizes(); got[2] != 28_000+4096+28_000+100 {
		t.Errorf("writes %v", got)
	}
	close(g.open)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheBatchIsBounded(t *testing.T) {
	g := newGate()
	c := Coalesce(testGroup(t), g)
	done := make(chan error, 1)
	var sent int
	go func() {
		for sent = 0; sent < 4<<20; sent += 8192 {
			if _, err := c.Write(make([]byte, 8192)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	testkit.Eventually(t, "a write in flight", func() bool { return len(g.sizes()) == 1 })
	q := c.(*coalesced)
	testkit.Eventually(t, "a full batch", func() bool {
		q.out.mu.Lock()
		defer q.out.mu.Unlock()
		return q.out.pending != nil && len(*q.out.pending) == batchLimit
	})
	close(g.open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.Close()
	for _, n := range g.sizes() {
		if n > batchLimit {
			t.Errorf("one write of %d bytes", n)
		}
	}
}

func TestAWriteErrorStays(t *testing.T) {
	g := newGate()
	broken := errors.New("broken")
	g.fail = broken
	c := Coalesce(testGroup(t), g)
	if _, err := c.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the write", func() bool { return len(g.sizes()) == 1 })
	close(g.open)
	testkit.Eventually(t, "the error", func() bool { _, err := c.Write([]byte("x")); return errors.Is(err, broken) })
	for range 3 {
		if _, err := c.Write(make([]byte, 5000)); !errors.Is(err, broken) {
			t.Errorf("Write = %v", err)
		}
	}
	c.Close()
	if n := len(g.sizes()); n > 2 {
		t.Errorf("%d writes after the failure", n)
	}
}

func TestCloseDeliversAndUnblocks(t *testing.T) {
	t.Run("a peer that reads", func(t *testing.T) {
		a, b := wire.TCP(t)
		c := Coalesce(testGroup(t), a)
		want := bytes.Repeat([]byte("0123456789"), 100_000)
		go func() { c.Write(want); c.Close() }()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		b.Close()
	})
	t.Run("a peer that takes nothing", func(t *testing.T) {
		g := newGate()
		c := Coalesce(testGroup(t), g)
		c.Write(make([]byte, 5000))
		reading, writing := make(chan error, 1), make(chan error, 1)
		go func() { _, err := c.Read(make([]byte, 1)); reading <- err }()
		go func() {
			for {
				if _, err := c.Write(make([]byte, 5000)); err != nil {
					writing <- err
					return
				}
			}
		}()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-writing; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write = %v", err)
		}
		if err := <-reading; err == nil {
			t.Error("Read returned without an error")
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close = %v", err)
		}
	})
}

func TestDeadlinesOfACoalescedConn(t *testing.T) {
	a, b := wire.TCP(t)
	defer b.Close()
	c := Coalesce(testGroup(t), a)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v", err)
	}
	c.SetReadDeadline(time.Time{})
	b.Write([]byte("x"))
	if n, err := c.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Errorf("Read after the deadline was lifted: %d %v", n, err)
	}
	c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	var err error
	for range 10_000 { // the kernel takes a few MiB first
		if _, err = c.Write(make([]byte, 32<<10)); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write = %v", err)
	}
}

func TestHalfClose(t *testing.T) {
	a, b := wire.TCP(t)
	c := Coalesce(testGroup(t), a)
	c.Write(bytes.Repeat([]byte("x"), 50_000))
	c.(interface{ CloseWrite() error }).CloseWrite()
	if got, err := io.ReadAll(b); len(got) != 50_000 || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	b.Write([]byte("answer"))
	b.Close()
	if got, err := io.ReadAll(c); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	c.Close()
}

// Bytes come out as they went in, whatever the sizes and whatever is below.
func TestCoalesceKeepsTheStream(t *testing.T) {
	for name, pair := range map[string]func() (net.Conn, net.Conn){
		"sockets": func() (net.Conn, net.Conn) { return wire.TCP(t) },
		"memory": func() (net.Conn, net.Conn) {
			return wire.Pipe()
		},
		"net.Pipe": func() (net.Conn, net.Conn) {
			return net.Pipe()
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair()
			in, out := Coalesce(testGroup(t), a), Coalesce(testGroup(t), b)
			rnd := rand.New(rand.NewPCG(1, 2))
			want := make([]byte, 3<<20)
			for i := range want {
				want[i] = byte(rnd.Uint32())
			}
			go func() {
				r := rand.New(rand.NewPCG(3, 4))
				for rest := want; len(rest) > 0; {
					n := min(len(rest), []int{1, 30, 4095, 4096, 4097, 28_672, 300_000}[r.IntN(7)])
					if _, err := in.Write(rest[:n]); err != nil {
						t.Error(err)
						break
					}
					rest = rest[n:]
				}
				in.Close()
			}()
			var got []byte
			for {
				p := make([]byte, []int{1, 4, 100, 4096, 28_672, 200_000}[rnd.IntN(6)])
				n, err := out.Read(p)
				got = append(got, p[:n]...)
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Error(err)
					}
					break
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes came out, or others", len(got))
			}
			out.Close()
		})
	}
}

// A waiting connection holds neither buffers nor goroutines.
func TestAnIdleConnHoldsNothing(t *testing.T) {
	a, b := wire.TCP(t)
	c := Coalesce(testGroup(t), a).(*coalesced)
	go b.Write(make([]byte, 100_000))
	if _, err := io.ReadFull(c, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if r := c.in.(*socketReader); r.ahead.buf != nil {
		t.Error("a read buffer is held")
	}
	c.Write(make([]byte, 100_000))
	testkit.Eventually(t, "idleness", func() bool {
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		return !c.out.running && c.out.pending == nil
	})
	b.Close()
	c.Close()
}
