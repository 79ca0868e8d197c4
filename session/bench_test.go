package session

import (
	"context"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/e2e/testkit/wire"
	"entry/session/fastconn"
	"entry/session/group"
)

// The benchmarks relate entry's way to another one, measured in the same run
// and interleaved, since the machine's speed changes by the minute.

// way is how two SSH peers are connected.
type way struct {
	name string
	wrap func(net.Conn) net.Conn // on entry's conns
	hops int                     // 0: no entry in between; 1: relayed; 2: through a jump channel
}

func naive(c net.Conn) net.Conn { return c }

func coalesced(c net.Conn) net.Conn {
	return fastconn.Coalesce(group.New(context.Background(), nil), c)
}

func channel(ch ssh.Channel, local, remote net.Addr) net.Conn {
	return fastconn.Channel(group.New(context.Background(), nil), ch, local, remote)
}

// world is a running way: an SSH connection of the user to something that
// sends, swallows or echoes.
type world struct {
	user  ssh.Conn
	close func()
}

// build makes a world. User and target are plain x/crypto in every way, so
// that the difference is entry's.
func build(tb testing.TB, w way) *world {
	serve := func(chans <-chan ssh.NewChannel, size int64) {
		for nc := range chans {
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			go accepting(func(ch ssh.Channel, req *ssh.Request, _ <-chan *ssh.Request) {
				switch command, _ := parseText(req.Payload, 100); command {
				case "send":
					b := make([]byte, 32<<10)
					for n := int64(0); n < size; n += int64(len(b)) {
						if _, err := ch.Write(b); err != nil {
							return
						}
					}
				case "echo":
					_, _ = io.Copy(ch, ch)
				}
				exitWith(ch, 0)
			})(ch, reqs)
		}
	}
	if w.hops == 0 {
		a, b := wire.TCP(tb)
		user, target := connect(tb, coalesced(a), coalesced(b))
		go ssh.DiscardRequests(user.Requests)
		go ssh.DiscardRequests(target.Requests)
		go serve(target.Channels, benchSize)
		return &world{user: user.Conn, close: func() { user.Conn.Close() }}
	}
	// The user's and the target's own ends are coalesced in every way: they
	// stand for OpenSSH, which does that too.
	a, b := wire.TCP(tb)
	var closers []func()
	var mine net.Conn = coalesced(a)
	theirs := w.wrap(b)
	if w.hops == 2 {
		outerUser, outerEntry := connect(tb, mine, theirs)
		go ssh.DiscardRequests(outerUser.Requests)
		go ssh.DiscardRequests(outerEntry.Requests)
		accepted := make(chan net.Conn, 1)
		go func() {
			nc := <-outerEntry.Channels
			ch, reqs, _ := nc.Accept()
			go ssh.DiscardRequests(reqs)
			accepted <- jumpConn(w, ch)
		}()
		ch, reqs, err := outerUser.Conn.OpenChannel("direct-tcpip", tcpPayload("home", 22))
		if err != nil {
			tb.Fatal(err)
		}
		go ssh.DiscardRequests(reqs)
		mine, theirs = channel(ch, a.LocalAddr(), a.RemoteAddr()), <-accepted
		closers = append(closers, func() { outerUser.Conn.Close() })
	}
	user, client := connect(tb, mine, theirs)
	go ssh.DiscardRequests(user.Requests)
	c, d := wire.TCP(tb)
	upstream, target := connect(tb, w.wrap(c), coalesced(d))
	go ssh.DiscardRequests(target.Requests)
	go serve(target.Channels, benchSize)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = Relay(context.Background(), client, upstream, Options{Decide: decider(policyOf(tb, mayAll)),
			Event: func(audit.Event) error { return nil }})
	}()
	return &world{user: user.Conn, close: func() {
		user.Conn.Close()
		<-done
		for _, f := range closers {
			f()
		}
	}}
}

// jumpConn is the jump channel as the way has it: entry's own, or the plain
// adapter that a first version would have.
func jumpConn(w way, ch ssh.Channel) net.Conn {
	a := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 22}
	if w.name == "naive" {
		return plainChannel{ch, a}
	}
	return channel(ch, a, a)
}

