//go:build linux

package testkit

import (
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// TestCPUOfWhatEnded: a server's session processes end, and what they used counts
// for it all the same.
func TestCPUOfWhatEnded(t *testing.T) {
	// The one below works until it has used 200 ms, and ends; only then does the one
	// above say so.
	const work = `( while read -ra f </proc/$BASHPID/stat && ((f[13] + f[14] < 20)); do for ((i = 0; i < 20000; i++)); do :; done; done )
		echo done; exec sleep infinity`
	p := Start(t, "works", exec.Command("bash", "-c", work))
	p.WaitFor(regexp.MustCompile("done"))
	pid := p.Cmd.Process.Pid
	if below := Descendants(t, pid); len(below) != 0 {
		t.Fatalf("%d are left below it", below)
	}
	if used := CPU(t, pid); used < 200*time.Millisecond {
		t.Errorf("%s, of 200 ms at least", used)
	}
}
