package session

import (
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// fakeShare keeps what terminals show, and bulk until it is used up.
type fakeShare struct {
	used      atomic.Int64 // percent
	terminals atomic.Bool  // what they show is bulk too
}

func (f *fakeShare) Stream(terminal bool) func(int) int {
	return func(n int) int {
		if f.used.Load() < 100 || terminal && !f.terminals.Load() {
			return n
		}
		return 0
	}
}

func (f *fakeShare) Used() int { return int(f.used.Load()) }

// shows is a target that answers each byte with a line of that byte.
func (r *rig) shows() {
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		b := make([]byte, 1)
		for {
			if _, err := ch.Read(b); err != nil {
				exitWith(ch, 0)
				return
			}
			_, _ = ch.Write([]byte(strings.Repeat(string(b), 9) + "\n"))
		}
	}), nil)
}

func (u *userChannel) shown(t *testing.T, key, want string) {
	t.Helper()
	_, _ = u.Write([]byte(key))
	testkit.Eventually(t, "output", func() bool { return strings.Contains(u.stdout(), want) })
}

// Beyond the share bulk is digested and what people read is kept: the channel is
// partial, and says so in the recording and in the log. Nobody is ended.
func TestBeyondTheShareBulkIsDigested(t *testing.T) {
	share := &fakeShare{}
	r := newRig(t, mayAllRecorded, func(o *Options) { o.Share = share })
	r.shows()
	bulk, person := r.open(), r.open()
	bulk.request(t, "exec", "bulk")
	person.request(t, "pty-req", ssh.Marshal(testPty))
	person.request(t, "shell", nil)
	bulk.shown(t, "a", "aaa")
	person.shown(t, "b", "bbb")
	share.used.Store(100)
	bulk.shown(t, "c", "ccc")
	person.shown(t, "d", "ddd")
	share.used.Store(0) // bulk stays one piece
	bulk.shown(t, "e", "eee")
	testkit.Check(t, bulk.CloseWrite())
	testkit.Check(t, person.CloseWrite())
	bulk.ends(t)
	person.ends(t)
	kept := r.rec.text(recording.Output)
	for text, want := range map[string]bool{"aaa": true, "bbb": true, "ccc": false, "ddd": true, "eee": false} {
		if strings.Contains(kept, text) != want {
			t.Errorf("%s kept: %v", text, !want)
		}
	}
	if gap := r.rec.text(recording.Gap); gap != shareOmitted.text() {
		t.Errorf("gaps: %q", gap)
	}
	if rest := r.rec.text(recording.Transfer); !strings.Contains(rest, `"stream":"output","omitted_bytes":20,`) {
		t.Errorf("what stands for the rest: %s", rest)
	}
	testkit.Eventually(t, "both are closed in the log", func() bool { return len(r.log.All(audit.ChannelClosed)) == 2 })
	partial := 0
	for _, e := range r.log.All(audit.ChannelClosed) {
		if e.Coverage == "partial" && slices.Contains(e.Missing, audit.Missing{Stream: "output", Bytes: 20, Why: "share"}) {
			partial++
		}
	}
	if alarms := r.log.All(audit.AlarmDigested); len(alarms) != 0 {
		t.Errorf("bulk that isn't a terminal's raised %v", alarms)
	}
	if partial != 1 {
		t.Errorf("%d channels are partial in %v", partial, r.log.All(audit.ChannelClosed))
	}
}

// Output that nobody can read is bulk on a terminal too; what comes after it is kept
// again.
func TestBulkOnATerminal(t *testing.T) {
	share := &fakeShare{}
	r := newRig(t, mayAllRecorded, func(o *Options) { o.Share = share })
	r.shows()
	person := r.open()
	person.request(t, "pty-req", ssh.Marshal(testPty))
	person.request(t, "shell", nil)
	person.shown(t, "a", "aaa")
	share.used.Store(100)
	share.terminals.Store(true)
	person.shown(t, "b", "bbb")
	share.terminals.Store(false)
	person.shown(t, "c", "ccc")
	share.terminals.Store(true)
	person.shown(t, "d", "ddd")
	testkit.Check(t, person.CloseWrite())
	person.ends(t)
	if kept := r.rec.text(recording.Output); strings.Contains(kept, "bbb") || !strings.Contains(kept, "ccc") {
		t.Errorf("kept %q", kept)
	}
	if gap := r.rec.text(recording.Gap); gap != shareOmitted.text()+shareOmitted.text() {
		t.Errorf("gaps: %q", gap)
	}
	if alarms := r.log.All(audit.AlarmDigested); len(alarms) != 1 || alarms[0].Channel == nil {
		t.Errorf("alarms of one session: %v", alarms)
	}
}

// A rule that wants everything kept ends the session instead, and says so before.
func TestACompleteRecordingEnds(t *testing.T) {
	share := &fakeShare{}
	r := newRig(t, mayAllRecorded+"\nrecord_complete: true", func(o *Options) {
		o.Share = share
		o.UpstreamKeepAlive = KeepAlive{testkit.Bound(1e8), 100}
	})
	r.shows()
	person := r.open()
	person.request(t, "pty-req", ssh.Marshal(testPty))
	person.request(t, "shell", nil)
	person.shown(t, "a", "aaa")
	share.used.Store(80)
	testkit.Eventually(t, "the warning", func() bool {
		return strings.Contains(person.stdout(), "80 % of what may be recorded of you today is used")
	})
	share.used.Store(100)
	share.terminals.Store(true)
	_, _ = person.Write([]byte("b"))
	person.ends(t)
	if said := person.stderr(); !strings.Contains(said, "your share of recordings for today is used up; go on tomorrow, or ask your lab's administrator") {
		t.Errorf("said %q", said)
	}
	if strings.Contains(person.stdout(), "bbb") {
		t.Error("output came that wasn't recorded")
	}
	r.wait()
	wantEnd(t, r.err, "recording-share")
}

// leaving is a channel whose client has left by the time it is accepted.
type leaving struct{ ssh.NewChannel }

func (leaving) Accept() (ssh.Channel, <-chan *ssh.Request, error) { return nil, nil, io.EOF }

// A channel whose client leaves while it is being opened has no outlets: what its
// end says of them once ended the session in a panic.
func TestAChannelThatIsNeverAccepted(t *testing.T) {
	r := newRigOf(t, mayAllRecorded, rigging{legs: func(client, _ *Leg) {
		all, left := client.Channels, make(chan ssh.NewChannel)
		go func() {
			defer close(left)
			for nc := range all {
				left <- leaving{nc}
			}
		}()
		client.Channels = left
	}})
	r.shows()
	go func() { _, _, _ = r.client.Conn.OpenChannel("session", nil) }() // it is never answered
	r.log.Await(t, audit.ChannelClosed, "")
	r.client.Conn.Close()
	r.wait()
	if r.err != nil {
		t.Errorf("Relay = %v", r.err)
	}
}
