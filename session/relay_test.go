package session

import (
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// a program that a test starts: what it does with its channel.
type script func(ch ssh.Channel, req *ssh.Request, rest <-chan *ssh.Request)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExecRelaysOutputThenExitThenEOFThenClose(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	r.serve(accepting(func(ch ssh.Channel, req *ssh.Request, _ <-chan *ssh.Request) {
		// The status goes out first: entry must hold it.
		_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ S uint32 }{7}))
		_, _ = io.WriteString(ch.Stderr(), "warning\n")
		_, _ = io.WriteString(ch, strings.Repeat("x", 200_000))
		_ = ch.CloseWrite()
		_ = ch.Close()
	}), nil)
	u := r.open()
	if !u.request(t, "exec", "run it --password=hunter2") {
		t.Fatal("exec was refused")
	}
	u.ends(t)
	if u.stdout() != strings.Repeat("x", 200_000) || u.stderr() != "warning\n" || u.exit != 7 {
		t.Errorf("got %d bytes, %q, status %d", len(u.stdout()), u.stderr(), u.exit)
	}
	if got := strings.Join(r.sent.list(), " "); !strings.HasSuffix(got, " exit-status eof close") {
		t.Errorf("sent in this order: %s", got)
	}
	r.client.Conn.Close()
	r.wait()
	if r.err != nil {
		t.Errorf("Relay = %v", r.err)
	}
	if r.stats.Exit == nil || *r.stats.Exit != 7 || r.stats.BytesDown != 200_008 || r.stats.Sessions != 1 {
		t.Errorf("stats %+v", r.stats)
	}
	e := r.log.All(audit.ExecRequested)
	if len(e) != 1 || e[0].Program != "run" || !strings.HasPrefix(e[0].Digest, "sha256:") || e[0].Rule != "tinker-home (tinker.yaml:7)" {
		t.Errorf("exec.requested %+v", e)
	}
	for _, e := range r.log.All() {
		if strings.Contains(strings.Join([]string{e.Program, e.Detail, e.Destination, e.Digest}, " "), "hunter2") {
			t.Errorf("the command stands in %+v", e)
		}
	}
	if got := r.rec.text(recording.Output); got != strings.Repeat("x", 200_000) {
		t.Errorf("recorded %d bytes of output", len(got))
	}
	if got := r.rec.text(recording.Exit); got != `{"status":7}` {
		t.Errorf("recorded exit %s", got)
	}
}

func TestEndOfAChannel(t *testing.T) {
	status := func(ch ssh.Channel) {
		_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ S uint32 }{3}))
	}
	for _, c := range []struct {
		name string
		body script
		sent string // what entry sends, in order
		exit int
	}{
		{"no output", func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			status(ch)
			ch.CloseWrite()
			ch.Close()
		}, "exit-status eof close", 3},
		{"close without EOF", func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			io.WriteString(ch, "x")
			status(ch)
			ch.Close()
		}, "out exit-status eof close", 3},
		{"output after the status", func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			status(ch)
			io.WriteString(ch, "x")
			ch.Close()
		}, "out exit-status eof close", 3},
		{"standard error after the status", func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			status(ch)
			io.WriteString(ch.Stderr(), "x")
			ch.CloseWrite()
			ch.Close()
		}, "err exit-status eof close", 3},
		{"status long after the output's end", func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			ch.CloseWrite()
			io.ReadAll(ch) // the user's EOF, which the test sends once it has ours
			status(ch)
			ch.Close()
		}, "eof exit-status close", 3},
		{"killed by a signal", func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
				Name      string
				Core      bool
				Msg, Lang string
			}{"PIPE", false, "broken pipe", ""}))
			ch.CloseWrite()
			ch.Close()
		}, "exit-signal eof close", -1},
		{"neither status nor signal", func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			io.WriteString(ch, "x")
			ch.CloseWrite()
			ch.Close()
		}, "out eof close", -1},
		{"a malformed status", func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			ch.SendRequest("exit-status", false, []byte("abc"))
			ch.Close()
		}, "eof close", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, mayAllRecorded, nil)
			r.serve(accepting(c.body), nil)
			u := r.open()
			if !u.request(t, "shell", nil) {
				t.Fatal("shell was refused")
			}
			if strings.HasPrefix(c.sent, "eof exit") {
				testkit.Eventually(t, "EOF reaches the client", func() bool { return strings.Join(r.sent.list(), " ") == "eof" })
				u.CloseWrite()
			}
			u.ends(t)
			if got := strings.Join(r.sent.list(), " "); got != c.sent || u.exit != c.exit {
				t.Errorf("sent %s, status %d; want %s, %d", got, u.exit, c.sent, c.exit)
			}
		})
	}
}

func TestInputEndsAlone(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		b, _ := io.ReadAll(ch)
		ch.Write(b)
		exitWith(ch, 0)
	}), nil)
	u := r.open()
	u.request(t, "exec", "cat")
	io.WriteString(u, "through and back")
	u.CloseWrite()
	if u.ends(t); u.stdout() != "through and back" || u.exit != 0 {
		t.Errorf("got %q, status %d", u.stdout(), u.exit)
	}
	if got := r.rec.text(recording.Input); got != "" {
		t.Errorf("typed input was recorded without record_input: %q", got)
	}
}

func TestEOWReachesTheTarget(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, rest <-chan *ssh.Request) {
		stop := make(chan struct{})
		go func() {
			for req := range rest {
				if req.Type == "eow@openssh.com" {
					close(stop)
				}
			}
		}()
		for {
			select {
			case <-stop:
				exitWith(ch, 141)
				return
			default:
				io.WriteString(ch, strings.Repeat("y\n", 1000))
			}
		}
	}), nil)
	u := r.open()
	u.request(t, "exec", "yes")
	testkit.Eventually(t, "output", func() bool { return u.stdout() != "" })
	if _, err := u.SendRequest("eow@openssh.com", false, nil); err != nil {
		t.Fatal(err)
	}
	if u.ends(t); u.exit != 141 {
		t.Errorf("status %d", u.exit)
	}
}

func TestNoticeComesFirstAndIsRecorded(t *testing.T) {
	r := newRig(t, mayAllRecorded, func(o *Options) { o.Notice = "entry: this session is recorded" })
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		io.WriteString(ch, "$ ")
		exitWith(ch, 0)
	}), nil)
	for _, pty := range []bool{true, false} {
		u := r.open()
		want := "$ "
		if pty {
			want = "entry: this session is recorded\r\n$ "
			if !u.request(t, "pty-req", testPty) {
				t.Fatal("pty-req was refused")
			}
		}
		u.request(t, "shell", nil)
		if u.ends(t); u.stdout() != want {
			t.Errorf("pty %v: got %q", pty, u.stdout())
		}
	}
	if got := r.rec.text(recording.Output); got != "entry: this session is recorded\r\n$ $ " {
		t.Errorf("recorded %q", got)
	}
	if got := r.rec.text(recording.Resize); got != "80x24" {
		t.Errorf("resizes %q", got)
	}
}
