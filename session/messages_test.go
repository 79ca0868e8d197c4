package session

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// terminal opens a session channel with a terminal and a shell.
func (r *rig) terminal() *userChannel {
	r.t.Helper()
	u := r.open()
	if !u.request(r.t, "pty-req", testPty) || !u.request(r.t, "shell", nil) {
		r.t.Fatal("refused")
	}
	return u
}

func TestMessagesAreShownOnTerminalsOnly(t *testing.T) {
	messages := make(chan string)
	r := newRig(t, mayAllRecorded, func(o *Options) { o.Messages, o.decoder = messages, asItComes })
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) { _, _ = io.Copy(ch, ch) }), nil)
	one, two, plain, transfer := r.terminal(), r.terminal(), r.open(), r.open()
	if !plain.request(t, "exec", "tar c .") || !transfer.request(t, "subsystem", "sftp") {
		t.Fatal("refused")
	}
	// An echo shows that the streams of a channel have begun.
	for _, u := range []*userChannel{one, two, plain, transfer} {
		_, _ = io.WriteString(u, "$ ")
		testkit.Eventually(t, "the echo", func() bool { return u.stdout() == "$ " })
	}
	messages <- "this session ends in 10 minutes\x1b[2J"
	const line = "\r\nentry: this session ends in 10 minutes\\x1b[2J\r\n"
	for _, u := range []*userChannel{one, two} {
		testkit.Eventually(t, "the message", func() bool { return u.stdout() == "$ "+line })
	}
	close(messages)
	_, _ = io.WriteString(plain, "x")
	_, _ = io.WriteString(transfer, "x")
	testkit.Eventually(t, "the echoes", func() bool { return plain.stdout() == "$ x" && transfer.stdout() == "$ x" })
	if n := strings.Count(r.rec.text(recording.Output), line); n != 2 {
		t.Errorf("%d of 2 were recorded", n)
	}
}

func TestAMessageDoesNotWaitForAUser(t *testing.T) {
	messages := make(chan string)
	r := newRig(t, mayAllRecorded, func(o *Options) { o.Messages = messages })
	const size = 3 << 20 // more than the window
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		_, _ = ch.Write(make([]byte, size))
		exitWith(ch, 0)
	}), nil)
	ch, reqs, err := r.client.Conn.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []struct {
		name    string
		payload []byte
	}{{"pty-req", ssh.Marshal(testPty)}, {"shell", nil}} {
		if ok, err := ch.SendRequest(ask.name, true, ask.payload); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	testkit.Eventually(t, "a full window", func() bool { return len(r.rec.text(recording.Output)) > 2<<20 })
	for range 3 * maxUnread {
		messages <- "hello"
	}
	u := collect(ch, reqs)
	u.ends(t)
	if got := strings.ReplaceAll(u.stdout(), "\r\nentry: hello\r\n", ""); len(got) != size {
		t.Errorf("%d of %d bytes arrived", len(got), size)
	}
	if u.exit != 0 {
		t.Errorf("status %d", u.exit)
	}
}

func TestAMessageWaitsForTheEndOfASequence(t *testing.T) {
	for _, c := range []struct {
		name, shown string
		inside      bool
	}{
		{"nothing yet", "", false},
		{"text", "$ ", false},
		{"escape", "a\x1b", true},
		{"CSI", "\x1b[", true},
		{"CSI with parameters", "\x1b[38;5;1", true},
		{"a whole CSI", "\x1b[38;5;1m", false},
		{"a cancelled CSI", "\x1b[38\x18", false},
		{"CSI and text", "\x1b[1mbold", false},
		{"OSC", "\x1b]0;title", true},
		{"OSC ended by BEL", "\x1b]0;title\a", false},
		{"OSC ended by ST", "\x1b]0;title\x1b\\", false},
		{"DCS", "\x1bPq#0", true},
		{"a character set", "\x1b(", true},
		{"a whole character set", "\x1b(B", false},
		{"save cursor", "\x1b7", false},
		{"half a character", "bl\xc3", true},
		{"three quarters of a character", "\xf0\x9f\x92", true},
		{"a character", "blå", false},
		{"no UTF-8", "\xff", false},
		{"Latin-1", "bl\xe5 ", false},
		{"older than the tail", "\x1b]" + strings.Repeat("x", maxTail), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var screen bytes.Buffer
			o := (&flow{}).newOutlet(&screen, nil)
			o.screen = true
			for i := range len(c.shown) { // in pieces, as it can come
				o.put([]byte(c.shown[i : i+1]))
			}
			o.show([]byte("<line>"))
			want := c.shown + "<line>"
			if c.inside {
				want = c.shown
			}
			if screen.String() != want {
				t.Errorf("%q", screen.String())
			}
			o.put([]byte("\x18\aB"))
			if want = c.shown + "\x18\aB<line>"; c.inside && screen.String() != want {
				t.Errorf("%q after the end of the sequence", screen.String())
			}
		})
	}
}

// Whatever a program shows goes on as it is, and every line is shown whole.
func FuzzOutlet(f *testing.F) {
	for _, s := range []string{"", "$ ls\r\n", "\x1b[1;31mred\x1b[m", "\x1b]0;t\a\x1bP1$r\x1b\\", "\xf0\x9f\x92\xa9\xff\x1b(B\x18"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, shown []byte, step uint8) {
		const line = "\x00LINE\x00"
		if bytes.Contains(shown, []byte(line[:1])) {
			return
		}
		var screen bytes.Buffer
		o := (&flow{}).newOutlet(&screen, nil)
		o.screen = true
		lines := 0
		for rest := shown; len(rest) > 0; lines++ {
			n := min(int(step)+1, len(rest))
			o.put(rest[:n])
			rest = rest[n:]
			o.show([]byte(line))
			if len(o.tail) > maxTail {
				t.Fatalf("%d bytes are kept", len(o.tail))
			}
		}
		o.put([]byte("\x18\aB")) // ends whatever is open
		if got := strings.ReplaceAll(screen.String(), line, ""); got != string(shown)+"\x18\aB" {
			t.Errorf("%q became %q", shown, got)
		}
		if n := strings.Count(screen.String(), line); n != lines {
			t.Errorf("%d of %d lines", n, lines)
		}
	})
}
