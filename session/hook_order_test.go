package session

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// A client sends requests one after the other while the server answers each
// before it reads the next. If looking or answering waited for the delivery of
// what the other direction has, both would wait for ever.
func TestADecoderHoldsUpNeitherDirection(t *testing.T) {
	for name, kinds := range map[string]string{"passed": "pss", "some answered": "psab", "all answered": "a"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const requests = 200
				h := newHooked(t, byType())
				request, reply := bytes.Repeat([]byte("q"), 100_000), bytes.Repeat([]byte("r"), 90_000)
				go func() {
					for i := range requests {
						if _, err := h.client.Write(packet(kinds[i%len(kinds)], request)); err != nil {
							return
						}
					}
				}()
				go func() { // the server
					head := make([]byte, packetHead+len(request))
					for {
						if _, err := io.ReadFull(h.target, head); err != nil {
							return
						}
						if _, err := h.target.Write(packet(streamed, reply)); err != nil {
							return
						}
					}
				}()
				on, answers := 0, 0
				for i := range requests {
					switch kinds[i%len(kinds)] {
					case answered:
						answers++
					case both:
						answers++
						on++
					default:
						on++
					}
				}
				for on+answers > 0 {
					head := make([]byte, packetHead)
					if _, err := io.ReadFull(h.client, head); err != nil {
						t.Fatal(err)
					}
					n := len(reply)
					if head[4] == answer {
						answers--
						n = len(request)
					} else {
						on--
					}
					if _, err := io.CopyN(io.Discard, h.client, int64(n)); err != nil {
						t.Fatal(err)
					}
				}
				h.client.Close()
				h.target.Close()
				<-h.done
			})
		})
	}
}

// A target that takes nothing is answered, and what it sends still goes by.
func TestAnAnswerWaitsForItsPeerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHooked(t, byType())
		go func() {
			for range 1000 {
				_, _ = h.client.Write(packet(passed, make([]byte, 1000)))
			}
		}()
		synctest.Wait() // the way to the target is full, and stands at a boundary
		for range 50 {
			_, _ = h.target.Write(packet(answered, make([]byte, 1000)))
		}
		want := packet(passed, []byte("goes by"))
		_, _ = h.target.Write(want)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(h.client, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
		h.client.Close()
		h.target.Close()
		<-h.done
	})
}

// An answer waits while the other direction stands inside a packet, and no
// longer.
func TestAnAnswerNeverLandsInsideAPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHooked(t, byType())
		reply := packet(streamed, []byte("a long reply"))
		_, _ = h.target.Write(reply[:8])
		synctest.Wait()
		_, _ = h.client.Write(packet(answered, []byte("denied")))
		_, _ = h.client.Write(packet(answered, []byte("denied too")))
		synctest.Wait()
		read := func(want []byte) {
			t.Helper()
			got := make([]byte, 1000)
			n, _ := h.client.Read(got)
			if !bytes.Equal(got[:n], want) {
				t.Errorf("%q came, want %q", got[:n], want)
			}
		}
		read(reply[:8])
		_, _ = h.target.Write(reply[8:])
		synctest.Wait()
		read(append(append(reply[8:], packet(answer, []byte("denied"))...), packet(answer, []byte("denied too"))...))
		// At a boundary an answer needs no reply to come.
		_, _ = h.client.Write(packet(answered, []byte("and this")))
		synctest.Wait()
		read(packet(answer, []byte("and this")))
		// One that would come after a packet that never ends doesn't come.
		_, _ = h.target.Write(reply[:8])
		synctest.Wait()
		_, _ = h.client.Write(packet(answered, []byte("lost")))
		_ = h.target.CloseWrite()
		synctest.Wait()
		read(reply[:8])
		read(nil)
		_ = h.client.CloseWrite()
		<-h.done
	})
}

