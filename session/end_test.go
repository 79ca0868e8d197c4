package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit/wire"
	"entry/policy"
	"entry/session/recording"
)

// waits runs something on the target until the user's side ends.
func waits(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) { _, _ = io.Copy(io.Discard, ch) }

// running is a rig in which a program runs.
func running(t testing.TB, rule string, pty bool, change func(*Options)) (*rig, *userChannel) {
	t.Helper()
	r := newRig(t, rule, change)
	r.serve(accepting(waits), nil)
	u := r.open()
	if pty && !u.request(t, "pty-req", testPty) {
		t.Fatal("pty-req was refused")
	}
	if !u.request(t, "shell", nil) {
		t.Fatal("shell was refused")
	}
	return r, u
}

func TestAnEndIsTold(t *testing.T) {
	for _, c := range []struct {
		name string
		pty  bool
		want string
	}{
		{"with a terminal", true, "\r\nentry: your access was revoked\r\n"},
		{"without", false, "entry: your access was revoked\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, u := running(t, mayAllRecorded, c.pty, nil)
			idle := r.open() // nothing runs on this one
			r.cancel(&refusal.Error{Text: "your access was revoked", Code: "revoked"})
			if u.ends(t); u.stderr() != c.want || u.exit != exitEnded {
				t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
			}
			if idle.ends(t); idle.stderr() != "entry: your access was revoked\n" || idle.exit != exitEnded {
				t.Errorf("the idle channel: stderr %q, status %d", idle.stderr(), idle.exit)
			}
			r.wait()
			wantEnd(t, r.err, "revoked")
			if !strings.Contains(r.rec.text(recording.Error), "your access was revoked") {
				t.Error("the text wasn't recorded")
			}
		})
	}
}

func TestAnEndWithoutACauseOfOurs(t *testing.T) {
	r, u := running(t, mayAll, false, nil)
	r.cancel(errors.New("secret internals"))
	if u.ends(t); strings.Contains(u.stderr(), "secret") || u.exit != exitEnded {
		t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
	}
	r.wait()
	wantEnd(t, r.err, refusal.Cancelled)
}

// The user reads nothing and answers nothing, the target floods.
func TestAnEndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, mayAll, nil)
		r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
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
		go ssh.DiscardRequests(reqs)
		if ok, err := ch.SendRequest("shell", true, nil); !ok || err != nil {
			t.Fatal(ok, err)
		}
		synctest.Wait() // all windows are full
		r.toClient.Stop()
		began := time.Now()
		r.cancel(&refusal.Error{Text: "over", Code: "killed"})
		<-r.done
		if d := time.Since(began); d > farewellGrace+time.Second {
			t.Errorf("the end took %v", d)
		}
		wantEnd(t, r.err, "killed")
	})
}

func TestTheTargetGoesAway(t *testing.T) {
	r, u := running(t, mayAllRecorded, true, nil)
	r.target.Conn.Close()
	if u.ends(t); u.stderr() != "\r\nentry: the connection to home.tinker was lost\r\n" || u.exit != exitEnded {
		t.Errorf("stderr %q, status %d", u.stderr(), u.exit)
	}
	r.wait()
	wantEnd(t, r.err, refusal.UpstreamLost)
}

// What the target had sent before it went away still arrives.
func TestTheTargetGoesAwayAfterItsWork(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		_, _ = ch.Write(make([]byte, 1<<20))
		exitWith(ch, 5)
		_ = r.target.Conn.Close()
	}), nil)
	u := r.open()
	u.request(t, "exec", "reboot")
	if u.ends(t); len(u.stdout()) != 1<<20 || u.exit != 5 || u.stderr() != "" {
		t.Errorf("%d bytes, status %d, stderr %q", len(u.stdout()), u.exit, u.stderr())
	}
	r.wait()
	wantEnd(t, r.err, refusal.UpstreamClosed)
}

func TestTheTargetStopsAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, u := running(t, mayAll, false, nil)
		synctest.Wait()
		r.toTarget.Stop()
		began := time.Now()
		<-u.closed
		if d := time.Since(began); d < 45*time.Second || d > 61*time.Second {
			t.Errorf("told after %v", d)
		}
		if u.stderr() != "entry: home.tinker stopped answering\n" {
			t.Errorf("stderr %q", u.stderr())
		}
		<-r.done
		wantEnd(t, r.err, refusal.UpstreamTimeout)
	})
}

func TestTheClientStopsAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := running(t, mayAll, false, nil)
		synctest.Wait()
		r.toClient.Stop()
		began := time.Now()
		<-r.done
		if d := time.Since(began); d < 30*time.Minute || d > 41*time.Minute {
			t.Errorf("gone after %v", d)
		}
		wantEnd(t, r.err, refusal.ClientTimeout)
	})
}

// A quiet session with both peers there outlives any number of keep-alives.
func TestAQuietSessionLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, u := running(t, mayAll, false, nil)
		time.Sleep(24 * time.Hour)
		if _, err := io.WriteString(u, "still here"); err != nil {
			t.Error(err)
		}
		r.client.Conn.Close()
		<-r.done
		if r.err != nil {
			t.Errorf("Relay = %v", r.err)
		}
	})
}

func TestLimitsOfTheGrant(t *testing.T) {
	for _, c := range []struct {
		name, limit string
		reason      refusal.Code
		text        string
		after       time.Duration
		types       bool
	}{
		{"session", "limits: {session: 8h}", refusal.SessionLimit, "entry: sessions on home.tinker end after 8h0m0s\n", 8 * time.Hour, true},
		{"idle", "limits: {idle: 30m}", refusal.IdleLimit, "entry: nothing was sent or received for 30m0s\n", 30 * time.Minute, false},
		{"not idle", "limits: {idle: 30m, session: 2h}", refusal.SessionLimit, "entry: sessions on home.tinker end after 2h0m0s\n", 2 * time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r, u := running(t, mayAll+"\n"+c.limit, false, nil)
				if c.types {
					go func() {
						for {
							if _, err := u.Write([]byte("x")); err != nil {
								return
							}
							time.Sleep(10 * time.Minute)
						}
					}()
				}
				<-u.closed
				if d := time.Since(began); d < c.after || d > c.after+time.Minute {
					t.Errorf("ended after %v", d)
				}
				if u.stderr() != c.text {
					t.Errorf("stderr %q", u.stderr())
				}
				<-r.done
				wantEnd(t, r.err, c.reason)
				time.Sleep(11 * time.Minute) // the writer finds out
			})
		})
	}
}

// A recorder may have words for the user: of a share that is used up, say.
func TestTheRecorderSaysWhy(t *testing.T) {
	r := newRig(t, mayAllRecorded, nil)
	r.serve(accepting(waits), nil)
	u := r.open()
	u.request(t, "shell", nil)
	r.rec.fail(fmt.Errorf("segment 7: %w", &refusal.Error{Code: "recorder-day", Text: "go on tomorrow"}))
	close(r.rec.failed)
	if u.ends(t); u.stderr() != "entry: go on tomorrow\n" {
		t.Errorf("stderr %q", u.stderr())
	}
	r.wait()
	wantEnd(t, r.err, "recorder-day")
	if e := r.log.All(audit.RecordingFailed); len(e) != 1 || e[0].Reason != "recorder-day" {
		t.Errorf("%+v", e)
	}
}

