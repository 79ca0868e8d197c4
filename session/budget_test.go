package session

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit"
	"entry/policy"
	"entry/session/fastconn"
	"entry/session/recording"
)

// purse is a Budget of so many bytes.
type purse struct {
	gate  chan struct{} // nil, or Take waits until it is closed
	mu    sync.Mutex
	left  int64
	takes int
	empty error
}

func newPurse(bytes int64) *purse {
	return &purse{left: bytes, empty: &refusal.Error{Text: "today's 1 MB towards this client are used up", Code: refusal.Budget}}
}

// open lets those go on who wait at the gate, with so many bytes.
func (p *purse) open(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = bytes
	close(p.gate)
}

func (p *purse) Take(ctx context.Context, want int64) (int64, error) {
	if p.gate != nil {
		<-p.gate
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takes++
	if p.left == 0 {
		return 0, p.empty
	}
	got := min(want, p.left)
	p.left -= got
	return got, ctx.Err()
}

func (p *purse) Return(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left += n
}

func (p *purse) state() (left int64, takes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left, p.takes
}

// sender sends n bytes to every program that is started.
func sender(n int) func(ssh.Channel, <-chan *ssh.Request) {
	return accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		_, _ = ch.Write(make([]byte, n))
		exitWith(ch, 0)
	})
}

func TestEveryByteIsTakenOutOfTheBudget(t *testing.T) {
	const size = 30 << 20
	down, up := newPurse(100<<20), newPurse(100<<20)
	r := newRig(t, mayAll, func(o *Options) { o.BudgetDown, o.BudgetUp = down, up })
	r.serve(sender(size), nil)
	u := r.open()
	u.request(t, "exec", "cat file")
	if u.ends(t); len(u.stdout()) != size || u.exit != 0 {
		t.Errorf("%d bytes, status %d", len(u.stdout()), u.exit)
	}
	r.client.Conn.Close()
	r.wait()
	left, takes := down.state()
	if used := 100<<20 - left; used != size {
		t.Errorf("%d bytes were taken out for %d", used, size)
	}
	if takes > 40 {
		t.Errorf("the budget was asked %d times", takes)
	}
	if left, takes := up.state(); left != 100<<20 || takes != 0 {
		t.Errorf("upwards %d bytes are left after %d takes", left, takes)
	}
}

func TestASpentBudgetEndsTheTransfer(t *testing.T) {
	for _, c := range []struct {
		name    string
		pty     bool
		request string
		payload any
		text    string
		reason  string
		err     error
	}{
		{"a shell", true, "shell", nil, "\r\nentry: today's 1 MB towards this client are used up (ref ref00000)\r\n", refusal.Budget.String(), nil},
		{"a command", false, "exec", "cat file", "entry: today's 1 MB towards this client are used up (ref ref00000)\n", refusal.Budget.String(), nil},
		{"sftp", false, "subsystem", "sftp", "entry: today's 1 MB towards this client are used up (ref ref00000)\n", refusal.Budget.String(), nil},
		{"a denial", false, "exec", "cat file", "entry: home.tinker isn't open to you; ask your lab's administrator (ref ref00000)\n", refusal.Budget.String(),
			&policy.Denied{User: "alice", Target: "home.tinker"}},
		{"a budget that fails", false, "exec", "cat file", "entry: how much may still be moved can't be checked right now (ref ref00000)\n", "unavailable",
			errors.New("secret internals")},
	} {
		t.Run(c.name, func(t *testing.T) {
			down := newPurse(1 << 20)
			if c.err != nil {
				down.empty = c.err
			}
			r := newRig(t, mayAllRecorded, func(o *Options) { o.BudgetDown, o.decoder = down, asItComes })
			r.serve(sender(2<<20), nil)
			u := r.open()
			if c.pty {
				u.request(t, "pty-req", testPty)
			}
			u.request(t, c.request, c.payload)
			if u.ends(t); u.stderr() != c.text || u.exit != exitEnded {
				t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
			}
			if n := len(u.stdout()); n > 1<<20 || n < 1<<20-fastconn.BulkChunk {
				t.Errorf("%d bytes arrived", n)
			}
			if c.request == "exec" && len(u.stdout()) != len(r.rec.text(recording.Output)) {
				t.Errorf("%d bytes arrived, %d were recorded", len(u.stdout()), len(r.rec.text(recording.Output)))
			}
			e := r.log.All(audit.ChannelClosed)
			if len(e) != 1 || e[0].Reason != c.reason || e[0].Ref != "ref00000" || e[0].BytesDown != int64(len(u.stdout())) {
				t.Errorf("channel.closed %+v", e)
			}
			if r.open().request(t, "pty-req", testPty); r.err != nil {
				t.Errorf("the session ended: %v", r.err)
			}
		})
	}
}

func TestASpentBudgetEndsAForward(t *testing.T) {
	up := newPurse(100_000)
	r := newRig(t, mayAll, func(o *Options) { o.BudgetUp = up })
	go ssh.DiscardRequests(r.target.Requests)
	go echo(r.target.Channels)
	ch, reqs, err := r.client.Conn.OpenChannel("direct-tcpip", tcpPayload("localhost", 8888))
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	go func() { _, _ = ch.Write(make([]byte, 1<<20)) }()
	b, err := io.ReadAll(ch)
	if err != nil || len(b) > 100_000 {
		t.Errorf("%d bytes came back, %v", len(b), err)
	}
	testkit.Eventually(t, "forward.closed", func() bool { return len(r.log.All(audit.ForwardClosed)) == 1 })
	if e := r.log.All(audit.ForwardClosed)[0]; e.Reason != refusal.Budget.String() || e.BytesUp > 100_000 || e.Destination != "localhost:8888" || e.Policy == "" {
		t.Errorf("forward.closed %+v", e)
	}
}

func TestWhatIsReservedComesBackFromAQuietSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := newPurse(1 << 20)
		r := newRig(t, mayAll, func(o *Options) { o.BudgetDown = down })
		go func() {
			for req := range r.target.Requests {
				_ = req.Reply(false, nil) // keep-alives
			}
		}()
		go func() {
			for nc := range r.target.Channels {
				ch, reqs, _ := nc.Accept()
				go accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) { _, _ = io.Copy(ch, ch) })(ch, reqs)
			}
		}()
		u := r.open()
		u.request(t, "exec", "cat")
		_, _ = io.WriteString(u, "x")
		synctest.Wait()
		if left, _ := down.state(); left != 1<<20-firstBlock {
			t.Errorf("%d bytes are left", left)
		}
		time.Sleep(31 * time.Second) // two intervals of synctest's clock: in the first one something moved
		if left, _ := down.state(); left != 1<<20-1 {
			t.Errorf("%d bytes are left after a while", left)
		}
		r.client.Conn.Close()
		<-r.done
	})
}

// Many channels together spend exactly what is there.
func TestAnAllowanceIsExact(t *testing.T) {
	const size = 10<<20 + 7
	p := newPurse(size)
	var a allowance
	a.budget = p
	var all sync.WaitGroup
	var spent [8]int64
	for i := range spent {
		all.Go(func() {
			for a.take(context.Background(), i+1) == nil {
				spent[i] += int64(i + 1)
			}
		})
	}
	all.Wait()
	a.giveBack()
	var sum int64
	for _, n := range spent {
		sum += n
	}
	if left, _ := p.state(); sum+left != size || left >= int64(len(spent)) {
		t.Errorf("%d spent and %d left of %d", sum, left, size)
	}
}
