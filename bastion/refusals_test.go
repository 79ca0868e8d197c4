package bastion_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion"
	"entry/bastion/identity"
	"entry/configs"
	"entry/e2e/testkit"
)

// What is refused again and again is noted some times, then counted: every refusal
// has a reference that is in the log, and none is lost.
func TestRefusalsOneByOne(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	var said string
	for range 276 {
		said = c.refused(jumpTo("nowhere", 22))
	}
	noted := s.log.All(audit.JumpRefused)
	if n := len(noted); n < 1 || n > 10 {
		t.Errorf("%d events for 276 refusals", n)
	}
	if last := noted[len(noted)-1]; !strings.Contains(said, "(ref "+last.Ref+")") {
		t.Errorf("%q doesn't have the reference %q", said, last.Ref)
	}
	c.Close()
	s.allRefused(t, 276)
}

// allRefused waits until n refusals of jumps are on record, one by one or as a sum.
func (s *site) allRefused(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, "all refusals on record", func() bool {
		got := 0
		for _, e := range s.log.All(audit.JumpRefused) {
			got += max(1, e.Count)
		}
		return got == n
	})
}

// Beyond a user's rate channels
// wait, an event says so, and nobody else waits.
func TestEventsHaveARate(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{options: func(o *bastion.Options) { o.Config.Limits.Events = configs.Events{Burst: 100, PerSecond: 50} }})
	c, bob := s.login("alice"), s.login("bob")
	refused := make(chan string, 160)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range cap(refused) {
			refused <- c.refused(jumpTo(fmt.Sprintf("nowhere%d", i), 22))
		}
	}()
	s.log.Await(t, audit.AlarmEventRate, "rate")
	// Time stands still here, and so do alice's channels: each takes its turn and
	// its event.
	if out, _, err := run(t, bob.jump("home"), "say in"); out != "in" {
		t.Errorf("somebody else: %q, %v", out, err)
	}
	if n := len(refused); n > 60 {
		t.Errorf("%d refusals beyond 100 events at once", n)
	}
	for {
		select {
		case <-done:
			if n := len(s.log.All(audit.AlarmEventRate)); n != 1 {
				t.Errorf("%d alarms", n)
			}
			c.Close()
			s.allRefused(t, cap(refused))
			return
		case <-time.After(10 * time.Millisecond):
			s.clock.Advance(100 * time.Millisecond)
		}
	}
}

// Refusals that come without a turn don't go round a user's rate either, whatever
// the client makes up and on however many connections: beyond it they are counted
// by their reason, and none is lost.
func TestRefusalsHaveARate(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{options: func(o *bastion.Options) { o.Config.Limits.Events = configs.Events{Burst: 100, PerSecond: 1} }})
	c := s.login("alice")
	inner := c.jump("home")
	const each = 640
	send := func(of ssh.Conn, name func(i int) string, payload func(i int) []byte) {
		t.Helper()
		testkit.Finishes(t, "requests", func() {
			for i := range each {
				if ok, _, err := of.SendRequest(name(i), true, payload(i)); ok || err != nil {
					t.Errorf("request %d: %v, %v", i, ok, err)
					return
				}
			}
		})
	}
	made := func(i int) string { return fmt.Sprintf("made-up-%d@example.org", i%64) }
	nothing := func(int) []byte { return nil }
	listen := func(int) string { return "tcpip-forward" }
	malformed := func(i int) []byte {
		return ssh.Marshal(struct {
			Host string
			Port uint32
		}{made(i), 1 << 20})
	}
	send(c.Conn, made, nothing)
	send(inner.Conn, listen, malformed)
	if n := len(s.log.All()); n > 120 { // the alarm's own and what came before the refusals included
		t.Errorf("%d events at once, of 100", n)
	}
	// A minute later there is room for 60 more, and what was counted is told.
	s.clock.Advance(61 * time.Second)
	before := s.log.Mark()
	send(c.Conn, made, nothing)
	send(inner.Conn, listen, malformed)
	if n := s.log.Mark() - before; n > 80 {
		t.Errorf("%d events a minute later", n)
	}
	c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	testkit.Finishes(t, "shutdown", func() { s.server.Shutdown(ctx) })
	got, sums := map[string]int{}, map[string]int{}
	for _, e := range s.log.All(audit.ChannelRefused, audit.ForwardRefused) {
		got[e.Reason] += max(1, e.Count)
		if e.Conn == "" {
			sums[e.Reason]++
			if e.User != "alice" || e.Ref == "" || e.ChannelType+e.Destination != "" {
				t.Errorf("sum: %+v", e)
			}
		}
	}
	if got["unknown-request"] != 2*each || got["malformed"] != 2*each {
		t.Errorf("on record: %v, want %d each", got, 2*each)
	}
	if sums["unknown-request"] < 2 || sums["malformed"] < 2 {
		t.Errorf("sums: %v", sums)
	}
}

