package session

import (
	"strings"
	"testing"

	"entry/audit"
)

// What a terminal makes of bytes is its client's choice: what a decoder saw isn't what
// its program got.
func TestFilesDontMoveThroughATerminal(t *testing.T) {
	r := newRig(t, "may: [shell, exec, upload, download]\nrecord: full", nil)
	r.serveAll()
	for _, start := range [][2]string{{"exec", "scp -t x"}, {"exec", "rsync --server -re.iLsfxCIvu . x"}, {"exec", "git-receive-pack x"}, {"exec", "sftp-server"}, {"subsystem", "sftp"}} {
		u := r.open()
		u.request(t, "pty-req", testPty)
		if !u.request(t, start[0], start[1]) {
			t.Fatal(start, "was refused without a word")
		}
		if u.ends(t); u.exit != exitEnded || !strings.Contains(u.stderr(), "leave ssh's -t out") || u.stdout() != "" {
			t.Errorf("%v: status %d, stderr %q, stdout %q", start, u.exit, u.stderr(), u.stdout())
		}
	}
	refused := r.log.All(audit.ChannelRefused)
	if len(refused) != 5 || refused[0].Reason != "transfer-terminal" {
		t.Errorf("%+v", refused)
	}
	u := r.open() // a client of scp's, which shows how far it is
	u.request(t, "pty-req", testPty)
	if !u.request(t, "exec", "scp a b") {
		t.Error("a command that moves nothing through its channel was refused")
	}
}
