//go:build linux

package testkit

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestSSHD(t *testing.T) {
	t.Parallel()
	key, ca := NewSigner(t), NewSigner(t)
	s := StartSSHD(t, SSHDOptions{Keys: []string{Authorized(key.PublicKey())}, HostCA: ca, HostName: "home"})
	check := &ssh.CertChecker{
		IsHostAuthority: func(k ssh.PublicKey, _ string) bool { return Authorized(k) == Authorized(ca.PublicKey()) },
		HostKeyFallback: ssh.FixedHostKey(ParseKey(t, s.HostKey())),
	}
	for _, kind := range []string{ssh.CertAlgoED25519v01, ssh.KeyAlgoED25519} {
		tcp := Must(net.Dial("tcp", s.Addr()))(t)
		Check(t, tcp.SetDeadline(Deadline(CommandTime)))
		conn, _, _, err := ssh.NewClientConn(tcp, "home:22", &ssh.ClientConfig{User: Me(t), Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyAlgorithms: []string{kind}, HostKeyCallback: check.CheckHostKey})
		Check(t, err)
		Check(t, conn.Close())
	}
	Eventually(t, "both are counted", func() bool { return s.Logins() == 2 })
	if line := s.Target(t, "home", "kind: ssh"); !strings.HasPrefix(line, `      home: {address: "127.0.0.1:`) || !strings.HasSuffix(line, "default_login: "+Me(t)+", kind: ssh}") {
		t.Errorf("%q", line)
	}
	if s.KillSessions(); s.Running() {
		t.Error("it runs on")
	}
}