type plainChannel struct {
	ssh.Channel
	addr net.Addr
}

func (c plainChannel) LocalAddr() net.Addr              { return c.addr }
func (c plainChannel) RemoteAddr() net.Addr             { return c.addr }
func (c plainChannel) SetDeadline(time.Time) error      { return nil }
func (c plainChannel) SetReadDeadline(time.Time) error  { return nil }
func (c plainChannel) SetWriteDeadline(time.Time) error { return nil }

const benchSize = 256 << 20 // bytes a run

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bulk moves benchSize bytes towards the user.
func (w *world) bulk(tb testing.TB) (wall, used time.Duration) {
	tb.Helper()
	ch, reqs, err := w.user.OpenChannel("session", nil)
	if err != nil {
		tb.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	if ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ S string }{"send"})); !ok || err != nil {
		tb.Fatal(ok, err)
	}
	began, before := time.Now(), cpu()
	b := make([]byte, 64<<10)
	var n int64
	for {
		k, err := ch.Read(b)
		if n += int64(k); err != nil {
			break
		}
	}
	if n != benchSize {
		tb.Fatalf("%d bytes arrived", n)
	}
	wall, used = time.Since(began), cpu()-before
	_ = ch.Close()
	return wall, used
}

// keystrokes measures round trips of single bytes.
func (w *world) keystrokes(tb testing.TB, n int) []time.Duration {
	tb.Helper()
	ch, reqs, err := w.user.OpenChannel("session", nil)
	if err != nil {
		tb.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	if ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ S string }{"echo"})); !ok || err != nil {
		tb.Fatal(ok, err)
	}
	var took []time.Duration
	b := make([]byte, 1)
	for range n {
		began := time.Now()
		if _, err := ch.Write(b); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(ch, b); err != nil {
			tb.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	_ = ch.Close()
	slices.Sort(took)
	return took
}

var ways = []way{
	{"direct", naive, 0},
	{"naive", naive, 1},
	{"entry", coalesced, 1},
}

var jumpWays = []way{
	{"direct", naive, 0},
	{"naive", naive, 2},
	{"entry", coalesced, 2},
}

func median(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2] }

func benchBulk(b *testing.B, ways []way) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	walls, used := make([][]time.Duration, len(ways)), make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, w := range ways {
			x := build(b, w)
			wall, cpu := x.bulk(b)
			walls[i], used[i] = append(walls[i], wall), append(used[i], cpu)
			x.close()
		}
	}
	const gb = float64(benchSize) / 1e9
	for i, w := range ways {
		b.ReportMetric(gb*1000/median(walls[i]).Seconds(), w.name+"-MB/s")
		b.ReportMetric(median(used[i]).Seconds()/gb, w.name+"-cpu-s/GB")
	}
	b.ReportMetric(median(walls[1]).Seconds()/median(walls[2]).Seconds(), "speed-vs-naive")
	b.ReportMetric(median(used[2]).Seconds()/median(used[1]).Seconds(), "cpu-vs-naive")
	b.ReportMetric(median(walls[0]).Seconds()/median(walls[2]).Seconds(), "speed-vs-direct")
}

// BenchmarkRelayBulk: one SSH connection on each side.
func BenchmarkRelayBulk(b *testing.B) { benchBulk(b, ways) }

// BenchmarkJumpBulk: the client's side inside a jump channel, as with -J.
func BenchmarkJumpBulk(b *testing.B) { benchBulk(b, jumpWays) }

func benchEcho(b *testing.B, ways []way) {
	worlds := make([]*world, len(ways))
	for i, w := range ways {
		worlds[i] = build(b, w)
		defer worlds[i].close()
	}
	p50 := make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, x := range worlds {
			p50[i] = append(p50[i], x.keystrokes(b, 500)...)
		}
	}
	for i, w := range ways {
		b.ReportMetric(float64(median(p50[i]).Nanoseconds())/1e3, w.name+"-p50-µs")
		b.ReportMetric(float64(p50[i][len(p50[i])*99/100].Nanoseconds())/1e3, w.name+"-p99-µs")
	}
	b.ReportMetric(float64(median(p50[2]))/float64(median(p50[1])), "echo-vs-naive")
}

