package fastconn

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// modern are all algorithms that may ever be offered or accepted, by anybody: a
// new one is a decision, and changes this list.
var modern = []string{
	"mlkem768x25519-sha256", "curve25519-sha256", "diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256",
	"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr",
	"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512",
	"ssh-ed25519", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
	"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-256", "rsa-sha2-512",
}

func TestAlgorithmsHoldNothingWeak(t *testing.T) {
	configs := map[string]ssh.Config{"a target": ClientConfig()}
	for _, peer := range []string{"SSH-2.0-OpenSSH_9.2p1", "SSH-2.0-dropbear_2022.83", "SSH-2.0-PuTTY_Release_0.78", ""} {
		configs[peer] = ServerConfig([]byte(peer))
	}
	for peer, c := range configs {
		for _, a := range slices.Concat(c.KeyExchanges, c.Ciphers, c.MACs, PublicKeyAlgorithms) {
			if !slices.Contains(modern, a) || strings.Contains(a, "sha1") || strings.Contains(a, "cbc") || strings.Contains(a, "md5") || a == ssh.KeyAlgoRSA || strings.Contains(a, "dss") {
				t.Errorf("%s is offered %s", peer, a)
			}
		}
		if len(c.KeyExchanges) == 0 || len(c.Ciphers) == 0 || len(c.MACs) == 0 {
			t.Errorf("%s: a list is left to the library: %+v", peer, c)
		}
		if c.RekeyThreshold != 1<<30 {
			t.Errorf("%s rekeys after %d bytes", peer, c.RekeyThreshold)
		}
	}
	// With a target the order here decides: the better ones come first.
	c := ClientConfig()
	if i, j := slices.Index(c.MACs, ssh.HMACSHA512ETM), slices.Index(c.MACs, ssh.HMACSHA256); i > j {
		t.Errorf("%v", c.MACs)
	}
	if c := ServerConfig([]byte("SSH-2.0-OpenSSH_9.2p1")); slices.Contains(c.MACs, ssh.HMACSHA256) {
		t.Errorf("OpenSSH is offered %v", c.MACs)
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
