package session

import (
	"context"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/group"
)

// floods is a target whose command "flood" writes without end; any other one
// echoes.
func (r *rig) floods() {
	r.serve(accepting(func(ch ssh.Channel, req *ssh.Request, _ <-chan *ssh.Request) {
		if command, _ := parseText(req.Payload, 100); command == "flood" {
			for {
				if _, err := ch.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}
		b := make([]byte, 1)
		for {
			if _, err := ch.Read(b); err != nil {
				return
			}
			_, _ = ch.Write(b)
		}
	}), nil)
}

// takesNothing opens a channel whose output nobody reads. gone is closed with it.
func (r *rig) takesNothing() (gone <-chan struct{}) {
	r.t.Helper()
	ch, reqs, err := r.client.Conn.OpenChannel("session", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		ssh.DiscardRequests(reqs)
	}()
	if ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ C string }{"flood"})); !ok || err != nil {
		r.t.Fatal(ok, err)
	}
	return closed
}

// backlogOf is an option with room for that many streams.
func backlogOf(t *testing.T, streams int64) func(*Options) {
	g := group.New(context.Background(), nil)
	t.Cleanup(func() { g.Cancel(nil); g.Wait() })
	return func(o *Options) {
		o.MaxSessions = 50
		o.Backlog = NewBacklog(streams*mayHold, nil, g)
	}
}

// ended counts the channels that were ended because nobody took what they had.
func (r *rig) ended() (n int) {
	for _, e := range r.log.All(audit.ChannelClosed) {
		if e.Reason == "backlog" {
			n++
		}
	}
	return n
}

// Channels that take nothing end once there are too many of them, the longest
// stalled first; one that is in use doesn't, and new ones wait for that.
func TestWhatIsNotTakenIsBounded(t *testing.T) {
	r := newRig(t, mayAllRecorded, backlogOf(t, 4))
	r.floods()
	quick := r.open()
	quick.request(t, "exec", "echo")
	var gone []<-chan struct{}
	for range 6 {
		gone = append(gone, r.takesNothing())
	}
	testkit.Eventually(t, "two of six end", func() bool { return r.ended() == 2 })
	testkit.Eventually(t, "four of six are left", func() bool {
		left := 0
		for _, c := range gone {
			select {
			case <-c:
			default:
				left++
			}
		}
		return left == 4
	})
	for i := range 20 {
		_, _ = quick.Write([]byte("k"))
		testkit.Eventually(t, "the echo", func() bool { return len(quick.stdout()) == i+1 })
	}
	another := r.open() // there is room again
	another.request(t, "exec", "echo")
	if n := r.ended(); n != 2 {
		t.Errorf("%d ended", n)
	}
}

// Beyond twice the bound nothing is waited for.
func TestFarTooMuchEndsAtOnce(t *testing.T) {
	r := newRig(t, mayAllRecorded, backlogOf(t, 2))
	r.floods()
	began := time.Now()
	for range 3 {
		r.takesNothing()
	}
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		for range 5 {
			r.takesNothing()
		}
	}()
	testkit.Eventually(t, "some end", func() bool { return r.ended() > 0 })
	testkit.Receive(t, "the others open", opened)
	if took := time.Since(began); took > testkit.Bound(20*time.Second) {
		t.Errorf("it took %s", took)
	}
	testkit.Eventually(t, "only what has room is left", func() bool { return r.ended() >= 6 })
}

// TestBacklogOfAUser: two connections share what their user may have.
func TestBacklogOfAUser(t *testing.T) {
	g := group.New(context.Background(), nil)
	t.Cleanup(func() { g.Cancel(nil); g.Wait() })
	user := NewBacklog(3*mayHold, nil, nil)
	var rigs []*rig
	for range 2 {
		r := newRig(t, mayAllRecorded, func(o *Options) { o.Backlog = NewBacklog(100*mayHold, user, g) })
		r.floods()
		rigs = append(rigs, r)
		r.takesNothing()
		r.takesNothing()
	}
	testkit.Eventually(t, "one of four ends", func() bool { return rigs[0].ended()+rigs[1].ended() == 1 })
}
