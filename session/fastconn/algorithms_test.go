package fastconn

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestAlgorithmsHoldNothingWeak(t *testing.T) {
	for _, peer := range []string{"SSH-2.0-OpenSSH_9.2p1", "SSH-2.0-dropbear_2022.83", "SSH-2.0-PuTTY_Release_0.78"} {
		c := ServerConfig([]byte(peer))
		for _, a := range slices.Concat(c.KeyExchanges, c.Ciphers, c.MACs, PublicKeyAlgorithms) {
			if strings.Contains(a, "sha1") || strings.Contains(a, "cbc") || strings.Contains(a, "md5") || a == ssh.KeyAlgoRSA || strings.Contains(a, "dss") {
				t.Errorf("%s is offered %s", peer, a)
			}
		}
		if c.RekeyThreshold != 1<<30 {
			t.Errorf("%s rekeys after %d bytes", peer, c.RekeyThreshold)
		}
	}
}

// OpenSSH prefers CTR to GCM, which costs entry several times as much.
func TestOpenSSHIsNotOfferedCTR(t *testing.T) {
	if c := ServerConfig([]byte("SSH-2.0-OpenSSH_9.2p1 Debian-2")); slices.Contains(c.Ciphers, ssh.CipherAES128CTR) {
		t.Errorf("OpenSSH is offered %v", c.Ciphers)
	}
	if c := ServerConfig([]byte("SSH-2.0-dropbear_2022.83")); !slices.Contains(c.Ciphers, ssh.CipherAES128CTR) {
		t.Errorf("dropbear, which has no GCM, is offered %v", c.Ciphers)
	}
}
