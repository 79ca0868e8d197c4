package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Version is how both peers of SSH call themselves.
const Version = "SSH-2.0-OpenSSH_9.9 entry"

// HostKey signs for every server of a test's process.
var HostKey = func() ssh.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		panic(err)
	}
	return s
}()

// Leg is one peer's side of an SSH connection. Its channels and requests are
// to be taken by somebody, or the connection stalls.
type Leg struct {
	Conn     ssh.Conn
	Channels <-chan ssh.NewChannel
	Requests <-chan *ssh.Request
}

// SSH makes plain x/crypto peers of the two ends of a connection, c being the
// client's, and fails the test where that fails.
func SSH(t testing.TB, c, s net.Conn) (client, server Leg) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		config := &ssh.ServerConfig{NoClientAuth: true, ServerVersion: Version,
			Config: ssh.Config{Ciphers: []string{ssh.CipherAES128GCM}}}
		config.AddHostKey(HostKey)
		conn, chans, reqs, err := ssh.NewServerConn(s, config)
		server = Leg{conn, chans, reqs}
		done <- err
	}()
	conn, chans, reqs, err := ssh.NewClientConn(c, "test:22", &ssh.ClientConfig{User: "alice", ClientVersion: Version,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), Config: ssh.Config{Ciphers: []string{ssh.CipherAES128GCM}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return Leg{conn, chans, reqs}, server
}

// TCP makes both ends of a TCP connection over the loopback interface.
func TCP(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// DirectTCPIP is the payload that opens a direct-tcpip channel (RFC 4254 §7.2).
func DirectTCPIP(host string, port uint32) []byte {
	return ssh.Marshal(struct {
		Host       string
		Port       uint32
		Originator string
		From       uint32
	}{host, port, "127.0.0.1", 65535})
}