func TestTheRecorderFails(t *testing.T) {
	full := errors.New("no space left on device")
	for _, c := range []struct {
		name string
		fail func(*rig, *userChannel)
	}{
		{"by itself", func(r *rig, _ *userChannel) { r.rec.fail(full); close(r.rec.failed) }},
		{"at a frame", func(r *rig, u *userChannel) { r.rec.fail(full); _, _ = io.WriteString(u, "unrecorded") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, mayAllRecorded, nil)
			r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) { _, _ = io.Copy(ch, ch) }), nil)
			u := r.open()
			u.request(t, "shell", nil)
			c.fail(r, u)
			if u.ends(t); u.stderr() != "entry: the recording can't go on\n" || u.stdout() != "" {
				t.Errorf("stderr %q, stdout %q", u.stderr(), u.stdout())
			}
			r.wait()
			if wantEnd(t, r.err, refusal.Recording); !errors.Is(r.err, full) {
				t.Errorf("Relay = %v", r.err)
			}
			if len(r.log.All(audit.RecordingFailed)) != 1 {
				t.Error("no recording.failed")
			}
		})
	}
}

// Every byte is with the recorder before the client can have it.
func TestRecordedOrNotDelivered(t *testing.T) {
	var r *rig
	var u *userChannel
	r = newRig(t, mayAllRecorded, nil)
	r.rec.before = func(k recording.Kind, p []byte) {
		if k == recording.Output && u != nil && strings.Contains(u.stdout(), string(p)) {
			t.Errorf("%q was delivered first", p)
		}
	}
	r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
		for _, s := range []string{"one", "two", "three"} {
			_, _ = io.WriteString(ch, s)
		}
		exitWith(ch, 0)
	}), nil)
	u = r.open()
	u.request(t, "shell", nil)
	if u.ends(t); u.stdout() != r.rec.text(recording.Output) {
		t.Errorf("delivered %q, recorded %q", u.stdout(), r.rec.text(recording.Output))
	}
}

func TestTheLogFails(t *testing.T) {
	broken := errors.New("disk on fire")
	failing := make(chan struct{})
	r := newRig(t, mayAll, func(o *Options) {
		event := o.Event
		o.Event = func(e audit.Event) error {
			select {
			case <-failing:
				return broken
			default:
				return event(e)
			}
		}
	})
	r.serve(accepting(waits), nil)
	u := r.open()
	close(failing)
	u.request(t, "shell", nil)
	if u.ends(t); u.stderr() != "entry: the audit log can't be written\n" {
		t.Errorf("stderr %q", u.stderr())
	}
	r.wait()
	if wantEnd(t, r.err, refusal.Audit); !errors.Is(r.err, broken) {
		t.Errorf("Relay = %v", r.err)
	}
}

func TestAPanicEndsThisSessionOnly(t *testing.T) {
	armed := make(chan struct{})
	p := policyOf(t, mayAll)
	r := newRig(t, mayAll, func(o *Options) {
		o.Decide = func() (policy.Grant, error) {
			select {
			case <-armed:
				panic("a bug")
			default:
				return decider(p)()
			}
		}
	})
	r.serve(accepting(waits), nil)
	u := r.open()
	close(armed)
	_, _ = u.SendRequest("shell", false, nil)
	if u.ends(t); u.stderr() != "entry: internal error\n" {
		t.Errorf("stderr %q", u.stderr())
	}
	r.wait()
	if wantEnd(t, r.err, refusal.Internal); !strings.Contains(r.err.Error(), "a bug") {
		t.Errorf("Relay = %v", r.err)
	}
}

func TestOptionsAreRequired(t *testing.T) {
	a, b := wire.Pipe()
	user, client := connect(t, a, b)
	c, d := wire.Pipe()
	upstream, target := connect(t, c, d)
	if _, err := Relay(context.Background(), client, upstream, Options{}); !errors.Is(err, errOptions) {
		t.Errorf("Relay = %v", err)
	}
	user.Conn.Wait()
	target.Conn.Wait()
}

// gated is a client's channel on which requests wait until the gate is open.
type gated struct {
	ssh.Channel
	gate <-chan struct{}
}

