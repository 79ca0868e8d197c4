package session

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit"
	"entry/policy"
	"entry/session/transfer"
)

// Every way to move a byte, and the capability it needs.
func TestEveryWayNeedsItsCapability(t *testing.T) {
	ways := []struct {
		name string
		need []policy.Capability
		try  func(r *rig) bool
	}{
		{"shell", caps(policy.Shell), func(r *rig) bool { return r.runs("shell", nil) }},
		{"exec", caps(policy.Exec), func(r *rig) bool { return r.runs("exec", "id") }},
		{"scp to the target", caps(policy.Upload), func(r *rig) bool { return r.runs("exec", "scp -t /data") }},
		{"scp from the target", caps(policy.Download), func(r *rig) bool { return r.runs("exec", "scp -f /data/x") }},
		{"rsync to the target", caps(policy.Upload), func(r *rig) bool { return r.runs("exec", "rsync --server -logDtpre.iLsfxCIvu . /data/") }},
		{"git push", caps(policy.Upload), func(r *rig) bool { return r.runs("exec", "git-receive-pack 'x.git'") }},
		{"git fetch", caps(policy.Download), func(r *rig) bool { return r.runs("exec", "git-upload-pack 'x.git'") }},
		{"scp with what it may run", caps(policy.Exec, policy.Upload, policy.Download), func(r *rig) bool { return r.runs("exec", "scp -S sh -t /data") }},
		{"other subsystem", caps(policy.Exec), func(r *rig) bool { return r.runs("subsystem", "netconf") }},
		{"direct-tcpip", caps(policy.ForwardLocal), func(r *rig) bool { return r.opens("direct-tcpip", tcpPayload("localhost", 8888)) }},
		{"direct-streamlocal", caps(policy.ForwardLocal), func(r *rig) bool {
			return r.opens("direct-streamlocal@openssh.com", ssh.Marshal(struct {
				Path, Reserved string
				N              uint32
			}{"/run/app/sock", "", 0}))
		}},
		{"tcpip-forward", caps(policy.ForwardRemote), func(r *rig) bool { return r.asks("tcpip-forward", listenPayload("localhost", 8080)) }},
		{"streamlocal-forward", caps(policy.ForwardRemote), func(r *rig) bool {
			return r.asks("streamlocal-forward@openssh.com", ssh.Marshal(struct{ P string }{"/run/lab/sock"}))
		}},
		{"agent", caps(policy.Agent), func(r *rig) bool { return r.open().request(r.t, "auth-agent-req@openssh.com", nil) }},
		{"x11", caps(policy.X11), func(r *rig) bool { return r.open().request(r.t, "x11-req", x11Request) }},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			for c := policy.Shell; c <= policy.X11; c++ {
				// Everything but c: the way is open exactly if it doesn't need c.
				rule := strings.ReplaceAll(mayAll, c.String(), "")
				rule = strings.NewReplacer("[, ", "[", ", ,", ",", ", ]", "]").Replace(rule)
				switch c {
				case policy.ForwardLocal:
					rule = strings.Replace(rule, `forward_local: ["*", "/run/*"]`, "", 1)
				case policy.ForwardRemote:
					rule = strings.Replace(rule, `forward_remote: [0, 8080, "/run/lab/*"]`, "", 1)
				case policy.Download:
					rule = strings.NewReplacer("shell, ", "", "exec, ", "").Replace(rule) // they bring it
				}
				r := newRig(t, rule, nil)
				r.serveAll()
				g, err := decider(policyOf(t, rule))()
				if err != nil {
					t.Fatal(err)
				}
				want := true
				for _, need := range way.need {
					want = want && g.Allows(need)
				}
				if got := way.try(r); got != want {
					t.Errorf("without %v: %v, want %v", c, got, want)
				}
				if refused := len(r.log.All(audit.ChannelRefused)) + len(r.log.All(audit.ForwardRefused)); (refused == 0) != want {
					t.Errorf("without %v: %d refusals in the log", c, refused)
				}
				r.client.Conn.Close()
				r.wait()
			}
		})
	}
}

func caps(c ...policy.Capability) []policy.Capability { return c }

