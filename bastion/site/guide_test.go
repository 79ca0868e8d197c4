//go:build linux

package site

import (
	"net"
	"testing"

	"entry/configs"
)

func TestNobodyDials(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:2222": true, ":22": true, "0.0.0.0:22": true, "[::]:22": true, "[::1]:22": true, "localhost:22": true,
		"entry.example.org:22": false, "192.0.2.7:22": false,
	} {
		c := configs.Default()
		c.Listeners = []configs.Listener{{Address: address}}
		host, _, _ := net.SplitHostPort(c.Dialled()) // "" where nothing says where it is
		if got := nobodyDials(host); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}
