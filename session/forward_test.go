package session

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/e2e/testkit"
)

// echo accepts what comes on chans and sends it back, half by half.
func echo(chans <-chan ssh.NewChannel) {
	for nc := range chans {
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(reqs)
		go func() {
			_, _ = io.Copy(ch, ch)
			_ = ch.CloseWrite()
			_ = ch.Close()
		}()
	}
}

// bounce sends text through a channel and returns what comes back.
func bounce(t *testing.T, ch ssh.Channel, reqs <-chan *ssh.Request, text string) string {
	t.Helper()
	go ssh.DiscardRequests(reqs)
	go func() {
		_, _ = io.WriteString(ch, text)
		_ = ch.CloseWrite()
	}()
	b, err := io.ReadAll(ch)
	if err != nil {
		t.Fatal(err)
	}
	_ = ch.Close()
	return string(b)
}

func TestForwardRelaysBothWaysAndCounts(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	go ssh.DiscardRequests(r.target.Requests)
	go echo(r.target.Channels)
	ch, reqs, err := r.client.Conn.OpenChannel("direct-tcpip", tcpPayload("localhost", 8888))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789", 100_000)
	if got := bounce(t, ch, reqs, text); got != text {
		t.Errorf("%d bytes came back", len(got))
	}
	testkit.Eventually(t, "forward.closed", func() bool { return len(r.log.All(audit.ForwardClosed)) == 1 })
	e := r.log.All(audit.ForwardClosed)[0]
	if e.BytesDown != 1_000_000 || e.BytesUp != 1_000_000 || e.Destination != "localhost:8888" {
		t.Errorf("forward.closed %+v", e)
	}
	if got := r.rec.text(0); strings.Contains(got, "0123456789") {
		t.Error("a forward's payload was recorded")
	}
}

func TestForwardThatTheTargetRefuses(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	r.serve(nil, nil)
	_, _, err := r.client.Conn.OpenChannel("direct-tcpip", tcpPayload("localhost", 8888))
	if err == nil || !strings.Contains(err.Error(), "entry: home.tinker: only sessions here (ref ref00000)") {
		t.Errorf("refusal %v", err)
	}
}

func TestListenOnAPortTheTargetChooses(t *testing.T) {
	r := newRig(t, mayAll, nil)
	r.serve(nil, func(req *ssh.Request) {
		_, port, ok := parseListen(req.Payload)
		switch {
		case !ok:
			_ = req.Reply(false, nil)
		case req.Type == "tcpip-forward" && port == 0:
			_ = req.Reply(true, binary.BigEndian.AppendUint32(nil, 40123))
		default:
			_ = req.Reply(true, nil)
		}
	})
	go echo(r.client.Channels)
	come := func(port uint32) error {
		ch, reqs, err := r.target.Conn.OpenChannel("forwarded-tcpip", tcpPayload("localhost", port))
		if err != nil {
			return err
		}
		if got := bounce(t, ch, reqs, "hello"); got != "hello" {
			t.Errorf("port %d: %q came back", port, got)
		}
		return nil
	}
	if err := come(40123); err == nil || !strings.Contains(err.Error(), "this connection didn't ask for it") {
		t.Errorf("a connection nobody asked for: %v", err)
	}
	ok, answer, err := r.client.Conn.SendRequest("tcpip-forward", true, listenPayload("", 0))
	if err != nil || !ok || !bytes.Equal(answer, []byte{0, 0, 0x9c, 0xbb}) {
		t.Fatalf("tcpip-forward: %v %x %v", ok, answer, err)
	}
	if err := come(40123); err != nil {
		t.Error(err)
	}
	if err := come(40124); err == nil {
		t.Error("a connection to another port came through")
	}
	if r.asks("cancel-tcpip-forward", listenPayload("", 40124)) {
		t.Error("a listen that doesn't exist was cancelled")
	}
	if !r.asks("cancel-tcpip-forward", listenPayload("", 40123)) {
		t.Error("cancelling was refused")
	}
	if err := come(40123); err == nil {
		t.Error("a connection came through after the listen was cancelled")
	}
	if e := r.log.All(audit.ListenOpened); len(e) != 1 || e[0].Destination != ":40123" {
		t.Errorf("listen.opened %+v", e)
	}
}

func TestListenOnASocket(t *testing.T) {
	r := newRig(t, mayAll, nil)
	r.serve(nil, func(req *ssh.Request) { _ = req.Reply(true, nil) })
	go echo(r.client.Channels)
	payload := ssh.Marshal(struct{ P, R string }{"/run/lab/sock", ""})
	if _, _, err := r.target.Conn.OpenChannel("forwarded-streamlocal@openssh.com", payload); err == nil {
		t.Error("a connection nobody asked for came through")
	}
	if !r.asks("streamlocal-forward@openssh.com", ssh.Marshal(struct{ P string }{"/run/lab/sock"})) {
		t.Fatal("the listen was refused")
	}
	ch, reqs, err := r.target.Conn.OpenChannel("forwarded-streamlocal@openssh.com", payload)
	if err != nil {
		t.Fatal(err)
	}
	if got := bounce(t, ch, reqs, "hello"); got != "hello" {
		t.Errorf("%q came back", got)
	}
	if !r.asks("cancel-streamlocal-forward@openssh.com", ssh.Marshal(struct{ P string }{"/run/lab/sock"})) {
		t.Error("cancelling was refused")
	}
}

