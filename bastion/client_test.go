package bastion_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion"
	"entry/e2e/testkit"
)

// client is an authenticated connection to entry.
type client struct {
	ssh.Conn
	s        *site
	channels <-chan ssh.NewChannel
}

func (s *site) tryDial(c *ssh.ClientConfig) (*client, error) {
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	conn, chans, reqs, err := ssh.NewClientConn(nc, "entry:22", c)
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(reqs)
	s.t.Cleanup(func() { conn.Close() })
	return &client{Conn: conn, s: s, channels: chans}, nil
}

// login logs name in and fails the test if it can't.
func (s *site) login(name string) *client {
	s.t.Helper()
	return testkit.Must(s.tryDial(s.config(name)))(s.t)
}

// whole is a connection that leads to a target as a whole.
func (c *client) whole() *ssh.Client {
	none := make(chan *ssh.Request) // they are discarded already
	close(none)
	return ssh.NewClient(c.Conn, c.channels, none)
}

// forward is what a direct-tcpip channel asks for.
type forward struct {
	Host           string
	Port           uint32
	Originator     string
	OriginatorPort uint32
}

func jumpTo(host string, port uint32) forward { return forward{host, port, "127.0.0.1", 65535} }

func (c *client) open(f forward) (ssh.Channel, error) {
	ch, reqs, err := c.OpenChannel("direct-tcpip", ssh.Marshal(f))
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(reqs)
	return ch, nil
}

// disconnected is what entry said when it ended a handshake in words.
func disconnected(err error) (said string, ok bool) {
	m := regexp.MustCompile(`disconnect, reason \d+: (".*")$`).FindStringSubmatch(fmt.Sprint(err))
	if m == nil {
		return "", false
	}
	said, err = strconv.Unquote(m[1])
	return said, err == nil
}

// refused opens f and returns why it was refused: a jump in words to the SSH
// client inside it, everything else as a channel.
func (c *client) refused(f forward) string {
	c.s.t.Helper()
	ch, err := c.open(f)
	if err == nil && (f.Port == 22 || f.OriginatorPort == 65535) {
		defer ch.Close()
		_, _, _, err = ssh.NewClientConn(channelConn{ch}, f.Host+":22", &ssh.ClientConfig{HostKeyCallback: c.s.hostCheck()})
		said, ok := disconnected(err)
		if !ok {
			c.s.t.Fatalf("%+v: %v", f, err)
		}
		return said
	}
	if err == nil {
		ch.Close()
		c.s.t.Fatalf("%+v was opened", f)
	}
	var e *ssh.OpenChannelError
	if !errors.As(err, &e) {
		c.s.t.Fatalf("%+v: %v", f, err)
	}
	return e.Message
}

// told is refused of a jump that must not be refused as a channel, where most
// clients hide why.
func (c *client) told(f forward) string {
	c.s.t.Helper()
	ch, err := c.open(f)
	if err != nil {
		c.s.t.Fatalf("%+v: %v", f, err)
	}
	ch.Close()
	return c.refused(f)
}

// channelConn is a channel as a net.Conn, without deadlines.
type channelConn struct{ ssh.Channel }

