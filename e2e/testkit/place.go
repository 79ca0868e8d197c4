package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
)

// ShortDir is t.TempDir with a short name: paths of sockets end at 107 bytes,
// and names of tests are long.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e")
	Check(t, err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}

// Ports are taken below those that the kernel gives to clients (Linux's
// ip_local_port_range begins at 32768): a port that was free a moment ago would
// now and then be some connection's.
const firstPort, lastPort = 20000, 32767

// FreePort gives a TCP port on 127.0.0.1 on which nobody listens, and which no
// other test of this machine is given before this one has ended.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		// Packages are tested at the same time by processes that know nothing of
		// each other: an abstract socket is theirs to see, and goes with its owner.
		claim, err := net.Listen("unix", fmt.Sprintf("@entry-test-port-%d", port))
		if err != nil {
			continue
		}
		// Trying to listen would be in the way for a moment longer: a program that
		// is just being started holds what was open, until it is.
		if Listening(port) {
			claim.Close()
			continue
		}
		t.Cleanup(func() { claim.Close() })
		return port
	}
	t.Fatal("no free port in 1000 tries")
	return 0
}

// Listening reports whether somebody listens on a TCP port of this machine's.
// It only looks: dialling would be a connection, and binding would be in the
// way of whoever is about to listen.
func Listening(port int) bool {
	want := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // without IPv6 there is no table of it
		}
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st …; 0A is LISTEN (proc_net(5)).
			if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], want) && f[3] == "0A" {
				return true
			}
		}
	}
	return false
}
