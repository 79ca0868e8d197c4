package session

import "testing"

// Clients send variables in any order; who reads which were left out gets them in one.
func TestLeftOutIsInOrder(t *testing.T) {
	var e environment
	for _, name := range []string{"W31", "W30", "A"} {
		e.leaveOut(name)
	}
	if got := e.leftOut(); got != "left out of the environment: A, W30, W31" {
		t.Errorf("%q", got)
	}
}
