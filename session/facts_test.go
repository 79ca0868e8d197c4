package session

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// What a client asks for counts against its user's share like what it prints: the
// environment, long commands, sizes of the terminal filled the spool beyond it. The
// channel is partial then, and what is missing has a digest.
func TestFactsBeyondTheShare(t *testing.T) {
	share := &fakeShare{}
	share.used.Store(100)
	share.terminals.Store(true) // not even what people read is kept
	r := newRig(t, mayAllRecorded, func(o *Options) { o.Share = share })
	r.serveAll()
	u := r.open()
	for i := range 20 {
		if !u.request(t, "env", ssh.Marshal(struct{ Name, Value string }{fmt.Sprintf("LC_%d", i), strings.Repeat("v", 8000)})) {
			t.Fatal("within the bounds of a channel, a variable goes on")
		}
	}
	u.request(t, "pty-req", testPty)
	for i := range 50 {
		_, _ = u.SendRequest("window-change", false, ssh.Marshal(struct{ C, R, W, H uint32 }{uint32(i), 1, 0, 0}))
	}
	u.request(t, "exec", strings.Repeat("x", 100_000))
	testkit.Check(t, u.CloseWrite())
	u.ends(t)
	testkit.Eventually(t, "it is closed in the log", func() bool { return len(r.log.All(audit.ChannelClosed)) == 1 })
	if n := len(r.rec.text(recording.Request)) + len(r.rec.text(recording.Resize)); n != 0 {
		t.Errorf("%d bytes of facts were kept", n)
	}
	e := r.log.All(audit.ChannelClosed)[0]
	if e.Coverage != "partial" || len(e.Missing) == 0 || e.Missing[len(e.Missing)-1].Stream != "requests" || e.Missing[len(e.Missing)-1].Bytes < 260_000 {
		t.Errorf("%+v", e)
	}
	r.client.Conn.Close()
	r.wait()
	if sum := r.rec.text(recording.Transfer); !strings.Contains(sum, `{"stream":"requests","omitted_bytes":`) {
		t.Errorf("nothing stands for them: %s", sum)
	}
}

// However a client asks, the environment of one channel has its bounds.
func TestEnvironmentIsBoundedWithAnswersToo(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	r.serveAll()
	set := func(u *userChannel, n, bytes int) (taken int) {
		for i := range n {
			if u.request(t, "env", ssh.Marshal(struct{ Name, Value string }{fmt.Sprintf("LC_%d", i), strings.Repeat("v", bytes)})) {
				taken++
			}
		}
		return taken
	}
	if n := set(r.open(), 60, 8000); n != maxEnv/8016 {
		t.Errorf("%d long variables were taken", n)
	}
	if n := set(r.open(), maxVariables+10, 1); n != maxVariables {
		t.Errorf("%d short variables were taken", n)
	}
	u := r.open()
	for _, name := range []string{"LC_A B", "LC_A\nLD_PRELOAD", "LC_\u00a0", "LC_A=B", "LC_\x7f", ""} {
		if u.request(t, "env", ssh.Marshal(struct{ Name, Value string }{name, "v"})) {
			t.Errorf("%q is a variable", name)
		}
	}
}