func TestAgentAndX11OnlyOnceAskedFor(t *testing.T) {
	for _, c := range []struct {
		channel, request string
		channelPayload   []byte
		requestPayload   []byte
	}{
		{"auth-agent@openssh.com", "auth-agent-req@openssh.com", nil, nil},
		{"x11", "x11-req", ssh.Marshal(struct {
			A string
			P uint32
		}{"127.0.0.1", 6010}), x11Request},
	} {
		t.Run(c.channel, func(t *testing.T) {
			r := newRig(t, mayAll, nil)
			r.serve(func(_ ssh.Channel, reqs <-chan *ssh.Request) {
				for req := range reqs {
					_ = req.Reply(true, nil)
				}
			}, nil)
			go echo(r.client.Channels)
			if _, _, err := r.target.Conn.OpenChannel(c.channel, c.channelPayload); err == nil {
				t.Error("it opened before anybody asked")
			}
			if !r.open().request(t, c.request, c.requestPayload) {
				t.Fatal("the request was refused")
			}
			ch, reqs, err := r.target.Conn.OpenChannel(c.channel, c.channelPayload)
			if err != nil {
				t.Fatal(err)
			}
			if got := bounce(t, ch, reqs, "hello"); got != "hello" {
				t.Errorf("%q came back", got)
			}
		})
	}
}

func TestTheTargetMayOpenNothingElse(t *testing.T) {
	r := newRig(t, mayAll, nil)
	r.serve(nil, nil)
	for _, kind := range []string{"session", "direct-tcpip", "tun@openssh.com"} {
		if _, _, err := r.target.Conn.OpenChannel(kind, tcpPayload("localhost", 22)); err == nil {
			t.Errorf("%s opened towards the client", kind)
		}
	}
	if ok, _, _ := r.target.Conn.SendRequest("hostkeys-00@openssh.com", true, nil); ok {
		t.Error("hostkeys-00@openssh.com was taken")
	}
	if ok, _, err := r.target.Conn.SendRequest(keepAlive, true, nil); !ok || err != nil {
		t.Errorf("keep-alive: %v %v", ok, err)
	}
	if !r.asks("no-more-sessions@openssh.com", nil) {
		t.Error("no-more-sessions was refused")
	}
}

func TestNestedSSHRaisesAnAlarm(t *testing.T) {
	for _, c := range []struct {
		name, rule string
		pieces     []string
		back       string // what comes back through an echo
		alarm      string
	}{
		{"under a full recording", mayAllRecorded, []string{"SSH-2.0-OpenSSH_9.2\r\n"}, "", "refused"},
		{"in two pieces", mayAllRecorded, []string{"SSH-", "2.0-OpenSSH_9.2\r\n"}, "SSH-", "refused"},
		{"the old greeting", mayAllRecorded, []string{"SSH-1.99-x\r\n"}, "", "refused"},
		{"where nothing is recorded", mayAll, []string{"SSH-2.0-OpenSSH_9.2\r\n"}, "SSH-2.0-OpenSSH_9.2\r\n", "noticed"},
		{"something like it", mayAllRecorded, []string{"SSH-3.0-x\r\n"}, "SSH-3.0-x\r\n", ""},
		{"later in the stream", mayAllRecorded, []string{"x", "SSH-2.0-x\r\n"}, "xSSH-2.0-x\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.rule, nil)
			go ssh.DiscardRequests(r.target.Requests)
			go echo(r.target.Channels)
			ch, reqs, err := r.client.Conn.OpenChannel("direct-tcpip", tcpPayload("localhost", 8888))
			if err != nil {
				t.Fatal(err)
			}
			go ssh.DiscardRequests(reqs)
			var got []byte
			for i, piece := range c.pieces {
				if _, err := io.WriteString(ch, piece); err != nil {
					t.Fatal(err)
				}
				if i+1 < len(c.pieces) { // wait until it went through alone
					b := make([]byte, len(piece))
					n, _ := io.ReadFull(ch, b)
					got = append(got, b[:n]...)
				}
			}
			_ = ch.CloseWrite()
			rest, _ := io.ReadAll(ch)
			if got = append(got, rest...); string(got) != c.back {
				t.Errorf("%q came back, want %q", got, c.back)
			}
			_ = ch.Close()
			testkit.Eventually(t, "forward.closed", func() bool { return len(r.log.All(audit.ForwardClosed)) == 1 })
			alarm := ""
			if e := r.log.All(audit.AlarmNestedSSH); len(e) > 0 {
				alarm = e[0].Reason
			}
			if alarm != c.alarm {
				t.Errorf("alarm %q, want %q", alarm, c.alarm)
			}
		})
	}
}