// What sftp does is judged as it does it: it starts with the right to either way.
func TestSFTPNeedsOneOfTwo(t *testing.T) {
	for rule, want := range map[string]bool{
		"may: [upload]": true, "may: [download]": true, "may: [upload, download]": true, "may: [exec]": true, // which brings download
		"may: [agent]": false, "may: [forward-local]\nforward_local: [\"db:1\"]": false,
	} {
		for _, way := range []struct{ request, what string }{{"subsystem", "sftp"}, {"exec", "/usr/lib/openssh/sftp-server"}} {
			r := newRig(t, rule+"\nrecord: metadata", nil)
			r.serveAll()
			if got := r.runs(way.request, way.what); got != want {
				t.Errorf("%s %s under %q: %t", way.request, way.what, rule, got)
			}
			r.client.Conn.Close()
			r.wait()
		}
	}
}

// A rule that spells a transfer out says that it may be, but for what is denied.
func TestAListedTransferMayBe(t *testing.T) {
	const line = "rsync --server -logDtpre.iLsfxCIvu . /in/"
	listed := "may: [exec]\nexec: [\"" + line + "\"]\nrecord: metadata"
	r := newRig(t, listed, nil)
	r.serveAll()
	if !r.runs("exec", line) || r.runs("exec", strings.Replace(line, "/in/", "/out/", 1)) {
		t.Error("the listed line is what may be run")
	}
}

var x11Request = ssh.Marshal(struct {
	Single        bool
	Proto, Cookie string
	Screen        uint32
}{false, "MIT-MAGIC-COOKIE-1", "c0ffee", 0})

func tcpPayload(host string, port uint32) []byte {
	return ssh.Marshal(struct {
		Host  string
		Port  uint32
		Orig  string
		OPort uint32
	}{host, port, "192.0.2.7", 5555})
}

func listenPayload(host string, port uint32) []byte {
	return ssh.Marshal(struct {
		Host string
		Port uint32
	}{host, port})
}

// runs reports whether something is started, and not refused in its place.
func (r *rig) runs(name string, payload any) bool {
	r.t.Helper()
	u := r.open()
	if !u.request(r.t, name, payload) {
		r.t.Errorf("%s failed: OpenSSH would drop the reason", name)
	}
	_ = u.CloseWrite()
	return u.ends(r.t).exit != exitEnded
}

// opens reports whether a channel of the user opens. It is closed at once.
func (r *rig) opens(kind string, payload []byte) bool {
	r.t.Helper()
	ch, reqs, err := r.client.Conn.OpenChannel(kind, payload)
	if err != nil {
		var no *ssh.OpenChannelError
		if !errors.As(err, &no) {
			r.t.Fatal(err)
		}
		return false
	}
	go ssh.DiscardRequests(reqs)
	ch.Close()
	return true
}

// asks reports whether a global request of the user is granted.
func (r *rig) asks(name string, payload []byte) bool {
	r.t.Helper()
	ok, _, err := r.client.Conn.SendRequest(name, true, payload)
	if err != nil {
		r.t.Fatal(err)
	}
	return ok
}

// serveAll is a target that accepts whatever it is asked.
func (r *rig) serveAll() {
	go func() {
		for req := range r.target.Requests {
			_ = req.Reply(true, nil)
		}
	}()
	go func() {
		for nc := range r.target.Channels {
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			go func() {
				for req := range reqs {
					_ = req.Reply(true, nil)
				}
			}()
			go func() {
				_, _ = io.Copy(ch, ch)
				_ = ch.Close()
			}()
		}
	}()
}

func TestARefusedProgramSaysWhyAndHangsNothing(t *testing.T) {
	line := "entry: " + mayNot("exec") + " (ref ref00000)"
	for _, c := range []struct {
		name       string
		pty, reply bool
		end        string
	}{
		{"asked for an answer", false, true, "\n"},
		{"with a terminal", true, true, "\r\n"},
		{"asked for none", false, false, "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "may: [shell]\nrecord: full", nil)
			r.serveAll()
			u := r.open()
			if c.pty {
				u.request(t, "pty-req", testPty)
			}
			if ok, err := u.SendRequest("exec", c.reply, ssh.Marshal(struct{ S string }{"id"})); err != nil || ok != c.reply {
				t.Fatal(ok, err)
			}
			if u.ends(t); u.stderr() != line+c.end || u.exit != exitEnded || u.stdout() != "" {
				t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
			}
			e := r.log.All(audit.ChannelRefused)
			if len(e) != 1 || e[0].Capability != "exec" || e[0].Rule != "tinker-home (tinker.yaml:7)" || e[0].Ref != "ref00000" || e[0].Program != "id" {
				t.Errorf("channel.refused %+v", e)
			}
		})
	}
}