func (g gated) SendRequest(name string, reply bool, p []byte) (bool, error) {
	<-g.gate
	return g.Channel.SendRequest(name, reply, p)
}

// A program's output was cut and its exit status is there, while the goroutine
// that owns the channel is busy: now and then it took the end of the streams for
// the program's, and gave the client the status.
func TestWhatWasCutIsNoProgramsEnd(t *testing.T) {
	for name, end := range map[string]func(*rig, *purse){
		"its lease": func(_ *rig, p *purse) { p.open(0) },
		"the session": func(r *rig, p *purse) {
			r.cancel(&refusal.Error{Code: "killed", Text: "an operator ended it"})
			p.open(1 << 30)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				synctest.Test(t, func(t *testing.T) {
					gate := make(chan struct{})
					down := &purse{empty: &refusal.Error{Code: refusal.Budget, Text: "the limit is reached"}, gate: make(chan struct{})}
					r := newRigOf(t, mayAll, rigging{change: func(o *Options) { o.BudgetDown = down },
						legs: func(client, _ *Leg) {
							client.Channels = accepted(client.Channels, func(ch ssh.Channel) ssh.Channel { return gated{ch, gate} })
						}})
					r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
						_, _ = io.WriteString(ch, "output")
						time.Sleep(time.Second) // it waits for the budget
						_, _ = ch.SendRequest("eow@openssh.com", false, nil)
						exitWith(ch, 0)
					}), nil)
					u := r.open()
					u.request(t, "exec", "id")
					time.Sleep(2 * time.Second) // the owner is busy with eow, the output with the budget
					end(r, down)
					synctest.Wait()
					close(gate)
					if u.ends(t); u.stderr() == "" || u.exit != exitEnded {
						t.Errorf("stdout %q, stderr %q, status %d", u.stdout(), u.stderr(), u.exit)
					}
					r.client.Conn.Close()
					r.wait()
				})
			}
		})
	}
}

// heldConn is a connection on whose channels the answer to a break is held back until
// a test lets it go.
type heldConn struct {
	ssh.Conn
	let <-chan struct{}
}

func (c heldConn) OpenChannel(name string, data []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	ch, reqs, err := c.Conn.OpenChannel(name, data)
	return heldChannel{ch, c.let}, reqs, err
}

type heldChannel struct {
	ssh.Channel
	let <-chan struct{}
}

func (c heldChannel) SendRequest(name string, wantReply bool, payload []byte) (bool, error) {
	ok, err := c.Channel.SendRequest(name, wantReply, payload)
	if name == "break" {
		<-c.let
	}
	return ok, err
}

// TestAnAnswerComesBeforeTheEnd: a program that answers a request and ends at once has
// answered it, whichever of both is looked at first; what else waits doesn't hold the
// end up.
func TestAnAnswerComesBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		r := newRigOf(t, mayAll, rigging{legs: func(_, upstream *Leg) { upstream.Conn = heldConn{upstream.Conn, let} }})
		r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, rest <-chan *ssh.Request) {
			_ = (<-rest).Reply(true, nil)
			exitWith(ch, 0)
		}), nil)
		u := r.open()
		if !u.request(t, "shell", nil) {
			t.Fatal("shell was refused")
		}
		type answer struct {
			ok  bool
			err error
		}
		got := make(chan answer, 1)
		go func() {
			ok, err := u.SendRequest("break", true, ssh.Marshal(struct{ Millis uint32 }{500}))
			got <- answer{ok, err}
		}()
		synctest.Wait() // the target has answered, and is gone
		for range 20 {
			_, _ = u.SendRequest("signal", false, ssh.Marshal(struct{ Name string }{"USR1"}))
		}
		synctest.Wait()
		close(let)
		if a := <-got; !a.ok || a.err != nil {
			t.Errorf("the answer was %v, %v", a.ok, a.err)
		}
		if u.ends(t); u.exit != 0 {
			t.Errorf("status %d", u.exit)
		}
	})
}