// Nor do the commands of one portal session go round the rate: ask puts a request
// on record each time.
func TestPortalCommandsHaveARate(t *testing.T) {
	t.Parallel()
	const burst, perSecond, all = 10, 50, 40
	s := newSite(t, options{options: func(o *bastion.Options) { o.Config.Limits.Events = configs.Events{Burst: burst, PerSecond: perSecond} }})
	k := s.login("alice").talk("")
	begun := s.clock.Now()
	for range all {
		k.say("nonsense")
	}
	testkit.Eventually(t, "all answers", func() bool {
		if strings.Count(k.seen.String(), "no such command") >= all {
			return true
		}
		s.clock.Advance(20 * time.Millisecond)
		return false
	})
	if took, least := s.clock.Now().Sub(begun), (all-burst)*time.Second/perSecond; took < least {
		t.Errorf("%d commands took %v, want %v", all, took, least)
	}
}

// What strangers cause before any login, keys that open nothing and connections that are
// refused, has the rate of logins that come to nothing: beyond it, from however many
// addresses, it is counted, and a sum says how much it was.
func TestStrangersHaveOneRate(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{options: func(o *bastion.Options) { o.Config.Limits.PerSource = 1 }})
	const rate, made, full, keys = 1000, "made up", "per-source", 12 // refusals of connections have reasons of their own, too
	for i := range rate + 1 {
		at := identity.Attempt{Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 7)}
		noted, err := s.auth.Refused(t.Context(), at, audit.Event{Type: audit.ConnectionRefused, Source: at.Source.String(), Reason: made}, 3)
		if err != nil || noted != (i < rate) {
			t.Fatalf("refusal %d: noted %v, %v", i, noted, err)
		}
	}
	before := s.log.Mark()
	key := testkit.Must(ssh.NewSignerFromKey(testkit.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)))(t)
	for i := range byte(keys) {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, i+1)}}
		nc := testkit.Must(from.Dial("tcp", s.addr))(t)
		if c, _, _, err := ssh.NewClientConn(nc, "entry:22", &ssh.ClientConfig{User: "alice", HostKeyCallback: s.hostCheck(), Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}}); err == nil {
			c.Close()
			t.Fatal("logged in")
		}
	}
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 2 { // of which the second one gets no place
		nc := testkit.Must(from.Dial("tcp", s.addr))(t)
		defer nc.Close()
	}
	testkit.Eventually(t, "a refusal", func() bool {
		nc := testkit.Must(from.Dial("tcp", s.addr))(t)
		defer nc.Close()
		testkit.Check(t, nc.SetDeadline(time.Now().Add(testkit.Bound(2*time.Second))))
		said, _ := io.ReadAll(nc) // what came until the deadline counts
		return strings.Contains(string(said), "too many connections from your address")
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	testkit.Finishes(t, "shutdown", func() { s.server.Shutdown(ctx) })
	if n := s.log.Mark() - before; n != 0 {
		t.Errorf("%d events beyond the rate: %+v", n, s.log.All()[before:])
	}
	testkit.Check(t, s.auth.Close(t.Context()))
	counted := map[string]int{}
	for _, e := range s.log.All()[before:] {
		if counted[e.Reason] += e.Count; e.Source+e.User+e.Conn+e.Key != "" || e.Detail == "" {
			t.Errorf("sum: %+v", e)
		}
	}
	if counted[made] != 3 || counted[identity.ReasonUnknownKey] != keys || counted[full] < 1 {
		t.Errorf("counted: %v", counted)
	}
}