// BenchmarkRelayEcho and BenchmarkJumpEcho: one keystroke there and back.
func BenchmarkRelayEcho(b *testing.B) { benchEcho(b, ways) }
func BenchmarkJumpEcho(b *testing.B)  { benchEcho(b, jumpWays) }

// BenchmarkCoalesce: the conns alone, 32 KiB packets as x/crypto writes them.
func BenchmarkCoalesce(b *testing.B) {
	run := func(wrap func(net.Conn) net.Conn) (time.Duration, time.Duration) {
		x, y := wire.TCP(b)
		from, to := wrap(x), wrap(y)
		var got sync.WaitGroup
		got.Add(1)
		go func() {
			defer got.Done()
			p := make([]byte, 32<<10)
			for {
				if _, err := to.Read(p[:4096]); err != nil {
					return
				}
				if _, err := to.Read(p[:28<<10]); err != nil {
					return
				}
			}
		}()
		began, before := time.Now(), cpu()
		p := make([]byte, 32<<10)
		for n := 0; n < benchSize; n += len(p) {
			if _, err := from.Write(p[:4096]); err != nil {
				b.Fatal(err)
			}
			if _, err := from.Write(p[4096:]); err != nil {
				b.Fatal(err)
			}
		}
		_ = from.Close()
		got.Wait()
		_ = to.Close()
		return time.Since(began), cpu() - before
	}
	var n, c []time.Duration
	for b.Loop() {
		_, u := run(naive)
		n = append(n, u)
		_, u = run(coalesced)
		c = append(c, u)
	}
	b.ReportMetric(median(c).Seconds()/median(n).Seconds(), "cpu-vs-naive")
}

// BenchmarkIdleMemory: what an idle session with a shell costs entry, a user
// behind a jump channel: after a screenful, and after much output. The user's
// and the target's ends are in this process too: the same number of direct
// connections is taken off for them, which leaves one outer user's end in.
func BenchmarkIdleMemory(b *testing.B) {
	for _, c := range []struct {
		name  string
		shown int // bytes, before silence
	}{{"screen", 4_000}, {"flood", 4 << 20}} {
		b.Run("shown="+c.name, func(b *testing.B) {
			for b.Loop() {
				direct, entry := idleSessions(b, jumpWays[0], c.shown), idleSessions(b, jumpWays[2], c.shown)
				b.ReportMetric((entry.heap-direct.heap+entry.stacks-direct.stacks)/1e3, "kB/session")
				b.ReportMetric((entry.stacks-direct.stacks)/1e3, "stacks-kB/session")
				b.ReportMetric(entry.goroutines-direct.goroutines, "goroutines/session")
				b.ReportMetric((entry.heap+entry.stacks)/(direct.heap+direct.stacks), "times-direct")
			}
		})
	}
}

// held is what a session holds, in bytes.
type held struct{ heap, stacks, goroutines float64 }

func idleSessions(b *testing.B, w way, shown int) held {
	const n = 100
	now := func() held {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return held{float64(m.HeapAlloc), float64(m.StackInuse), float64(runtime.NumGoroutine())}
	}
	before := now()
	var all []*world
	for range n {
		x := build(b, w)
		ch, reqs, err := x.user.OpenChannel("session", nil)
		if err != nil {
			b.Fatal(err)
		}
		go ssh.DiscardRequests(reqs)
		for _, ask := range []struct {
			name    string
			payload []byte
		}{{"pty-req", ssh.Marshal(testPty)}, {"exec", ssh.Marshal(struct{ S string }{"echo"})}} {
			if ok, err := ch.SendRequest(ask.name, true, ask.payload); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
		go func() { _, _ = ch.Write(make([]byte, shown)) }()
		if _, err := io.CopyN(io.Discard, ch, int64(shown)); err != nil {
			b.Fatal(err)
		}
		p := make([]byte, 1)
		for range 3 { // typing again
			if _, err := ch.Write(p); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(ch, p); err != nil {
				b.Fatal(err)
			}
		}
		all = append(all, x)
	}
	after := now()
	for _, x := range all {
		x.close()
	}
	return held{(after.heap - before.heap) / n, (after.stacks - before.stacks) / n, (after.goroutines - before.goroutines) / n}
}
