package fastconn

import (
	"bytes"
	"net"
	"strings"
	"testing"
)

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
				buf := make([]byte, len(Version)+2)
				_, _ = client.Read(buf)
				_, _ = client.Write([]byte(tt.sent))
			}()
			vc, peer, err := ExchangeVersion(server)
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
				_, _ = vc.Write([]byte(Version[:5]))
				_, _ = vc.Write([]byte(Version[5:] + "\r\nKEX"))
			}()
			n, _ = client.Read(again)
			if !bytes.Equal(again[:n], []byte("KEX")) {
				t.Fatalf("the peer reads %q", again[:n])
			}
		})
	}
}
