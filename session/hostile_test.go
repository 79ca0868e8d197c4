package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit"
)

// huge says that 4 GiB follow, and nothing does.
var huge = []byte{0xff, 0xff, 0xff, 0xff}

func TestMalformedPayloadsAreRefused(t *testing.T) {
	pty := ssh.Marshal(testPty)
	for _, c := range []struct {
		request string
		payload []byte
	}{
		{"pty-req", huge},
		{"pty-req", nil},
		{"pty-req", pty[:len(pty)-1]},
		{"pty-req", append(pty[:len(pty):len(pty)], 0)},
		{"pty-req", ssh.Marshal(ptyPayload{"xterm", 80, 24, 0, 0, strings.Repeat("m", maxModes+1)})},
		{"pty-req", ssh.Marshal(ptyPayload{"xterm", 1 << 20, 24, 0, 0, ""})},
		{"env", huge},
		{"env", ssh.Marshal(struct{ N, V string }{"LC_ALL", "a\x00b"})},
		{"exec", huge},
		{"exec", nil},
		{"exec", ssh.Marshal(struct{ C string }{strings.Repeat("x", maxCommand+1)})},
		{"shell", []byte("x")},
		{"subsystem", huge},
		{"x11-req", huge},
		{"auth-agent-req@openssh.com", []byte("x")},
		{"window-change", huge},
		{"signal", huge}, // and out of order
		{"break", nil},
		{"exit-status", []byte{0, 0, 0, 0}}, // not a client's to send
		{strings.Repeat("r", 30_000), nil},
	} {
		name := c.request
		if len(name) > 40 {
			name = "a long name"
		}
		t.Run(name, func(t *testing.T) {
			r := newRig(t, mayAllRecorded, nil)
			r.serveAll()
			u := r.open()
			granted := u.request(t, c.request, c.payload)
			if c.request == "exec" || c.request == "subsystem" { // refused by a line
				if u.ends(t); u.exit != exitEnded || u.stderr() == "" {
					t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
				}
				u = r.open()
			} else if granted {
				t.Error("it was granted")
			}
			if !u.request(t, "pty-req", testPty) { // the session goes on
				t.Error("a good request was refused afterwards")
			}
		})
	}
	for _, kind := range []string{"direct-tcpip", "direct-streamlocal@openssh.com"} {
		r := newRig(t, mayAll, nil)
		r.serveAll()
		for _, payload := range [][]byte{nil, huge, append(tcpPayload("localhost", 1<<16), 0), tcpPayload("localhost", 1<<16)} {
			if r.opens(kind, payload) {
				t.Errorf("%s opened with %x", kind, payload)
			}
		}
	}
	r := newRig(t, mayAll, nil)
	r.serveAll()
	for _, name := range []string{"tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com", "cancel-streamlocal-forward@openssh.com"} {
		for _, payload := range [][]byte{nil, huge, listenPayload("", 1<<16)} {
			if r.asks(name, payload) {
				t.Errorf("%s was granted with %x", name, payload)
			}
		}
	}
}

// The target never answers: what doesn't need its answer goes on, and leaving
// takes no longer than usual.
func TestATargetThatNeverAnswersARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, mayAll, nil)
		resized := make(chan struct{}, 100)
		r.serve(func(_ ssh.Channel, reqs <-chan *ssh.Request) {
			for req := range reqs {
				if req.Type == "window-change" {
					resized <- struct{}{}
				}
				if req.Type == "pty-req" {
					_ = req.Reply(true, nil)
				}
			}
		}, nil)
		u := r.open()
		if !u.request(t, "pty-req", testPty) {
			t.Fatal("pty-req was refused")
		}
		go u.SendRequest("shell", true, nil)
		synctest.Wait()
		for range 1000 { // they wait behind the shell, as one
			if _, err := u.SendRequest("window-change", false, ssh.Marshal(struct{ C, R, W, H uint32 }{80, 25, 0, 0})); err != nil {
				t.Fatal(err)
			}
		}
		if !r.asks(keepAlive, nil) {
			t.Error("a keep-alive wasn't answered")
		}
		second := r.open()
		if !second.request(t, "pty-req", testPty) {
			t.Error("another channel was stopped")
		}
		began := time.Now()
		r.client.Conn.Close()
		<-r.done
		if d := time.Since(began); d > deliveryGrace+time.Second {
			t.Errorf("leaving took %v", d)
		}
		if r.err != nil {
			t.Errorf("Relay = %v", r.err)
		}
	})
}