// PuTTY asks for sftp and then, on the same channel, for a command.
func TestAProgramThatTheTargetRefuses(t *testing.T) {
	r := newRig(t, mayAll, nil)
	r.serve(func(_ ssh.Channel, reqs <-chan *ssh.Request) {
		for req := range reqs {
			_ = req.Reply(req.Type == "exec", nil)
		}
	}, nil)
	if u := r.open(); u.request(t, "subsystem", "sftp") || !u.request(t, "exec", "sftp-server") {
		t.Error("the second try was refused, or the first one wasn't")
	}
	u := r.open()
	for range maxStarts {
		if u.request(t, "subsystem", "sftp") {
			t.Error("sftp was granted")
		}
	}
	if u.ends(t); u.exit != exitEnded {
		t.Errorf("status %d", u.exit)
	}
	u = r.open()
	_, _ = u.SendRequest("shell", false, nil) // nothing but the channel's end can tell this client
	if u.ends(t); u.exit != exitEnded || u.stderr() != "entry: home.tinker refused to run it\n" {
		t.Errorf("status %d, stderr %q", u.exit, u.stderr())
	}
}

func TestARefusedForwardSaysWhyInOneLine(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	r.serveAll()
	_, _, err := r.client.Conn.OpenChannel("direct-tcpip", tcpPayload("db.internal", 5432))
	var no *ssh.OpenChannelError
	if !errors.As(err, &no) || no.Reason != ssh.Prohibited || no.Message != "entry: you may not reach db.internal:5432 through home.tinker; ask your lab's administrator (ref ref00000)" {
		t.Errorf("refusal %v", err)
	}
	e := r.log.All(audit.ForwardRefused)
	if len(e) != 1 || e[0].Destination != "db.internal:5432" || e[0].Capability != "forward-local" || e[0].Reason != "denied" {
		t.Errorf("forward.refused %+v", e)
	}
}

func TestUnknownThingsAreRefusedByName(t *testing.T) {
	r := newRig(t, mayAll, nil)
	r.serveAll()
	_, _, err := r.client.Conn.OpenChannel("tun@openssh.com\x1b", nil)
	var no *ssh.OpenChannelError
	if !errors.As(err, &no) || no.Reason != ssh.UnknownChannelType || !strings.Contains(no.Message, "channels of type tun@openssh.com? are not relayed") {
		t.Errorf("refusal %v", err)
	}
	if r.asks("hostkeys-prove-00@openssh.com", nil) {
		t.Error("hostkeys-prove-00@openssh.com was granted")
	}
	u := r.open()
	for range 3 {
		if u.request(t, "winadj@putty.projects.tartarus.org", nil) {
			t.Error("winadj was granted")
		}
	}
	if n := len(r.log.All(audit.ChannelRefused)); n != 3 { // one for each name
		t.Errorf("%d refusals in the log: %+v", n, r.log.All(audit.ChannelRefused))
	}
}

// However many names a client makes up, no refusal is lost: those beyond the names
// that a session knows are summed up.
func TestMadeUpRequestsAreCounted(t *testing.T) {
	r := newRig(t, mayAll, nil)
	r.serveAll()
	const all = 100
	for i := range all {
		if r.asks(fmt.Sprintf("made-up-%d@example.org", i), nil) {
			t.Fatalf("request %d was granted", i)
		}
	}
	_ = r.client.Conn.Close()
	testkit.Eventually(t, "every refusal on record", func() bool {
		got := 0
		for _, e := range r.log.All(audit.ChannelRefused) {
			got += max(1, e.Count)
		}
		return got == all
	})
	if n := len(r.log.All(audit.ChannelRefused)); n > 50 {
		t.Errorf("%d events for %d refusals", n, all)
	}
}

func TestDecideIsAskedAnew(t *testing.T) {
	p := policyOf(t, mayAll)
	denied := &policy.Denied{User: "alice", Target: "home.tinker"}
	revoked := make(chan struct{})
	r := newRig(t, mayAll, func(o *Options) {
		o.Decide = func() (policy.Grant, error) {
			select {
			case <-revoked:
				return policy.Grant{}, denied
			default:
				return decider(p)()
			}
		}
	})
	r.serveAll()
	u := r.open()
	close(revoked)
	u.request(t, "shell", nil)
	if u.ends(t); u.exit != exitEnded || !strings.Contains(u.stderr(), "home.tinker isn't open to you; ask your lab's administrator") {
		t.Errorf("a shell after the grant was gone: stderr %q, status %d", u.stderr(), u.exit)
	}
	if _, _, err := r.client.Conn.OpenChannel("session", nil); err == nil || !strings.Contains(err.Error(), "home.tinker isn't open to you; ask your lab's administrator") {
		t.Errorf("a session opened after the grant was gone: %v", err)
	}
	if r.asks("tcpip-forward", listenPayload("", 8080)) {
		t.Error("a listen was granted after the grant was gone")
	}
}

