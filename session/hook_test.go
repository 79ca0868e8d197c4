package session

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit/logbook"
	"entry/e2e/testkit/wire"
	"entry/session/fastconn"
	"entry/session/recording"
)

// packets is a decoder of packets that begin with their length, as those of
// SFTP do (draft-ietf-secsh-filexfer-02 §3): it puts them together up to limit
// bytes, and has rule decide about each. Those of a type in streams aren't put
// together but passed on as they come.
type packets struct {
	limit   int
	streams []byte // types
	rule    func(to direction, packet []byte, r *ruling) error
	ended   func(to direction, r *ruling) error

	buf  [2][]byte
	used [2]int // bytes at the start of buf that were ruled
	rest [2]int // bytes of a streaming packet to come
}

const packetHead = 5 // length and type

func (d *packets) data(to direction, p []byte, r *ruling) error {
	b := append(d.buf[to][:copy(d.buf[to], d.buf[to][d.used[to]:])], p...)
	d.buf[to], d.used[to] = b, 0
	for {
		b := d.buf[to][d.used[to]:]
		if n := min(d.rest[to], len(b)); n > 0 {
			d.rest[to] -= n
			d.used[to] += n
			r.Pass(b[:n], d.rest[to] > 0)
			continue
		}
		if len(b) < packetHead || d.rest[to] > 0 {
			return nil
		}
		n := 4 + int(binary.BigEndian.Uint32(b))
		switch {
		case bytes.IndexByte(d.streams, b[4]) >= 0:
			d.rest[to] = n
		case n < packetHead || n > d.limit:
			return &refusal.Error{Code: "malformed", Text: fmt.Sprintf("a packet of %d bytes", n)}
		case len(b) < n:
			return nil
		default:
			d.used[to] += n
			if err := d.rule(to, b[:n:n], r); err != nil {
				return err
			}
		}
	}
}

func (d *packets) end(to direction, r *ruling) error {
	if d.ended == nil {
		return nil
	}
	return d.ended(to, r)
}

// packet makes one of type kind.
func packet(kind byte, payload []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(1+len(payload))), kind), payload...)
}

// split is packet's inverse for a whole stream.
func split(stream []byte) (all [][]byte, err error) {
	for len(stream) > 0 {
		if len(stream) < packetHead || len(stream) < 4+int(binary.BigEndian.Uint32(stream)) {
			return all, fmt.Errorf("after %d packets, %d bytes are left over: %.20q", len(all), len(stream), stream)
		}
		n := 4 + int(binary.BigEndian.Uint32(stream))
		all, stream = append(all, stream[:n]), stream[n:]
	}
	return all, nil
}

// Types of the packets of the tests, as what becomes of them.
const (
	passed   = 'p'
	streamed = 's'
	replaced = 'r' // by three of type passed
	answered = 'a' // and not passed
	both     = 'b' // answered and passed
	dropped  = 'd'
	noted    = 'n' // and passed
	answer   = 'A'
)

// byType rules as the types say.
func byType() *packets {
	return &packets{limit: 256 << 10, streams: []byte{streamed}, rule: func(_ direction, p []byte, r *ruling) error {
		switch p[4] {
		case replaced:
			for range 3 {
				r.Pass(packet(passed, p[packetHead:]), false)
			}
		case answered:
			r.Answer(packet(answer, p[packetHead:]))
		case both:
			r.Answer(packet(answer, p[packetHead:]))
			r.Pass(p, false)
		case dropped:
		case noted:
			r.Record(recording.Transfer, p[packetHead:])
			r.Note(audit.Event{Type: audit.ExecRequested, Detail: string(p[packetHead:min(len(p), 50)])})
			r.Pass(p, false)
		default:
			r.Pass(p, false)
		}
		return nil
	}}
}

// outcome is what byType makes of packets: what goes on, and what is answered.
func outcome(in [][]byte) (on, answers [][]byte) {
	for _, p := range in {
		switch p[4] {
		case replaced:
			x := packet(passed, p[packetHead:])
			on = append(on, x, x, x)
		case answered:
			answers = append(answers, packet(answer, p[packetHead:]))
		case both:
			answers = append(answers, packet(answer, p[packetHead:]))
			on = append(on, p)
		case dropped:
		default:
			on = append(on, p)
		}
	}
	return on, answers
}

// hooked is a flow with one channel, whose decoder is d: what the peers have at
// their ends.
type hooked struct {
	client, target *wire.Conn
	f              *flow
	lease          *lease
	rec            *fakeRecorder
	count          [2]atomic.Int64
	log            logbook.Log
	done           chan struct{} // both directions ended
}

func newHooked(t testing.TB, d decoder) *hooked {
	t.Helper()
	h := &hooked{rec: newRecorder(), lease: newLease(nil), done: make(chan struct{})}
	f, g, err := newFlow(t.Context(), Options{Decide: decider(policyOf(t, mayAllRecorded)), Recorder: h.rec, Ref: func() string { return "ref00000" }, Event: into(&h.log)})
	if err != nil {
		t.Fatal(err)
	}
	h.f = f
	var near, far *wire.Conn
	h.client, near = wire.Pipe()
	far, h.target = wire.Pipe()
	tap := func(k recording.Kind) *tap { return &tap{rec: h.rec, kind: k, left: 1 << 30} }
	toClient, toTarget := f.newOutlet(near, tap(recording.Output)), f.newOutlet(far, tap(recording.Input))
	hook := f.newHook(d, g, audit.Event{ChannelType: "test"}, h.lease, toClient, toTarget)
	var ends sync.WaitGroup
	run := func(to direction, src, dst *wire.Conn, out *outlet) {
		ends.Add(1)
		f.group.Go("stream", func() {
			defer ends.Done()
			_ = f.copy(&course{to: to, src: src, dst: out, most: fastconn.BulkChunk, lease: h.lease, count: &h.count[to], hook: hook})
			_ = dst.CloseWrite()
		})
	}
	run(towardsTarget, near, far, toTarget)
	run(towardsClient, far, near, toClient)
	go func() {
		ends.Wait()
		f.group.Wait()
		close(h.done)
	}()
	return h
}

