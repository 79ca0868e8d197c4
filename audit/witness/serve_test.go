//go:build linux

package witness

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// TestNoAddressTakesAllPlaces: what one address opens beyond its part is closed, and
// others still come in.
func TestNoAddressTakesAllPlaces(t *testing.T) {
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	b := &bounded{Listener: l, places: make(chan struct{}, maxConns), each: map[netip.Prefix]int{}}
	accepted := make(chan net.Conn, 2*maxConnsEach)
	go func() {
		defer close(accepted)
		for {
			c, err := b.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c := testkit.Must(d.Dial("tcp", l.Addr().String()))(t)
		t.Cleanup(func() { c.Close() })
		return c
	}
	var first net.Conn
	for range maxConnsEach {
		dial("127.0.0.1")
		c := testkit.Receive(t, "a connection", accepted)
		if first == nil {
			first = c
		}
	}
	over := dial("127.0.0.1")
	testkit.Check(t, over.SetReadDeadline(testkit.Deadline(testkit.Soon)))
	if _, err := over.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one too many: %v", err)
	}
	dial("127.0.0.2")
	if c := testkit.Receive(t, "somebody else", accepted); !strings.HasPrefix(c.RemoteAddr().String(), "127.0.0.2:") {
		t.Errorf("%s came in", c.RemoteAddr())
	}
	first.Close()
	dial("127.0.0.1")
	testkit.Receive(t, "one in the place of another", accepted)
}

// TestServeEndsAfterItsAnswers: a witness that is stopped answers what it was asked
// before its state is closed.
func TestServeEndsAfterItsAnswers(t *testing.T) {
	a := newGrowing(t, "a.example/log").grow(3, "a")
	w, _ := newWitness(t, a)
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	told := func(Answered) {
		cancel()
		testkit.Eventually(t, "nobody else is taken", func() bool {
			c, err := net.Dial("tcp", l.Addr().String())
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		select {
		case err := <-served:
			t.Errorf("it ended before its answer: %v", err)
			served <- err
		case <-time.After(50 * time.Millisecond):
		}
	}
	go func() { served <- w.Serve(ctx, l, ServeOptions{Told: told}) }()
	answer, err := http.Post("http://"+l.Addr().String()+addCheckpoint, "text/plain", strings.NewReader(string(a.request(0, 3).append(nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("answered %d", answer.StatusCode)
	}
	testkit.Check(t, testkit.Receive(t, "the end", served))
}
