package bastion_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
	"entry/e2e/testkit/policies"
)

// workbench is a target of kind tcp that says hello first, then echoes until
// the end of what it is sent; a deaf one never closes.
type workbench struct {
	addr  string
	hello []string // written one by one
	deaf  bool

	mu   sync.Mutex
	open int
}

// eofs reads on after an end of data.
type eofs struct{ net.Conn }

func (c eofs) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if _, err := c.Conn.Write([]byte(".")); err != nil {
			return 0, err
		}
	}
}

func (w *workbench) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

func startWorkbench(t *testing.T, w *workbench) *workbench {
	t.Helper()
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	w.addr = l.Addr().String()
	var all sync.WaitGroup
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Add(1)
			w.mu.Lock()
			w.open++
			w.mu.Unlock()
			go func() {
				defer all.Done()
				defer func() {
					nc.Close()
					w.mu.Lock()
					w.open--
					w.mu.Unlock()
				}()
				for _, h := range w.hello {
					if _, err := io.WriteString(nc, h); err != nil {
						return
					}
					if len(w.hello) > 1 { // wait for an answer, so that they are pieces
						if _, err := io.ReadFull(nc, make([]byte, 1)); err != nil {
							return
						}
					}
				}
				b := make([]byte, 4096)
				for {
					n, err := nc.Read(b)
					if _, werr := nc.Write(b[:n]); werr != nil || err != nil && !w.deaf {
						return
					}
					if err != nil {
						_, _ = io.Copy(io.Discard, eofs{nc}) // deaf: only a reset ends it
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); testkit.Finishes(t, "the workbench's end", all.Wait) })
	return w
}

// withWorkbench is the usual policy and a tcp target under a rule of its own.
func withWorkbench(w *workbench, limits string) func(*site) string {
	return func(s *site) string {
		return s.policyText(fmt.Sprintf("      workbench: {kind: tcp, address: %q, ports: [80]}\n", w.addr), "") + fmt.Sprintf(`  - name: bench
    who: {labs: [tinker]}
    where: {targets: [workbench.tinker]}
    may: [forward-local]
    record: metadata
%s`, limits)
	}
}

func bench() forward { return forward{"workbench", 80, "127.0.0.1", 40000} }

func TestWorkbench(t *testing.T) {
	t.Parallel()
	w := startWorkbench(t, &workbench{hello: []string{"hello"}})
	s := newSite(t, options{policy: withWorkbench(w, "")})
	c := s.login("alice")
	ch := testkit.Must(c.open(bench()))(t)
	if _, err := io.WriteString(ch, strings.Repeat("x", 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := ch.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	testkit.Finishes(t, "the echo", func() { got, _ = io.ReadAll(ch) })
	if len(got) != 5+1<<20 || string(got[:6]) != "hellox" {
		t.Errorf("%d bytes", len(got))
	}
	ch.Close()
	open, closed := s.log.Await(t, audit.ForwardOpened, ""), s.log.Await(t, audit.ForwardClosed, "closed")
	if open.Destination != "workbench.tinker:80" || open.Rule == "" || open.Policy == "" || open.Conn != closed.Conn ||
		closed.BytesUp != 1<<20 || closed.BytesDown != 5+1<<20 {
		t.Errorf("%+v\n%+v", open, closed)
	}
	for _, f := range []forward{{"workbench", 22, "127.0.0.1", 1}, {"workbench", 81, "127.0.0.1", 1}} {
		s.refusedWith(t, c.refused(f), audit.JumpRefused, "port")
	}
	testkit.Eventually(t, "nothing is open", func() bool { return w.count() == 0 })
	// By a connection that leads to it as a whole there is no SSH to speak.
	_, said, err := run(t, s.login("alice+workbench").whole(), "say in")
	if exitStatus(err) != 255 {
		t.Errorf("%v", err)
	}
	s.refusedWith(t, strings.TrimSuffix(said, "\n"), audit.JumpRefused, "port")
}

// A client that closes the channel is done, even if the target isn't.
func TestWorkbenchThatNeverCloses(t *testing.T) {
	t.Parallel()
	w := startWorkbench(t, &workbench{deaf: true})
	s := newSite(t, options{policy: withWorkbench(w, "")})
	c := s.login("alice")
	ch := testkit.Must(c.open(bench()))(t)
	testkit.Eventually(t, "it is open", func() bool { return w.count() == 1 })
	ch.Close()
	s.log.Await(t, audit.ForwardClosed, "closed")
	testkit.Eventually(t, "nothing is open", func() bool { return w.count() == 0 })
}

// A client that takes nothing and closes nothing doesn't outlast its access.
func TestWorkbenchTakenAway(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		take   func(*site)
		reason string
	}{
		"policy":   {func(s *site) { s.server.Access().SetPolicy(policies.Parse(t, usual(s))) }, "policy-changed"},
		"disabled": {func(s *site) { s.operate("POST", "/v1/users/alice/disable", "") }, "user-disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorkbench(t, &workbench{hello: []string{strings.Repeat("x", 8<<20)}})
			s := newSite(t, options{policy: withWorkbench(w, "")})
			c := s.login("alice")
			testkit.Must(c.open(bench()))(t)
			testkit.Eventually(t, "it is open", func() bool { return w.count() == 1 })
			testkit.Finishes(t, "taking it away", func() { tt.take(s) })
			if e := s.log.Await(t, audit.ForwardClosed, tt.reason); e.User != "alice" {
				t.Errorf("%+v", e)
			}
			testkit.Eventually(t, "nothing is open", func() bool { return w.count() == 0 })
		})
	}
}