func TestAFloodOfRequestsEndsTheSession(t *testing.T) {
	for _, c := range []struct {
		name  string
		flood func(*rig, *userChannel) error
	}{
		{"on a channel", func(_ *rig, u *userChannel) error {
			_, err := u.SendRequest("signal", false, ssh.Marshal(struct{ N string }{"USR1"}))
			return err
		}},
		{"global", func(r *rig, _ *userChannel) error {
			_, _, err := r.client.Conn.SendRequest("tcpip-forward", false, listenPayload("", 8080))
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, mayAll, nil)
			go func() { // answers nothing
				for range r.target.Requests {
				}
			}()
			go func() {
				for nc := range r.target.Channels {
					_, reqs, err := nc.Accept()
					if err == nil {
						go func() {
							for range reqs {
							}
						}()
					}
				}
			}()
			u := r.open()
			go u.SendRequest("shell", true, nil)
			for range 100_000 {
				if c.flood(r, u) != nil {
					break
				}
			}
			r.wait()
			wantEnd(t, r.err, refusal.Flood)
		})
	}
}

func TestChannelsAreLimited(t *testing.T) {
	r := newRig(t, mayAll, func(o *Options) { o.MaxSessions, o.MaxOthers = 3, 2 })
	r.serveAll()
	var open []ssh.Channel
	try := func(kind string, payload []byte) bool {
		ch, reqs, err := r.client.Conn.OpenChannel(kind, payload)
		if err != nil {
			if !strings.Contains(err.Error(), "no more than") {
				t.Errorf("refusal %v", err)
			}
			return false
		}
		go ssh.DiscardRequests(reqs)
		open = append(open, ch)
		return true
	}
	for i := range 100 {
		if got := try("session", nil); got != (i < 3) {
			t.Fatalf("session channel %d: %v", i, got)
		}
		if got := try("direct-tcpip", tcpPayload("localhost", 80)); got != (i < 2) {
			t.Fatalf("forward %d: %v", i, got)
		}
	}
	if n := len(r.log.All(audit.ChannelRefused)); n > 20 {
		t.Errorf("195 refusals gave %d events", n)
	}
	for _, ch := range open {
		_ = ch.Close()
	}
	testkit.Eventually(t, "room again", func() bool {
		ch, reqs, err := r.client.Conn.OpenChannel("session", nil)
		if err == nil {
			go ssh.DiscardRequests(reqs)
			_ = ch.Close()
		}
		return err == nil
	})
}

// A session channel gave its place back twice, so that each one that had ended
// let one more than the limit be open.
func TestAnEndedChannelGivesOnePlaceBack(t *testing.T) {
	r := newRig(t, mayAll, func(o *Options) { o.MaxSessions = 2 })
	r.serveAll()
	open := func() ssh.Channel {
		ch, reqs, err := r.client.Conn.OpenChannel("session", nil)
		if err != nil {
			return nil
		}
		go ssh.DiscardRequests(reqs)
		return ch
	}
	for range 5 {
		var ch ssh.Channel
		testkit.Eventually(t, "a place", func() bool { ch = open(); return ch != nil })
		_ = ch.Close()
	}
	testkit.Eventually(t, "the ends", func() bool { return len(r.log.All(audit.ChannelClosed)) == 5 })
	n := 0
	testkit.Eventually(t, "the limit", func() bool {
		if open() == nil {
			return n >= 2
		}
		n++
		return false
	})
	if n != 2 {
		t.Errorf("%d session channels are open at once", n)
	}
}

// A reader that takes nothing stops its own channel and no other.
func TestASlowReaderStopsOnlyItself(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	r.floods()
	slow, reqs, err := r.client.Conn.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	if ok, err := slow.SendRequest("exec", true, ssh.Marshal(struct{ C string }{"flood"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	quick := r.open()
	quick.request(t, "exec", "echo")
	for i := range 50 {
		_, _ = quick.Write([]byte("k"))
		testkit.Eventually(t, "the echo", func() bool { return len(quick.stdout()) == i+1 })
	}
	// The flooded channel's own signals and sizes pass as well.
	if _, err := slow.SendRequest("signal", false, ssh.Marshal(struct{ S string }{"INT"})); err != nil {
		t.Error(err)
	}
}

// says is a target whose programs write a text and end.
func (r *rig) says(text string) {
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		_, _ = ch.Write([]byte(text))
		exitWith(ch, 0)
	}), nil)
}

