package bastion

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestAlgorithmsHoldNothingWeak(t *testing.T) {
	for _, peer := range []string{"SSH-2.0-OpenSSH_9.2p1", "SSH-2.0-dropbear_2022.83", "SSH-2.0-PuTTY_Release_0.78"} {
		c := algorithms([]byte(peer))
		for _, a := range slices.Concat(c.KeyExchanges, c.Ciphers, c.MACs, publicKeyAlgorithms) {
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
	if c := algorithms([]byte("SSH-2.0-OpenSSH_9.2p1 Debian-2")); slices.Contains(c.Ciphers, ssh.CipherAES128CTR) {
		t.Errorf("OpenSSH is offered %v", c.Ciphers)
	}
	if c := algorithms([]byte("SSH-2.0-dropbear_2022.83")); !slices.Contains(c.Ciphers, ssh.CipherAES128CTR) {
		t.Errorf("dropbear, which has no GCM, is offered %v", c.Ciphers)
	}
}

func TestExchangeVersion(t *testing.T) {
	tests := []struct{ name, sent, peer, err string }{
		{"OpenSSH", "SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_9.2p1", ""},
		{"bare newline", "SSH-2.0-x\n", "SSH-2.0-x", ""},
		{"old protocol", "SSH-1.5-x\r\n", "", "not SSH 2.0"},
		{"a browser", "GET / HTTP/1.1\r\n", "", "not SSH 2.0"},
		{"endless", strings.Repeat("S", 1000), "", "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			go func() {
				buf := make([]byte, len(version)+2)
				_, _ = client.Read(buf)
				_, _ = client.Write([]byte(tt.sent))
			}()
			vc, peer, err := exchangeVersion(server)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || string(peer) != tt.peer {
				t.Fatalf("got %q, %v", peer, err)
			}
			again := make([]byte, 300)
			n, err := vc.Read(again)
			if err != nil || string(again[:n]) != tt.sent {
				t.Fatalf("x/crypto would read %q, %v", again[:n], err)
			}
			// x/crypto's own line is swallowed however it is cut.
			go func() {
				_, _ = vc.Write([]byte(version[:5]))
				_, _ = vc.Write([]byte(version[5:] + "\r\nKEX"))
			}()
			n, _ = client.Read(again)
			if !bytes.Equal(again[:n], []byte("KEX")) {
				t.Fatalf("the peer reads %q", again[:n])
			}
		})
	}
}

func TestOriginator(t *testing.T) {
	tests := []struct {
		host string
		port uint32
		want originator
	}{
		{"127.0.0.1", 65535, originatorClient}, // OpenSSH -J, -W
		{"127.0.0.1", 22, originatorClient},    // dropbear
		{"127.0.0.1", 50000, originatorForeign},
		{"127.0.0.2", 65535, originatorForeign},
		{"::1", 65535, originatorForeign},
		{"localhost", 65535, originatorForeign},
		{"0.0.0.0", 0, originatorForeign}, // PuTTY's proxy
		{"192.0.2.1", 65535, originatorRefused},
		{"::ffff:192.0.2.1", 65535, originatorRefused},
		{"", 65535, originatorRefused},
		{"entry", 22, originatorRefused},
	}
	for _, tt := range tests {
		if got := originatorOf(directTCPIP{Originator: tt.host, OriginatorPort: tt.port}); got != tt.want {
			t.Errorf("%s:%d is %d, want %d", tt.host, tt.port, got, tt.want)
		}
	}
}

func TestPlainText(t *testing.T) {
	tests := []struct{ in, want string }{
		{"Password: ", "Password: "},
		{"\x1b[2Jentry passphrase: ", "entry passphrase: "},
		{"\x1b]0;owned\x07Password: ", "Password: "},
		{"\x1b]0;never ended", ""},
		{"a\x9b31mb\x07", "ab"},
		{"a\u202eb\u0085c", "abc"},
		{"line\r\nnext", "line\nnext"},
	}
	for _, tt := range tests {
		if got := plainText(tt.in); got != tt.want {
			t.Errorf("plainText(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
