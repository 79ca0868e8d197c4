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
	_, gone = r.taker()
	return gone
}

// taker is takesNothing that leaves the reading to the test.
func (r *rig) taker() (output ssh.Channel, gone <-chan struct{}) {
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
	return ch, closed
}

// roomFor is what that many streams that nobody takes hold, as it comes on the wire,
// and not what one more does.
func roomFor(streams int64) int64 { return streams*mayHold + mayHold/4 }

// backlogOf is an option with room for that many streams.
func backlogOf(t *testing.T, streams int64) func(*Options) {
	g := group.New(context.Background(), nil)
	t.Cleanup(func() { g.Cancel(nil); g.Wait() })
	return func(o *Options) {
		o.MaxSessions = 50
		o.Backlog = NewBacklog(roomFor(streams), nil, g)
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
	user := NewBacklog(roomFor(3), nil, nil)
	var rigs []*rig
	for range 2 {
		r := newRig(t, mayAllRecorded, func(o *Options) { o.Backlog = NewBacklog(roomFor(100), user, g) })
		r.floods()
		rigs = append(rigs, r)
		r.takesNothing()
		r.takesNothing()
	}
	testkit.Eventually(t, "one of four ends", func() bool { return rigs[0].ended()+rigs[1].ended() == 1 })
}

// Input of programs that a client never starts is in memory like all that nobody
// takes: beyond the bound the channel that has it longest ends. One that has none, or
// starts its program in time, loses nothing.
func TestInputBeforeAProgramIsBounded(t *testing.T) {
	r := newRig(t, mayAllRecorded, backlogOf(t, 4))
	r.floods()
	later, idle := r.open(), r.open()
	for range 5 {
		_, err := r.open().Write(make([]byte, 2<<20)) // all that a window holds
		testkit.Check(t, err)
	}
	_, err := later.Write([]byte("early"))
	testkit.Check(t, err)
	if !later.request(t, "exec", "echo") {
		t.Fatal("a program after its first input was refused")
	}
	testkit.Eventually(t, "the echo of what came early", func() bool { return later.stdout() == "early" })
	testkit.Eventually(t, "one of five ends", func() bool { return r.ended() == 1 })
	idle.request(t, "exec", "echo")
	_, err = idle.Write([]byte("k"))
	testkit.Check(t, err)
	testkit.Eventually(t, "the echo", func() bool { return idle.stdout() == "k" })
	if n := r.ended(); n != 1 {
		t.Errorf("%d ended", n)
	}
}

// Packets of a byte take fifty in memory: a window of them is no stream among others,
// but what fifty take, and ends like those.
func TestPacketsOfAByteAreBounded(t *testing.T) {
	r := newRig(t, mayAllRecorded, backlogOf(t, 1))
	r.serveAll()
	quick := r.open()
	quick.request(t, "exec", "cat")
	never := r.open()
	go func() {
		for {
			if _, err := never.Write([]byte{'x'}); err != nil {
				return
			}
		}
	}()
	testkit.Eventually(t, "it ends", func() bool { return r.ended() == 1 })
	_, err := quick.Write([]byte("k"))
	testkit.Check(t, err)
	testkit.Eventually(t, "the echo", func() bool { return quick.stdout() == "k" })
}

// Who takes a byte now and then holds as much as who takes nothing, and ends as well.
func TestWhoTakesAByteNowAndThenEnds(t *testing.T) {
	r := newRig(t, mayAllRecorded, backlogOf(t, 2))
	r.floods()
	stop := make(chan struct{})
	defer close(stop)
	for range 4 {
		ch, gone := r.taker()
		go func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					_, _ = ch.Read(make([]byte, 1))
				case <-gone:
					return
				case <-stop:
					return
				}
			}
		}()
	}
	testkit.Eventually(t, "two of four end", func() bool { return r.ended() == 2 })
}

// What a peer sends in the place of a program's standard error, where that has no
// meaning, isn't kept: a client could leave a window of it in each channel.
func TestExtendedDataIsNotKept(t *testing.T) {
	r := newRig(t, mayAll, nil)
	r.serveAll()
	forward, reqs, err := r.client.Conn.OpenChannel("direct-tcpip", tcpPayload("localhost", 8888))
	testkit.Check(t, err)
	go ssh.DiscardRequests(reqs)
	running := r.open()
	running.request(t, "exec", "cat")
	for name, ch := range map[string]ssh.Channel{"not started": r.open(), "running": running, "forward": forward} {
		testkit.Finishes(t, name+" takes more than a window", func() {
			_, err := ch.Stderr().Write(make([]byte, 5<<20))
			testkit.Check(t, err)
		})
	}
}
