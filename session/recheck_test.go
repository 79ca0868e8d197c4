package session

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit"
	"entry/policy"
	"entry/session/recording"
)

// ruled is a policy that a test changes while a session runs.
type ruled struct {
	t      testing.TB
	inUse  atomic.Pointer[policy.Policy]
	change chan struct{}
}

func newRuled(t testing.TB, rule string) *ruled {
	x := &ruled{t: t, change: make(chan struct{})}
	x.inUse.Store(policyOf(t, rule))
	return x
}

func (x *ruled) options(o *Options) {
	o.Recheck = x.change
	o.Decide = func() (policy.Grant, error) { return decider(x.inUse.Load())() }
}

// becomes puts rule in force and says so.
func (x *ruled) becomes(rule string) {
	x.t.Helper()
	x.inUse.Store(policyOf(x.t, rule))
	x.change <- struct{}{}
}

const (
	mayNothing = "may: [upload, download]\nvalid: {from: 2001-01-01, until: 2001-01-02, zone: UTC}\nrecord: metadata"
	mayLittle  = "may: [upload]\nrecord: metadata"
)

func TestARecheckThatRefusesEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRuled(t, mayAllRecorded)
		r, u := running(t, mayAll, true, x.options)
		began := time.Now()
		x.becomes(mayNothing)
		u.ends(t)
		if want := "\r\nentry: the policy changed: home.tinker isn't open to you now; it opens on 2001-01-01 00:00 UTC"; !strings.HasPrefix(u.stderr(), want) || u.exit != exitEnded {
			t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
		}
		r.wait()
		wantEnd(t, r.err, refusal.PolicyChanged)
		if d := time.Since(began); d >= 2*time.Second {
			t.Errorf("the end took %v", d)
		}
	})
}

func TestARecheckAsksWhetherTheSessionStands(t *testing.T) {
	change := make(chan struct{}, 1) // whoever rechecks late sees the second change at the first
	var stands atomic.Pointer[refusal.Error]
	r, u := running(t, mayAll, false, func(o *Options) {
		decide := o.Decide
		o.Recheck = change
		o.Stands = func() (policy.Grant, error) {
			if why := stands.Load(); why != nil {
				return policy.Grant{}, why
			}
			return decide()
		}
	})
	change <- struct{}{}
	if u.request(t, "window-change", struct{ A, B, C, D uint32 }{1, 1, 0, 0}) {
		t.Error("a terminal that isn't there was resized")
	}
	stands.Store(&refusal.Error{Text: "your access was changed", Code: "revoked"})
	change <- struct{}{}
	if u.ends(t); u.stderr() != "entry: your access was changed\n" {
		t.Errorf("stderr %q", u.stderr())
	}
	r.wait()
	wantEnd(t, r.err, "revoked")
}