// A client that takes no answers is read no further, and holds no more than
// that in memory.
func TestAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHooked(t, byType())
		request := packet(answered, make([]byte, 10_000))
		written := make(chan int, 1)
		go func() {
			n := 0
			for {
				k, err := h.client.Write(request)
				n += k
				if err != nil {
					written <- n
					return
				}
			}
		}()
		synctest.Wait()
		// In between are the pipes' own 256 KiB each way.
		if n := h.count[towardsTarget].Load(); n < maxAnswers || n > 2*maxAnswers+256<<10 {
			t.Errorf("%d bytes of requests were read", n)
		}
		// What the target sends still goes by it, as far as the client takes it.
		got := make([]byte, 2<<20)
		if _, err := io.ReadFull(h.client, got); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := h.count[towardsTarget].Load()
		h.lease.end("", &refusal.Error{Code: refusal.Budget}, "")
		time.Sleep(time.Second)
		if n := h.count[towardsTarget].Load(); n > before {
			t.Errorf("%d bytes were read after the end of the lease", n-before)
		}
		h.client.Close()
		h.target.Close()
		<-h.done
		<-written
	})
}

// What a decoder notes is noted before what it passes after that is delivered,
// and even if it then ends the channel.
func TestNotesComeBeforeWhatTheyAreAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := &refusal.Error{Code: "forbidden", Text: "that isn't transferred here"}
		d := byType()
		rule := d.rule
		d.rule = func(to direction, p []byte, r *ruling) error {
			if bytes.Contains(p, []byte("bad")) {
				r.Note(audit.Event{Type: audit.ExecRequested, Detail: "bad"})
				r.Pass(p, false)
				return why
			}
			return rule(to, p, r)
		}
		h := newHooked(t, d)
		slow := make(chan struct{})
		h.rec.before = func(k recording.Kind, _ []byte) {
			if k == recording.Transfer {
				<-slow
			}
		}
		_, _ = h.client.Write(packet(noted, []byte("good")))
		synctest.Wait()
		if n, _ := tryRead(h.target); n > 0 {
			t.Errorf("%d bytes came before they were noted", n)
		}
		close(slow)
		if b := make([]byte, 9); true {
			if _, err := io.ReadFull(h.target, b); err != nil || !bytes.Equal(b, packet(noted, []byte("good"))) {
				t.Errorf("%q, %v", b, err)
			}
		}
		_, _ = h.client.Write(packet(passed, []byte("bad")))
		synctest.Wait()
		if !h.lease.over() || h.lease.why != why || h.lease.ref != "ref00000" {
			t.Errorf("the lease stands: %v", h.lease.why)
		}
		if e := h.log.All(); len(e) != 2 || e[1].Detail != "bad" || e[1].ChannelType != "test" {
			t.Errorf("events %+v", e)
		}
		if n, _ := tryRead(h.target); n > 0 {
			t.Errorf("%d bytes were delivered after the refusal", n)
		}
		h.client.Close()
		h.target.Close()
		<-h.done
	})
}

// tryRead reads what is there.
func tryRead(c interface {
	io.Reader
	Buffered() int
}) (int, error) {
	if c.Buffered() == 0 {
		return 0, nil
	}
	return c.Read(make([]byte, 1000))
}

// A decoder is told of the end of each direction once, after all that came, and
// what it still has then goes out.
func TestADecoderIsToldOfBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := byType()
		var ends []direction
		d.ended = func(to direction, r *ruling) error {
			ends = append(ends, to)
			r.Pass([]byte("last"), false)
			r.Answer([]byte("bye"))
			return nil
		}
		h := newHooked(t, d)
		_, _ = h.client.Write(packet(passed, []byte("x")))
		_ = h.client.CloseWrite()
		b, err := io.ReadAll(h.target)
		if want := string(packet(passed, []byte("x"))) + "last"; string(b) != want || err != nil {
			t.Errorf("the target got %q, %v", b, err)
		}
		_ = h.target.CloseWrite()
		<-h.done
		if b, err := io.ReadAll(h.client); string(b) != "byelast" || err != nil {
			t.Errorf("the client got %q, %v", b, err)
		}
		if len(ends) != 2 || ends[0] != towardsTarget || ends[1] != towardsClient {
			t.Errorf("told of %v", ends)
		}
	})
}

