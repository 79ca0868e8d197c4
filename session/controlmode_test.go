package session

import (
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// TestControlModeReadsNoLinesOfEntry: what a program reads as tmux's protocol has
// none of entry's lines in it; they are on standard error, and recorded.
func TestControlModeReadsNoLinesOfEntry(t *testing.T) {
	messages := make(chan string, 1)
	r := newRig(t, mayAllRecorded, func(o *Options) { o.Notice, o.Messages = "entry: this session is recorded", messages })
	over := make(chan struct{})
	r.serve(func(ch ssh.Channel, reqs <-chan *ssh.Request) {
		for req := range reqs {
			_ = req.Reply(true, nil)
			if req.Type == "exec" {
				go func() {
					_, _ = ch.Write([]byte("%begin 1\r\n%end 1\r\n"))
					<-over
					_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ S uint32 }{0}))
					_ = ch.Close()
				}()
			}
		}
	}, nil)
	u := r.open()
	if !u.request(t, "pty-req", testPty) || !u.request(t, "exec", struct{ C string }{"tmux -CC attach"}) {
		t.Fatal("nothing runs")
	}
	testkit.Eventually(t, "the notice", func() bool { return strings.Contains(u.stderr(), "this session is recorded") })
	messages <- "90 % of your bytes are used"
	testkit.Eventually(t, "the message", func() bool { return strings.Contains(u.stderr(), "90 % of your bytes") })
	close(over)
	u.ends(t)
	if u.stdout() != "%begin 1\r\n%end 1\r\n" {
		t.Errorf("standard output has %q", u.stdout())
	}
	if kept := r.rec.text(recording.Error); !strings.Contains(kept, "this session is recorded") || !strings.Contains(kept, "90 % of your bytes") {
		t.Errorf("recorded: %q", kept)
	}
}