func TestOutputBeyondTheLimitBecomesADigest(t *testing.T) {
	r := newRig(t, mayAllRecorded+"\nbulk: {keep: 100000}", nil)
	text := strings.Repeat("0123456789", 50_000)
	r.says(text)
	u := r.open()
	u.request(t, "exec", "tar c .")
	if u.ends(t); u.stdout() != text {
		t.Errorf("%d bytes delivered", len(u.stdout()))
	}
	end := len(text) - maxEnd
	if got := r.rec.text(1); got != text[:100_000]+text[end:] {
		t.Errorf("%d bytes recorded", len(got))
	}
	want := fmt.Sprintf(`{"stream":"output","omitted_bytes":%d,"sha256":"%s","why":"bulk"}`, end-100_000, strings.TrimPrefix(digest(text[100_000:end]), "sha256:"))
	if got := r.rec.text(7); got != want {
		t.Errorf("transfer %s, want %s", got, want)
	}
	// A terminal's output is kept whatever its length.
	u = r.open()
	u.request(t, "pty-req", testPty)
	u.request(t, "shell", nil)
	u.ends(t)
	if got := r.rec.text(1); got != text[:100_000]+text[end:]+text {
		t.Errorf("%d bytes recorded of both", len(got))
	}
}

// Where everything has to be kept, nothing becomes a digest: the user was told so.
func TestACompleteRecordingHasAllOutput(t *testing.T) {
	r := newRig(t, mayAllRecorded+"\nrecord_complete: true\nbulk: {keep: 100000}", nil)
	text := strings.Repeat("0123456789", 50_000)
	r.says(text)
	u := r.open()
	u.request(t, "exec", "tar c .")
	u.ends(t)
	r.client.Conn.Close()
	r.wait()
	if got := r.rec.text(1); got != text {
		t.Errorf("%d bytes recorded", len(got))
	}
	if e := r.log.All(audit.ChannelClosed); len(e) != 1 || e[0].Coverage != "recorded" {
		t.Errorf("%+v", e)
	}
}

// What isn't SFTP though it is called so ends, without its payload in the recording,
// and the channel says that it lacks something.
func TestWhatIsNoSFTPEnds(t *testing.T) {
	r := newRig(t, mayAllRecorded+"\nrecord_input: true", nil)
	r.serveAll()
	u := r.open()
	if !u.request(t, "subsystem", "sftp") {
		t.Fatal("sftp was refused")
	}
	_, _ = u.Write([]byte("a file's contents"))
	if u.ends(t); !strings.HasPrefix(u.stderr(), "entry: what came isn't sftp as its protocol has it") || u.exit != exitEnded {
		t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
	}
	if got := r.rec.text(1) + r.rec.text(3); got != "" {
		t.Errorf("payload was recorded: %q", got)
	}
	if e := r.log.All(audit.ExecRequested); len(e) != 1 || e[0].Program != "sftp" {
		t.Errorf("exec.requested %+v", e)
	}
	if e := r.log.All(audit.TransferDesync); len(e) != 1 || e[0].Program != "sftp" || e[0].Channel == nil {
		t.Errorf("transfer.desync %+v", e)
	}
	if e := r.log.All(audit.ChannelClosed); len(e) != 1 || e[0].Coverage != "partial" || !slices.Equal(e[0].Missing, []audit.Missing{{Why: "desync"}}) {
		t.Errorf("channel.closed %+v", e)
	}
}

func TestInputIsRecordedWherePolicySaysSo(t *testing.T) {
	r := newRig(t, mayAllRecorded+"\nrecord_input: true", nil)
	r.serve(accepting(waits), nil)
	u := r.open()
	u.request(t, "pty-req", testPty)
	u.request(t, "shell", nil)
	_, _ = u.Write([]byte("ls\r"))
	testkit.Eventually(t, "the input", func() bool { return r.rec.text(3) == "ls\r" })
}
