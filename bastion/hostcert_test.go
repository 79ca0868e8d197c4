package bastion_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/session/fastconn"
)

// TestOwnCertificateIsRenewed: a server that runs for longer than a certificate lasts shows
// a good one to whoever connects, over the same key.
func TestOwnCertificateIsRenewed(t *testing.T) {
	s := newSite(t, options{})
	seen := errors.New("seen")
	shown := func() (cert *ssh.Certificate) {
		t.Helper()
		nc := testkit.Must(net.Dial("tcp", s.addr))(t)
		defer nc.Close()
		_, _, _, err := ssh.NewClientConn(nc, s.addr, &ssh.ClientConfig{Config: fastconn.ClientConfig(), HostKeyAlgorithms: []string{ssh.CertAlgoED25519v01},
			HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
				cert, _ = key.(*ssh.Certificate)
				return seen
			}})
		if cert == nil {
			t.Fatalf("no certificate: %v", err)
		}
		return cert
	}
	first := shown()
	now := s.clock.Advance(10 * 24 * time.Hour)
	later := shown()
	if uint64(now.Unix()) >= later.ValidBefore || string(later.Key.Marshal()) != string(first.Key.Marshal()) {
		t.Errorf("after ten days it shows one that was good until %v, at %v", time.Unix(int64(later.ValidBefore), 0), now)
	}
}