func (channelConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (channelConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (channelConn) SetDeadline(time.Time) error      { return nil }
func (channelConn) SetReadDeadline(time.Time) error  { return nil }
func (channelConn) SetWriteDeadline(time.Time) error { return nil }

// inner speaks SSH inside a jump to host, as `ssh -J` does.
func (c *client) inner(host string, cfg *ssh.ClientConfig) (*ssh.Client, error) {
	ch, err := c.open(jumpTo(host, 22))
	if err != nil {
		return nil, err
	}
	if cfg == nil {
		cfg = &ssh.ClientConfig{User: "whoever"}
	}
	cfg.HostKeyCallback = c.s.hostCheck()
	conn, chans, reqs, err := ssh.NewClientConn(channelConn{ch}, host+":22", cfg)
	if err != nil {
		return nil, err
	}
	sc := ssh.NewClient(conn, chans, reqs)
	c.s.t.Cleanup(func() { sc.Close() })
	return sc, nil
}

func (c *client) jump(host string) *ssh.Client {
	c.s.t.Helper()
	return testkit.Must(c.inner(host, nil))(c.s.t)
}

// run runs a command and returns what came back.
func run(t testing.TB, c *ssh.Client, command string) (stdout, stderr string, err error) {
	t.Helper()
	sess, err := c.NewSession()
	if err != nil {
		return "", "", err
	}
	defer sess.Close()
	var out, errs bytes.Buffer
	sess.Stdout, sess.Stderr = &out, &errs
	testkit.Finishes(t, command, func() { err = sess.Run(command) })
	return out.String(), errs.String(), err
}

// begin starts a command that goes on until the session ends, and returns what
// it says on standard error then.
func begin(t testing.TB, c *ssh.Client) (stderr func() string) {
	t.Helper()
	sess := testkit.Must(c.NewSession())(t)
	out := testkit.Must(sess.StdoutPipe())(t)
	errs := testkit.Must(sess.StderrPipe())(t)
	testkit.Check(t, sess.Start("wait"))
	line := make([]byte, 8)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "waiting\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return func() string {
		var b []byte
		testkit.Finishes(t, "the session's end", func() { b, _ = io.ReadAll(errs) })
		return string(b)
	}
}

// refusedLogin is what entry says to name, who gets no connection.
func (s *site) refusedLogin(t *testing.T, name string) (said string) {
	t.Helper()
	cfg := s.config(name)
	cfg.BannerCallback = func(text string) error { said += text; return nil }
	if c, err := s.tryDial(cfg); err == nil {
		c.Close()
		t.Fatal("a connection too many")
	}
	return strings.TrimSuffix(strings.TrimPrefix(said, "entry: "), "\r\n")
}

// A rule bounds the connections of a user from their login on: the newest is refused, in
// words, what is open goes on, and events are few however often that happens. They once
// counted only when something was opened, so that one user held six hundred, and with one
// too many nothing opened on any.
func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: func(s *site) string { return s.policyText("", "    limits: {connections: 2}\n") }})
	first, second := s.login("alice"), s.login("alice")
	said := s.refusedLogin(t, "alice")
	e := s.refusedWith(t, said, audit.AccessRefused, "connections")
	if !strings.Contains(said, "you have 2 connections to entry open, the most that you may have") || e.User != "alice" || e.Source == "" {
		t.Errorf("%q, %+v", said, e)
	}
	logins := len(s.log.All(audit.LoginSucceeded))
	for range 20 {
		s.refusedLogin(t, "alice")
	}
	if n := len(s.log.All(audit.AccessRefused)); n > 8 {
		t.Errorf("%d events of 21 connections that were refused", n)
	}
	if n := len(s.log.All(audit.LoginSucceeded)); n != logins {
		t.Errorf("%d logins are on record that none got a connection by", n-logins)
	}
	for _, c := range []*client{first, second} {
		if out, _, err := run(t, c.jump("home"), "say in"); out != "in" {
			t.Errorf("%q, %v", out, err)
		}
	}
	s.login("bob")
}

// Of a user's connections one on which nothing is open makes room for a newer one: a
// laptop that was shut, or whoever has a stolen key, keeps nobody out.
func TestRestingConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: func(s *site) string { return s.policyText("", "    limits: {connections: 2}\n") }})
	busy, rests := s.login("alice"), s.login("alice")
	begin(t, busy.jump("home"))
	ch, err := rests.open(jumpTo("home", 22)) // in which nobody logs in
	if err != nil {
		t.Fatal(err)
	}
	defer ch.Close()
	s.clock.Advance(time.Minute)
	third := s.login("alice")
	testkit.Finishes(t, "the end of the one that rests", func() { _ = rests.Wait() })
	if out, _, err := run(t, third.jump("home"), "say in"); out != "in" {
		t.Errorf("%q, %v", out, err)
	}
	s.refusedLogin(t, "alice") // neither rests for long
}

// The channels of one user that lead to machines are bounded over all connections, also
// those that say nothing.
func TestChannelsAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{options: func(o *bastion.Options) { o.Config.Limits.Channels = 3 }})
	first, second := s.login("alice"), s.login("alice")
	for _, c := range []*client{first, first, second} {
		if _, err := c.open(jumpTo("home", 22)); err != nil {
			t.Fatal(err)
		}
	}
	said := second.refused(jumpTo("home", 22))
	if e := s.refusedWith(t, said, audit.JumpRefused, "too-many-channels"); e.User != "alice" || !strings.Contains(said, "3 channels open over all your connections") {
		t.Errorf("%q, %+v", said, e)
	}
	if out, _, err := run(t, s.login("bob").jump("home"), "say in"); out != "in" {
		t.Errorf("%q, %v", out, err)
	}
	first.Close()
	testkit.Eventually(t, "there is room again", func() bool {
		c, err := second.inner("home", nil)
		if err != nil {
			return false
		}
		out, _, _ := run(t, c, "say in")
		return out == "in"
	})
}
