package session

import (
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
)

// What was granted is lost while the target has yet to say that it runs: nobody
// told the program.
func TestALostCapabilityReachesWhatIsBeingStarted(t *testing.T) {
	x := newRuled(t, mayAll)
	got := make(chan string, 10)
	r := newRig(t, mayAll, x.options)
	r.serve(func(ch ssh.Channel, reqs <-chan *ssh.Request) {
		for req := range reqs {
			name, _ := parseText(req.Payload, maxCommand)
			got <- req.Type + " " + name
			if req.Type == "exec" {
				x.becomes(mayLittle)
				continue // the answer never comes
			}
		}
		_ = ch.Close()
		close(got)
	}, nil)
	u := r.open()
	u.request(t, "exec", "sleep 1000")
	u.ends(t)
	for _, want := range []string{"exec sleep 1000", "signal HUP", "signal TERM"} {
		if now := <-got; now != want {
			t.Errorf("the target got %q, want %q", now, want)
		}
	}
}

// The policy changes after a program was decided and before the target has
// started it.
func TestARecheckSeesWhatIsBeingOpened(t *testing.T) {
	x := newRuled(t, mayAll)
	reached, goOn := make(chan struct{}), make(chan struct{})
	r := newRig(t, mayAll, x.options)
	r.serve(func(ch ssh.Channel, reqs <-chan *ssh.Request) {
		for req := range reqs {
			if req.Type == "exec" {
				close(reached)
				<-goOn
			}
			_ = req.Reply(true, nil)
		}
	}, nil)
	u := r.open()
	go u.SendRequest("exec", true, ssh.Marshal(struct{ S string }{"id"}))
	<-reached
	x.becomes(mayLittle)
	close(goOn)
	if u.ends(t); u.exit != exitEnded || !strings.Contains(u.stderr(), mayNot("exec")) {
		t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
	}
	if e := r.log.All(audit.ChannelClosed); len(e) != 1 || e[0].Reason != refusal.CapabilityLost.String() {
		t.Errorf("channel.closed %+v", e)
	}
}

// The policy changes while it is being asked: the answer is old once it comes.
func TestARecheckSeesWhatIsBeingDecided(t *testing.T) {
	x := newRuled(t, mayAll)
	var slow atomic.Bool
	reached, goOn := make(chan struct{}), make(chan struct{})
	r := newRig(t, mayAll, func(o *Options) {
		x.options(o)
		o.Stands = o.Decide
		decide := o.Decide
		o.Decide = func() (policy.Grant, error) {
			g, err := decide()
			if slow.Swap(false) {
				close(reached)
				<-goOn
			}
			return g, err
		}
	})
	r.serve(accepting(waits), nil)
	u := r.open()
	slow.Store(true)
	go u.SendRequest("exec", true, ssh.Marshal(struct{ S string }{"id"}))
	<-reached
	x.becomes(mayLittle)
	x.change <- struct{}{} // taken once the first one began
	x.change <- struct{}{}
	close(goOn)
	if u.ends(t); u.exit != exitEnded || !strings.Contains(u.stderr(), mayNot("exec")) {
		t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
	}
}
