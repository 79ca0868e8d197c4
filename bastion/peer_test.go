package bastion

import "testing"

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