// detaching leaves each direction after its first piece.
type detaching struct{ calls, ends [2]int }

func (d *detaching) data(to direction, p []byte, r *ruling) error {
	d.calls[to]++
	r.Pass(p, true)
	r.Answer([]byte("seen;"))
	r.Detach()
	return nil
}

func (d *detaching) end(to direction, _ *ruling) error { d.ends[to]++; return nil }

func TestADecoderThatHasSeenEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &detaching{}
		h := newHooked(t, d)
		for _, s := range []string{"one ", "two ", "three "} {
			_, _ = io.WriteString(h.client, s)
			synctest.Wait()
			_, _ = io.WriteString(h.target, s)
			synctest.Wait()
		}
		_ = h.client.CloseWrite()
		_ = h.target.CloseWrite()
		<-h.done
		up, _ := io.ReadAll(h.target)
		down, _ := io.ReadAll(h.client)
		if string(up) != "one seen;two three " || string(down) != "seen;one two three " {
			t.Errorf("%q, %q", up, down)
		}
		if d.calls != [2]int{1, 1} || d.ends != [2]int{} {
			t.Errorf("called %v times, told of %v ends", d.calls, d.ends)
		}
	})
}

// Where nobody looks into a channel, that costs nothing.
func TestNoDecoderCostsNoAllocation(t *testing.T) {
	h := newHooked(t, nil)
	c := course{to: towardsClient, dst: h.f.newOutlet(io.Discard, nil), lease: h.lease, count: &h.count[0]}
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(1000, func() {
		if err := h.f.pass(&c, p); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a chunk", n)
	}
	h.client.Close()
	h.target.Close()
	<-h.done
}

// Over SSH: an answer comes before the exit status, the end that a decoder wants
// is told like any other, and its user may go on with another channel.
func TestADecoderOfASession(t *testing.T) {
	for _, c := range []struct {
		name, sends          string
		stdout, stderr, sent string
		exit                 int
		reason               string
	}{
		{"answers", string(packet(answered, []byte("no"))), string(packet(answer, []byte("no"))), "", "out exit-status eof close", 3, ""},
		{"ends", "\x00\xff\xff\xff\xffx", "", "entry: a packet of 16777219 bytes (ref ref00000)\n", "err exit-status eof close", exitEnded, "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, mayAllRecorded, func(o *Options) {
				o.decoder = func(c content) decoder {
					if c.channel != "session" || c.subsystem != "sftp" || c.command != "" || c.terminal || !c.grant.Valid() {
						t.Errorf("asked for %+v", c)
					}
					return byType()
				}
			})
			var seen bytes.Buffer
			var reading sync.WaitGroup
			reading.Add(1)
			r.serve(accepting(func(ch ssh.Channel, _ *ssh.Request, _ <-chan *ssh.Request) {
				defer reading.Done()
				_, _ = io.Copy(&seen, ch)
				exitWith(ch, 3)
			}), nil)
			u := r.open()
			if !u.request(t, "subsystem", "sftp") {
				t.Fatal("refused")
			}
			_, _ = io.WriteString(u, c.sends)
			_ = u.CloseWrite()
			u.ends(t)
			if u.stdout() != c.stdout || u.stderr() != c.stderr || u.exit != c.exit {
				t.Errorf("stdout %q, stderr %q, status %d", u.stdout(), u.stderr(), u.exit)
			}
			if got := strings.Join(r.sent.list(), " "); got != c.sent {
				t.Errorf("sent in this order: %s", got)
			}
			reading.Wait()
			if seen.Len() > 0 {
				t.Errorf("the target got %q", seen.String())
			}
			testkit.Eventually(t, "the end", func() bool { return len(r.log.All(audit.ChannelClosed)) == 1 })
			if e := r.log.All(audit.ChannelClosed)[0]; e.Reason != c.reason || e.BytesUp != int64(len(c.sends)) || e.BytesDown != 0 {
				t.Errorf("%+v", e)
			}
			if r.err != nil || errors.Is(r.err, io.EOF) {
				t.Errorf("the session ended: %v", r.err)
			}
		})
	}
}
