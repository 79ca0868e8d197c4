package control

import (
	"strings"
	"testing"
)

func TestAsked(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]bool{
		"tmux -C": true, "tmux -CC new -A -s main": true, "/usr/bin/tmux -2uCC attach": true, "exec env A=b tmux -L main -CC": true, "tmux -Lmain -f x -CC attach": true,
		"sh -lc 'tmux -CC attach'": true, "cd x && tmux -C": true,
		"tmux": false, "tmux attach -C": false, "tmux -L -C": false, "tmux -LC": false, "echo tmuxes -C": false, "tmux -- -C": false, "": false, "tmux - -C": false,
	} {
		if got := Asked(command); got != want {
			t.Errorf("%q: %v", command, got)
		}
	}
}

// A request is that of the command, or of a line of input, in whatever pieces that comes.
func TestRequest(t *testing.T) {
	t.Parallel()
	for _, pieces := range [][]string{{"tmux -CC\r"}, {"ls\rtm", "ux -C", "C new\rx"}, {"tmux\rtmux -C\n"}, {strings.Repeat("x", 2*maxAsked) + "\rtmux -C\n"}} {
		r := RequestOf("bash")
		for _, p := range pieces {
			r.Sent([]byte(p))
		}
		if !r.Asked() {
			t.Errorf("%q", pieces)
		}
	}
	if !RequestOf("tmux -CC").Asked() {
		t.Error("a command")
	}
	r := RequestOf("")
	if r.Sent([]byte("tmux\r-CC\rtmux -C")); r.Asked() {
		t.Error("a line that hasn't ended")
	}
}
