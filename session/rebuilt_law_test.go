package session

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// sent is a request, or what came with the opening of a channel.
type sent struct{ what, payload string }

// guess makes what peers send.
type guess struct{ *rand.Rand }

func (g guess) of(all ...string) string { return all[g.IntN(len(all))] }

// name is a socket's that policy may know.
func (g guess) name() string {
	return g.of("blåbær", "hub.sock", "日本", `a"b\\c`, "x<&>y", "\U0001f600") + strconv.Itoa(g.IntN(100))
}

// bytes is any bytes, at most most.
func (g guess) bytes(most int) string {
	b := make([]byte, g.IntN(most+1))
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	if g.IntN(3) == 0 {
		b = bytes.ToValidUTF8(b, []byte("å"))
	}
	return string(b[:min(len(b), most)])
}

func (g guess) pixels() uint32 { return []uint32{0, 640, g.Uint32()}[g.IntN(3)] }

func (g guess) size() recording.Size {
	return recording.Size{Cols: g.Uint32N(maxCells + 1), Rows: g.Uint32N(maxCells + 1), Width: g.pixels(), Height: g.pixels()}
}

// request is one of that type that a client may send.
func (g guess) request(kind string) []byte {
	switch kind {
	case "pty-req":
		s := g.size()
		return ssh.Marshal(ptyPayload{g.bytes(maxTerm), s.Cols, s.Rows, s.Width, s.Height, g.bytes(maxModes)})
	case "window-change":
		return g.size().Payload()
	case "env":
		return ssh.Marshal(struct{ N, V string }{"LC_" + g.of("A", `q"\\`, "<&>", "x.y-z") + strconv.Itoa(g.IntN(9)), strings.ReplaceAll(g.bytes(300), "\x00", "")})
	case "exec":
		return ssh.Marshal(struct{ S string }{"x" + g.bytes(2000)})
	case "subsystem":
		return ssh.Marshal(struct{ S string }{"x" + g.bytes(maxSubsystem-1)})
	case "signal":
		return ssh.Marshal(struct{ S string }{g.bytes(maxSignal)})
	case "break":
		return ssh.Marshal(struct{ N uint32 }{g.Uint32()})
	case "x11-req":
		return ssh.Marshal(struct {
			Single        bool
			Proto, Cookie string
			Screen        uint32
		}{g.IntN(2) == 0, g.bytes(maxTerm), g.bytes(300), g.Uint32()})
	}
	return nil
}

// rebuilt is what a recording says was asked for, in its order.
func rebuilt(t *testing.T, frames []frame) (requests, opened []sent, exit *recording.ExitStatus) {
	t.Helper()
	pty := false
	for _, x := range frames {
		f := recording.Frame{Kind: x.kind, Channel: x.channel, Data: []byte(x.data)}
		switch f.Kind {
		case recording.Request:
			switch r := f.Request(); {
			case r.Type == "channel-open" && r.Opening != nil:
				opened = append(opened, sent{string(r.Name), string(r.Opening.Payload(string(r.Name)))})
			case !strings.HasPrefix(r.Type, "channel-"):
				requests = append(requests, sent{r.Type, string(r.Payload())})
				pty = r.Type == "pty-req"
			}
		case recording.Resize:
			s, ok := f.Size()
			if !ok {
				t.Errorf("the size %q can't be read", f.Data)
			}
			if !pty { // else it says again what pty-req said
				requests = append(requests, sent{"window-change", string(s.Payload())})
			}
			pty = false
		case recording.Exit:
			exit = f.Exit()
		}
	}
	return requests, opened, exit
}