// send writes stream to c in pieces of the given sizes, over and over.
func send(c io.Writer, stream []byte, sizes []int) {
	for i := 0; len(stream) > 0; i++ {
		n := min(len(stream), sizes[i%len(sizes)])
		if _, err := c.Write(stream[:n]); err != nil {
			return
		}
		stream = stream[n:]
		if i%7 == 3 {
			time.Sleep(time.Microsecond)
		}
	}
}

// Whatever the chunks, each direction gets exactly what was ruled for it, in
// order, and answers come between its packets. In a bubble, a deadlock fails.
func TestADecoderRulesWhateverTheChunks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most, least := 300, 1
		if rapid.Bool().Draw(rt, "large") {
			most, least = 250_000, 500
		}
		script := func(name string) (all [][]byte) {
			for i := range rapid.IntRange(0, 40).Draw(rt, name+" packets") {
				kind := rapid.SampledFrom([]byte{passed, streamed, streamed, replaced, answered, both, dropped, noted}).Draw(rt, "type")
				size := rapid.IntRange(0, most).Draw(rt, "size")
				payload := bytes.Repeat(fmt.Appendf(nil, "%s %d;", name, i), 1+size/8)
				all = append(all, packet(kind, payload[:size]))
			}
			return all
		}
		in := [2][][]byte{towardsTarget: script("request"), towardsClient: script("reply")}
		cuts := rapid.SliceOfN(rapid.IntRange(least, most), 1, 20)
		up, down := cuts.Draw(rt, "pieces up"), cuts.Draw(rt, "pieces down")
		slow := cuts.Draw(rt, "reads")
		var got [2][]byte
		var frames []frame
		var events int
		synctest.Test(t, func(t *testing.T) {
			h := newHooked(t, byType())
			var read sync.WaitGroup
			read.Add(2)
			sender := func(c *wire.Conn, stream []byte, cuts []int) {
				send(c, stream, cuts)
				time.Sleep(time.Hour) // an end of data would be the end of answers
				_ = c.CloseWrite()
			}
			reader := func(c *wire.Conn, to direction) {
				defer read.Done()
				for i := 0; ; i++ {
					b := make([]byte, slow[i%len(slow)])
					n, err := c.Read(b)
					got[to] = append(got[to], b[:n]...)
					if err != nil {
						return
					}
					if i%50 == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			}
			go sender(h.client, slices.Concat(in[towardsTarget]...), up)
			go sender(h.target, slices.Concat(in[towardsClient]...), down)
			go reader(h.client, towardsClient)
			go reader(h.target, towardsTarget)
			read.Wait()
			<-h.done
			for to := range in {
				if n, want := h.count[to].Load(), int64(len(slices.Concat(in[to]...))); n != want {
					t.Errorf("%d bytes were counted of %d that were read", n, want)
				}
			}
			frames, events = h.rec.frames, len(h.log.All())
			h.client.Close()
			h.target.Close()
		})
		for to := range got {
			all, err := split(got[to])
			if err != nil {
				rt.Fatalf("towards %d: %v", to, err)
			}
			on, _ := outcome(in[to])
			_, answers := outcome(in[1-to])
			var gotOn, gotAnswers [][]byte
			for _, p := range all {
				if p[4] == answer {
					gotAnswers = append(gotAnswers, p)
				} else {
					gotOn = append(gotOn, p)
				}
			}
			if !slices.EqualFunc(gotOn, on, bytes.Equal) {
				rt.Fatalf("towards %d: %d packets went on, want %d, or others", to, len(gotOn), len(on))
			}
			if !slices.EqualFunc(gotAnswers, answers, bytes.Equal) {
				rt.Fatalf("towards %d: %d answers came, want %d, or others", to, len(gotAnswers), len(answers))
			}
			// What is recorded is what is delivered.
			kind := recording.Output
			if direction(to) == towardsTarget {
				kind = recording.Input
			}
			var recorded []byte
			for _, f := range frames {
				if f.kind == kind {
					recorded = append(recorded, f.data...)
				}
			}
			if !bytes.Equal(recorded, got[to]) {
				rt.Fatalf("towards %d: %d bytes were recorded, %d delivered", to, len(recorded), len(got[to]))
			}
		}
		notes := 0
		for _, p := range slices.Concat(in[0], in[1]) {
			if p[4] == noted {
				notes++
			}
		}
		if facts := count(frames, recording.Transfer); events != notes || facts != notes {
			rt.Fatalf("%d events and %d frames for %d notes", events, facts, notes)
		}
	})
}

func count(frames []frame, k recording.Kind) (n int) {
	for _, f := range frames {
		if f.kind == k {
			n++
		}
	}
	return n
}