// A rule is cut down: what needs more ends, and neither the session nor what
// needs no more.
func TestALostCapabilityEndsWhatRestsOnIt(t *testing.T) {
	lost := func(what string) string {
		return "entry: the policy changed: " + mayNot(what) + " (ref ref00000)"
	}
	for _, c := range []struct {
		name     string
		pty      bool
		request  string
		payload  any
		lost     string // the capability
		end      string // of the line
		now      string // the rule that takes it away
		survives bool
	}{
		{"a shell", true, "shell", nil, "shell", "\r\n", mayLittle, false},
		{"a command", false, "exec", "sleep 1000", "exec", "\n", mayLittle, false},
		{"a subsystem", false, "subsystem", "netconf", "exec", "\n", mayLittle, false},
		{"a transfer", false, "subsystem", "sftp", "download", "\n", "may: [agent]\nrecord: metadata", false},
		{"a transfer that stays", false, "subsystem", "sftp", "", "", "may: [upload, download]\nrecord: metadata", true},
		{"a transfer of which one way stays", false, "subsystem", "sftp", "", "", "may: [upload]\nrecord: metadata", true},
		{"a transfer one way", false, "exec", "scp -t /data", "upload", "\n", "may: [exec]\nrecord: metadata", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newRuled(t, mayAllRecorded)
			signals := make(chan string, 10)
			r := newRig(t, mayAll, func(o *Options) {
				x.options(o)
				o.decoder = asItComes
			})
			r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, rest <-chan *ssh.Request) {
				go func() { _, _ = io.Copy(ch, ch) }()
				for req := range rest {
					name, _ := parseText(req.Payload, maxSignal)
					signals <- req.Type + " " + name
				}
			}), nil)
			u := r.open()
			if c.pty {
				u.request(t, "pty-req", testPty)
			}
			if !u.request(t, c.request, c.payload) {
				t.Fatal("refused")
			}
			x.becomes(c.now)
			if c.survives {
				x.change <- struct{}{} // the first recheck is over once a third is taken
				x.change <- struct{}{}
				if _, err := io.WriteString(u, "hello"); err != nil {
					t.Fatal(err)
				}
				testkit.Eventually(t, "the answer", func() bool { return u.stdout() == "hello" })
				return
			}
			want := lost(c.lost) + c.end
			if c.pty {
				want = "\r\n" + want
			}
			if u.ends(t); u.stderr() != want || u.exit != exitEnded {
				t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
			}
			if !strings.Contains(r.rec.text(recording.Error), want) {
				t.Error("the line wasn't recorded")
			}
			e := r.log.All(audit.ChannelClosed)
			if len(e) == 0 || e[0].Reason != refusal.CapabilityLost.String() || e[0].Capability != c.lost || e[0].Ref != "ref00000" || e[0].Policy != x.inUse.Load().Hash() {
				t.Errorf("channel.closed %+v", e)
			}
			if a, b := <-signals, <-signals; a != "signal HUP" || b != "signal TERM" {
				t.Errorf("the target got %q and %q", a, b)
			}
			if r.err != nil {
				t.Errorf("the session ended: %v", r.err)
			}
		})
	}
}

func TestALostForwardEndsAndOthersGoOn(t *testing.T) {
	x := newRuled(t, mayAll)
	r := newRig(t, mayAll, x.options)
	go ssh.DiscardRequests(r.target.Requests)
	go echo(r.target.Channels)
	open := func(port uint32) ssh.Channel {
		ch, reqs, err := r.client.Conn.OpenChannel("direct-tcpip", tcpPayload("localhost", port))
		if err != nil {
			t.Fatal(err)
		}
		go ssh.DiscardRequests(reqs)
		return ch
	}
	goes, stays := open(5432), open(8888)
	x.becomes(mayAllRecorded)
	if b, err := io.ReadAll(goes); err != nil || len(b) != 0 {
		t.Errorf("%q, %v", b, err)
	}
	testkit.Eventually(t, "forward.closed", func() bool { return len(r.log.All(audit.ForwardClosed)) == 1 })
	if e := r.log.All(audit.ForwardClosed)[0]; e.Reason != refusal.CapabilityLost.String() || e.Destination != "localhost:5432" || e.Capability != "forward-local" ||
		e.Detail != "the policy changed: rule tinker-home (tinker.yaml:7) does not list that destination" {
		t.Errorf("forward.closed %+v", e)
	}
	if _, err := io.WriteString(stays, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stays, make([]byte, 1)); err != nil {
		t.Errorf("the forward that is still allowed: %v", err)
	}
}