func TestWithoutARecorderNothingRecordedOpens(t *testing.T) {
	r := newRig(t, mayAllRecorded, func(o *Options) { o.Recorder = nil })
	r.wait()
	wantEnd(t, r.err, refusal.Denied)
}

// TestEnvironmentOfAnySize: hundreds of variables at once end nothing; those that
// nobody admits cost nothing, the others count by their bytes, and the log names
// what was left out.
func TestEnvironmentOfAnySize(t *testing.T) {
	r := newRig(t, mayAll, nil)
	r.serveAll()
	for _, answered := range []bool{false, true} {
		u := r.open()
		set := func(name, value string) {
			t.Helper()
			if _, err := u.SendRequest("env", answered, ssh.Marshal(struct{ N, V string }{name, value})); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 400 {
			set(fmt.Sprintf("LC_MINE_%d", i), "x")
			set(fmt.Sprintf("OTHER_%d", i), strings.Repeat("y", 1<<10))
		}
		for i := range 80 {
			set(fmt.Sprintf("LC_LARGE_%d", i), strings.Repeat("z", 8<<10))
		}
		if !u.request(t, "exec", struct{ C string }{"true"}) {
			t.Error("nothing runs")
		}
		all := r.log.All(audit.ExecRequested)
		e := all[len(all)-1]
		if !strings.HasPrefix(e.Detail, "left out of the environment: OTHER_0, OTHER_1, ") || !strings.HasSuffix(e.Detail, " more") || strings.Contains(e.Detail, "yyy") || len(e.Detail) > 400 {
			t.Errorf("answered %t: the log says %q", answered, e.Detail)
		}
	}
}

func TestEnvironmentGoesByTheList(t *testing.T) {
	r := newRig(t, mayAll, nil)
	r.serveAll()
	u := r.open()
	for name, want := range map[string]bool{"LANG": true, "LC_ALL": true, "GIT_PROTOCOL": true, "LD_PRELOAD": false, "LANGUAGE": false, "": false} {
		if got := u.request(t, "env", struct{ N, V string }{name, "x"}); got != want {
			t.Errorf("env %s: %v", name, got)
		}
	}
}

// What a program that moves files says on its standard error is a way down, which is
// bounded where the user may not download.
func TestATransferSaysLittleBeside(t *testing.T) {
	for _, tt := range []struct{ may, record, coverage string }{{"upload", "full", ""}, {"upload, download", "full", "manifest"}, {"upload, download", "manifest", "partial"}} {
		may := tt.may
		r := newRig(t, "may: ["+may+"]\nrecord: "+tt.record, nil)
		r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
			_, _ = ch.Stderr().Write([]byte(strings.Repeat("secret\n", 30_000)))
			exitWith(ch, 0)
		}), nil)
		u := r.open()
		if !u.request(t, "exec", "scp -t /data") {
			t.Fatal("refused")
		}
		u.ends(t)
		said := strings.ReplaceAll(u.stderr(), "secret\n", "")
		n := strings.Count(u.stderr(), "secret")
		e := r.log.Await(t, audit.ChannelClosed, "")
		if may == "upload, download" {
			if n != 30_000 || said != "" {
				t.Errorf("with both rights %d lines came, and %q", n, said)
			}
			// What is in no recording, and no file's, is missing.
			missing := audit.Missing{Why: "words", Stream: "error", Bytes: 30_000*7 - transfer.MaxWords}
			if e.Coverage != tt.coverage || (tt.coverage == "partial") != (len(e.Missing) == 1 && e.Missing[0] == missing) {
				t.Errorf("record: %s: %s, %+v", tt.record, e.Coverage, e.Missing)
			}
			continue
		}
		if n > transfer.MaxWords/7 || n < 1000 || !strings.HasSuffix(said, "entry: the program on home.tinker printed more than 65 kB beside the files, and you may not download there; ask your lab's administrator (ref ref00000)\n") || u.exit != exitEnded {
			t.Errorf("%d lines came, and %q with status %d", n, said, u.exit)
		}
		if e.Reason != "transfer-stderr" {
			t.Errorf("%+v", e)
		}
	}
}