// Whatever bytes a client puts into a request that reaches the target, and the target into
// the end of a program, the recording has: the same payload can be made of it, byte for byte.
func TestRequestsCanBeRebuilt(t *testing.T) {
	unrecorded := []string{"eow@openssh.com", keepAlive} // which carry nothing
	did := map[string]bool{}
	for round := range uint64(testkit.Long(100, 5000)) {
		g := guess{rand.New(rand.NewPCG(round, 7))}
		r := newRig(t, strings.Replace(mayAll, "record: metadata", "record: manifest", 1), nil)
		var mu sync.Mutex
		var got []sent
		end := ssh.Marshal(struct {
			Name string
			Core bool
			M, L string
		}{g.bytes(maxSignal), g.IntN(2) == 0, g.bytes(maxMessage), g.bytes(20)})
		ended := make(chan struct{})
		r.serve(func(ch ssh.Channel, reqs <-chan *ssh.Request) {
			go func() {
				<-ended
				_, _ = ch.SendRequest("exit-signal", false, end)
				_ = ch.Close()
			}()
			for req := range reqs {
				mu.Lock()
				got = append(got, sent{req.Type, string(req.Payload)})
				mu.Unlock()
				_ = req.Reply(true, nil)
			}
		}, nil)
		u := r.open()
		var asked []sent
		ask := func(kind string) {
			p := g.request(kind)
			if ok, err := u.SendRequest(kind, true, p); !ok || err != nil {
				t.Fatalf("round %d: %s %q refused: %v", round, kind, p, err)
			}
			asked, did[kind] = append(asked, sent{kind, string(p)}), true
		}
		for _, kind := range []string{"env", "pty-req", "window-change", "env", "x11-req", "auth-agent-req@openssh.com", "env", "window-change", g.of("exec", "subsystem", "shell"), "signal", "break", "window-change", "signal"} {
			ask(kind)
		}
		close(ended)
		testkit.Receive(t, "the channel is closed", u.closed)
		r.client.Conn.Close()
		r.wait()
		requests, _, exit := rebuilt(t, r.rec.frames)
		if !slices.Equal(got, asked) || !slices.Equal(requests, asked) {
			t.Fatalf("round %d: of\n%q\nthe target got\n%q\nand the recording has\n%q", round, asked, got, requests)
		}
		if exit == nil || !bytes.Equal(exit.Payload(), end) {
			t.Fatalf("round %d: of %q the recording has %+v", round, end, exit)
		}
	}
	for kind := range requests {
		if !did[kind] && !slices.Contains(unrecorded, kind) {
			t.Errorf("nothing is tried of %s", kind)
		}
	}
}

