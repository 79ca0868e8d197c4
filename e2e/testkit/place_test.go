package testkit

import (
	"fmt"
	"net"
	"testing"
)

func TestPortsAreOneself(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 200 {
		p := FreePort(t)
		if seen[p] || p < firstPort || p > lastPort {
			t.Errorf("%d", p)
		}
		seen[p] = true
	}
	port := FreePort(t)
	if Listening(port) {
		t.Error("somebody listens on a free port")
	}
	l := Must(net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)))(t)
	if !Listening(port) {
		t.Error("a listener isn't seen")
	}
	Check(t, l.Close())
	// Not at once: see FreePort.
	Eventually(t, "a closed listener is seen no longer", func() bool { return !Listening(port) })
}

func TestRule(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"  - name: a\n    who: {labs: [tinker]}\n    where: {labs: [tinker]}\n    may: [shell]":              Rule("a", "may: [shell]"),
		"  - name: b\n    who: {users: [alice]}\n    where: {targets: [x.tinker, y.tinker]}\n    deny: true": Rule("b", "who: {users: [alice]}", On("x", "y"), "deny: true"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
