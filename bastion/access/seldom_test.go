package access

import (
	"testing"

	"golang.org/x/crypto/ssh"
)

// A client makes up any number of names: what is remembered of them is bounded.
func TestSeldom(t *testing.T) {
	n := Seldom{}
	events := 0
	for i := range 100_000 {
		if n.Due(string(ssh.Marshal(struct{ N uint32 }{uint32(i)}))) {
			events++
		}
	}
	if len(n) > maxKinds+1 || events > maxKinds+20 {
		t.Errorf("%d kinds, %d events", len(n), events)
	}
}
