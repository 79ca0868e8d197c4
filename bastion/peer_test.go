package bastion

import "testing"

func TestOwnClient(t *testing.T) {
	for _, tt := range []struct {
		host string
		port uint32
		own  bool
	}{
		{"127.0.0.1", 65535, true}, // OpenSSH -J, -W
		{"127.0.0.1", 22, true},    // dropbear
		{"127.0.0.1", 50000, false},
		{"127.0.0.2", 65535, false},
		{"::1", 65535, false},
		{"::ffff:127.0.0.1", 65535, false},
		{"localhost", 65535, false},
		{"0.0.0.0", 0, false}, // PuTTY's proxy
		{"192.0.2.1", 65535, false},
		{"", 65535, false},
		{"entry", 22, false},
		{"127.0.0.1\x00", 22, false},
	} {
		if got := ownClient(directTCPIP{Originator: tt.host, OriginatorPort: tt.port}); got != tt.own {
			t.Errorf("%s:%d is its own: %v", tt.host, tt.port, got)
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