func TestLostListensAgentAndX11(t *testing.T) {
	x := newRuled(t, mayAll)
	r := newRig(t, mayAll, x.options)
	asked := make(chan string, 10)
	r.serve(func(_ ssh.Channel, reqs <-chan *ssh.Request) {
		for req := range reqs {
			_ = req.Reply(true, nil)
		}
	}, func(req *ssh.Request) {
		host, port, _ := parseListen(req.Payload)
		asked <- req.Type + " " + net.JoinHostPort(host, strconv.Itoa(port))
		_ = req.Reply(true, nil)
	})
	go echo(r.client.Channels)
	if u := r.open(); !r.asks("tcpip-forward", listenPayload("localhost", 8080)) || !u.request(t, "auth-agent-req@openssh.com", nil) || !u.request(t, "x11-req", x11Request) {
		t.Fatal("refused")
	}
	agent, reqs, err := r.target.Conn.OpenChannel(agentChannel, nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	<-asked
	x.becomes("may: [shell]\nrecord: metadata")
	if got := <-asked; got != "cancel-tcpip-forward localhost:8080" {
		t.Errorf("the target was asked %q", got)
	}
	if b, err := io.ReadAll(agent); err != nil || len(b) != 0 {
		t.Errorf("%q, %v", b, err)
	}
	testkit.Eventually(t, "four ends", func() bool { return len(r.log.All(audit.ForwardClosed)) == 4 })
	ends := map[string]int{}
	for _, e := range r.log.All(audit.ForwardClosed) {
		if e.Reason != refusal.CapabilityLost.String() || e.Ref != "ref00000" {
			t.Errorf("%+v", e)
		}
		ends[e.Capability]++
	}
	if ends["agent"] != 2 || ends["x11"] != 1 || ends["forward-remote"] != 1 {
		t.Errorf("ends %v", ends)
	}
	x.becomes(mayAll) // what was lost has to be asked for again
	x.change <- struct{}{}
	for kind, payload := range map[string][]byte{agentChannel: nil, "forwarded-tcpip": tcpPayload("localhost", 8080)} {
		if _, _, err := r.target.Conn.OpenChannel(kind, payload); err == nil {
			t.Errorf("%s opened", kind)
		}
	}
}

// A target that answers nothing and a client that reads nothing can't keep
// what was taken away.
func TestALostProgramStopsWithoutAnybodysHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRuled(t, mayAll)
		r := newRig(t, mayAll, x.options)
		r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, rest <-chan *ssh.Request) {
			for {
				if _, err := ch.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}), nil)
		ch, reqs, err := r.client.Conn.OpenChannel("session", nil)
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		go func() { ssh.DiscardRequests(reqs); close(closed) }()
		if ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ S string }{"yes"})); !ok || err != nil {
			t.Fatal(ok, err)
		}
		synctest.Wait() // all windows are full
		began := time.Now()
		x.becomes(mayLittle)
		<-closed
		if d := time.Since(began); d > farewellGrace {
			t.Errorf("the end took %v", d)
		}
		synctest.Wait()
		if e := r.log.All(audit.ChannelClosed); len(e) != 1 || e[0].Reason != refusal.CapabilityLost.String() {
			t.Errorf("channel.closed %+v", e)
		}
	})
}

func TestExactCommands(t *testing.T) {
	const rule = "may: [exec]\nexec: [uptime, /usr/bin/id -u]\nrecord: full"
	for command, want := range map[string]bool{"uptime": true, "/usr/bin/id -u": true, "id": false, "uptime ": false, "uptime; id": false, "": false} {
		r := newRig(t, rule, nil)
		r.serveAll()
		u := r.open()
		if !u.request(t, "exec", command) {
			t.Errorf("%q failed: OpenSSH would drop the reason", command)
		}
		_ = u.CloseWrite()
		u.ends(t)
		if got := u.exit != exitEnded; got != want {
			t.Errorf("%q: %v", command, got)
		}
		if line := "entry: you may not run that command on home.tinker; ask your lab's administrator (ref ref00000)\n"; !want && u.stderr() != line {
			t.Errorf("%q: %q", command, u.stderr())
		}
		for request, payload := range map[string]any{"shell": nil, "subsystem": "netconf"} {
			if r.runs(request, payload) {
				t.Errorf("%s ran", request)
			}
		}
		r.client.Conn.Close()
		r.wait()
	}
}

func TestAnEndFromDecideIsToldAsItIs(t *testing.T) {
	var old atomic.Bool
	r := newRig(t, mayAll, func(o *Options) {
		decide := o.Decide
		o.Decide = func() (policy.Grant, error) {
			if old.Load() {
				return policy.Grant{}, &refusal.Error{Text: "your login is too old", Code: "code-too-old"}
			}
			return decide()
		}
	})
	r.serveAll()
	r.open()
	old.Store(true)
	_, _, err := r.client.Conn.OpenChannel("session", nil)
	var no *ssh.OpenChannelError
	if !errors.As(err, &no) || no.Message != "entry: your login is too old (ref ref00000)" {
		t.Errorf("refusal %v", err)
	}
	if e := r.log.All(audit.ChannelRefused); len(e) != 1 || e[0].Reason != "code-too-old" {
		t.Errorf("channel.refused %+v", e)
	}
}