// The alarm about SSH inside a forward doesn't depend on how the bytes come.
func TestNestedSSHInPieces(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hello []string
		sends string
		alarm bool
	}{
		"at once":     {hello: []string{"SSH-2.0-x\r\n"}, alarm: true},
		"in pieces":   {hello: []string{"S", "SH-", "2.0-x\r\n"}, alarm: true},
		"older":       {hello: []string{"SSH-1.99-x\r\n"}, alarm: true},
		"client only": {sends: "SSH-2.0-x\r\n", alarm: true},
		"later":       {hello: []string{"hello SSH-2.0-x\r\n"}},
		"almost":      {hello: []string{"SSH-3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorkbench(t, &workbench{hello: tt.hello})
			s := newSite(t, options{policy: withWorkbench(w, "")})
			ch := testkit.Must(s.login("alice").open(bench()))(t)
			for range max(1, len(tt.hello)) {
				if _, err := io.ReadFull(ch, make([]byte, min(1, len(tt.hello)))); err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(ch, cmp.Or(tt.sends, "x")); err != nil {
					t.Fatal(err)
				}
			}
			if err := ch.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			testkit.Finishes(t, "the rest", func() { _, _ = io.ReadAll(ch) })
			ch.Close()
			s.log.Await(t, audit.ForwardClosed, "closed")
			alarms := s.log.All(audit.AlarmNestedSSH)
			if (len(alarms) == 1) != tt.alarm {
				t.Errorf("alarms: %+v", alarms)
			}
		})
	}
}

func TestWorkbenchLimits(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]string{"session: 1s": "session-limit", "idle: 1s": "idle-limit"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorkbench(t, &workbench{})
			s := newSite(t, options{policy: withWorkbench(w, "    limits: {"+name+"}\n")})
			ch := testkit.Must(s.login("alice").open(bench()))(t)
			testkit.Finishes(t, "the limit", func() { _, _ = io.ReadAll(ch) })
			s.log.Await(t, audit.ForwardClosed, reason)
		})
	}
}

func TestWorkbenchWithoutALog(t *testing.T) {
	t.Parallel()
	w := startWorkbench(t, &workbench{})
	s := newSite(t, options{policy: withWorkbench(w, "")})
	c := s.login("alice")
	s.log.Refuse(func(e audit.Event) bool { return e.Type == audit.ForwardOpened })
	said := c.refused(bench())
	if !strings.Contains(said, "nothing was opened") || strings.Contains(said, logbook.ErrFull.Error()) {
		t.Errorf("%q", said)
	}
	testkit.Eventually(t, "nothing is open", func() bool { return w.count() == 0 })
}

func TestWorkbenchCountsAmongTheChannels(t *testing.T) {
	t.Parallel()
	w := startWorkbench(t, &workbench{})
	s := newSite(t, options{policy: withWorkbench(w, "")})
	c := s.login("alice")
	var held []ssh.Channel
	for range 64 {
		held = append(held, testkit.Must(c.open(bench()))(t))
	}
	s.refusedWith(t, c.refused(bench()), audit.JumpRefused, "too-many-channels")
	for _, ch := range held {
		ch.Close()
	}
	testkit.Eventually(t, "places are given back", func() bool {
		ch, err := c.open(bench())
		if err == nil {
			ch.Close()
		}
		return err == nil
	})
}