// The same of what comes with the opening of channels, from either side.
func TestOpeningsCanBeRebuilt(t *testing.T) {
	for round := range uint64(testkit.Long(100, 5000)) {
		g := guess{rand.New(rand.NewPCG(round, 8))}
		r := newRig(t, strings.Replace(mayAll, "record: metadata", "record: manifest", 1), nil)
		go func() {
			for req := range r.target.Requests {
				_ = req.Reply(true, nil)
			}
		}()
		socket := "/run/lab/" + g.name()
		for kind, p := range map[string][]byte{"tcpip-forward": listenPayload("", 8080), "streamlocal-forward@openssh.com": ssh.Marshal(struct{ P string }{socket})} {
			if ok, _, err := r.client.Conn.SendRequest(kind, true, p); !ok || err != nil {
				t.Fatalf("round %d: %s %q refused: %v", round, kind, p, err)
			}
		}
		others := make(chan ssh.NewChannel)
		go func() {
			defer close(others)
			for nc := range r.target.Channels {
				if nc.ChannelType() != "session" {
					others <- nc
				} else if ch, reqs, err := nc.Accept(); err == nil {
					go accepting(func(ssh.Channel, *ssh.Request, <-chan *ssh.Request) {})(ch, reqs)
				}
			}
		}()
		u := r.open()
		for kind, p := range map[string][]byte{"auth-agent-req@openssh.com": nil, "x11-req": x11Request} {
			if !u.request(t, kind, p) {
				t.Fatal(kind, "refused")
			}
		}
		tcp := func(host string, port uint32) []byte {
			return recording.Opening{Host: recording.Text(host), Port: port, Origin: recording.Text(g.bytes(200)), OriginPort: g.Uint32()}.Payload("direct-tcpip")
		}
		var asked, got []sent
		for _, x := range []struct {
			from    Leg
			to      <-chan ssh.NewChannel
			kind    string
			payload []byte
		}{
			{r.client, others, "direct-tcpip", tcp("x"+g.bytes(200), g.Uint32N(maxPort+1))},
			{r.client, others, "direct-streamlocal@openssh.com", recording.Opening{Path: recording.Text("/run/" + g.name()), Reserved: recording.Text(g.bytes(200)), Spare: g.Uint32()}.Payload("direct-streamlocal@openssh.com")},
			{r.target, r.client.Channels, "forwarded-tcpip", tcp(g.bytes(200), 8080)},
			{r.target, r.client.Channels, "forwarded-streamlocal@openssh.com", recording.Opening{Path: recording.Text(socket), Reserved: recording.Text(g.bytes(200))}.Payload("forwarded-streamlocal@openssh.com")},
			{r.target, r.client.Channels, "x11", recording.Opening{Origin: recording.Text(g.bytes(200)), OriginPort: g.Uint32()}.Payload("x11")},
			{r.target, r.client.Channels, "auth-agent@openssh.com", nil},
		} {
			opened := make(chan error, 1)
			go func() {
				ch, reqs, err := x.from.Conn.OpenChannel(x.kind, x.payload)
				if opened <- err; err == nil {
					go ssh.DiscardRequests(reqs)
					_ = ch.Close()
				}
			}()
			select {
			case nc := <-x.to:
				got = append(got, sent{nc.ChannelType(), string(nc.ExtraData())})
				ch, reqs, err := nc.Accept()
				testkit.Check(t, err)
				go ssh.DiscardRequests(reqs)
				_ = ch.Close()
			case err := <-opened:
				t.Fatalf("round %d: %s %q: %v", round, x.kind, x.payload, err)
			}
			testkit.Check(t, testkit.Receive(t, "the channel opens", opened))
			asked = append(asked, sent{x.kind, string(x.payload)})
		}
		r.client.Conn.Close()
		r.wait()
		_, opened, _ := rebuilt(t, r.rec.frames)
		if !slices.Equal(got, asked) || !slices.Equal(opened, asked) {
			t.Fatalf("round %d: of\n%q\nthe other side got\n%q\nand the recording has\n%q", round, asked, got, opened)
		}
	}
}

// What older versions recorded is read as what it was.
func TestOlderRequestsAreRead(t *testing.T) {
	for text, want := range map[string]recording.ChannelRequest{
		`{"type":"exec","want_reply":true,"command":"id"}`:           {Type: "exec", WantReply: true, Command: "id"},
		`{"type":"env","env":{"LC_A":"b"}}`:                          {Type: "env", Env: map[string]recording.Text{"LC_A": "b"}},
		`{"type":"pty-req","term":"xterm","cols":80,"rows":24}`:      {Type: "pty-req", Term: "xterm", Cols: 80, Rows: 24},
		`{"type":"channel-open","name":"x","destination":"db:5432"}`: {Type: "channel-open", Name: "x", Destination: "db:5432"},
		`{"type":"x11-req"}`:                                         {Type: "x11-req"},
	} {
		got := recording.Frame{Kind: recording.Request, Data: []byte(text)}.Request()
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if !bytes.Equal(a, b) {
			t.Errorf("%s is read as %s", text, a)
		}
	}
	for text, want := range map[string]recording.Size{"80x24": {Cols: 80, Rows: 24}, "0x0": {}, "80x24 640x480": {Cols: 80, Rows: 24, Width: 640, Height: 480}} {
		if got, ok := (recording.Frame{Kind: recording.Resize, Data: []byte(text)}).Size(); !ok || got != want {
			t.Errorf("%s is read as %v", text, got)
		}
	}
}
