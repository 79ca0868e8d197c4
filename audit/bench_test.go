//go:build linux

package audit

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// BenchmarkAppend compares group commit with what a plain log would do, one
// write and one fdatasync an event under a mutex, in the same run on the same
// disk: ratio is events a second against the plain log's, and above 1 is
// better. A single caller pays for the checkpoint; many share it.
func BenchmarkAppend(b *testing.B) {
	e := Event{Type: ExecRequested, Conn: "01JCONN", Session: "01JSESS", User: "alice", Source: "192.0.2.7:50122", Lab: "tinker", Target: "home.tinker", Program: "rsync"}
	for _, callers := range []int{1, 16, 256} {
		for _, witnessed := range []bool{true, false} {
			b.Run(fmt.Sprintf("callers=%d/witness=%v", callers, witnessed), func(b *testing.B) {
				p := newPlace(b)
				o := p.options()
				if !witnessed {
					o.Witness = ""
				}
				l, err := Open(p.dir, o)
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				plain, err := os.OpenFile(filepath.Join(b.TempDir(), "plain"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
				if err != nil {
					b.Fatal(err)
				}
				defer plain.Close()
				var mu sync.Mutex
				plainAppend := func() error {
					mu.Lock()
					defer mu.Unlock()
					if err := (realDisk{}).write(plain, append(e.AppendJSON(nil), '\n')); err != nil {
						return err
					}
					return realDisk{}.sync(plain, true)
				}
				run := func(f func() error) time.Duration {
					start := time.Now()
					var wg sync.WaitGroup
					for c := range callers {
						wg.Go(func() {
							for i := c; i < b.N; i += callers {
								if err := f(); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wg.Wait()
					return time.Since(start)
				}
				baseline := run(plainAppend)
				b.ResetTimer()
				ours := run(func() error { return l.Append(context.Background(), e) })
				b.StopTimer()
				b.ReportMetric(float64(b.N)/ours.Seconds(), "events/s")
				b.ReportMetric(float64(baseline)/float64(ours), "ratio")
			})
		}
	}
}

// many appends n events of a busy server, in large batches.
func (p *place) many(b *testing.B, n int) {
	l, err := open(p.dir, p.options(), unsynced{})
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]Event, 1000)
	for i := range batch {
		batch[i] = Event{Type: ChannelOpened, Conn: "01JQ0000000000000000000000", Session: "01JQ0000000000000000000001", User: "alice", Source: "192.0.2.7:50122", Lab: "tinker", Target: "home.tinker", ChannelType: "session", Rule: "tinker-home (tinker.yaml:12)"}
	}
	for range n / len(batch) {
		mustAppend(b, l, batch...)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkStart reports what a start takes with a million events against one with a tenth
// of them, all in segments of one size: about 1, however many there are.
func BenchmarkStart(b *testing.B) {
	few, many := newPlace(b), newPlace(b)
	few.segment, many.segment = 4<<20, 4<<20
	few.many(b, 100_000)
	many.many(b, 1_000_000)
	start := func(p *place) time.Duration {
		began := time.Now()
		l, err := Open(p.dir, p.options())
		if err != nil {
			b.Fatal(err)
		}
		took := time.Since(began)
		_ = l.Close()
		return took
	}
	var of [2]time.Duration
	for b.Loop() {
		of[0] += start(few)
		of[1] += start(many)
	}
	b.ReportMetric(of[1].Seconds()*1e3/float64(b.N), "ms/start")
	b.ReportMetric(of[1].Seconds()/of[0].Seconds(), "ratio-1M/100k")
}

// BenchmarkVerify reports seconds for a million events, against hashing the same lines
// alone, the least that any verifier of this log must do, and against one core.
func BenchmarkVerify(b *testing.B) {
	const n = 100_000
	p := newPlace(b)
	p.many(b, n)
	hashing := func() time.Duration {
		start := time.Now()
		f, err := os.Open(p.path(eventsName))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		var t tree
		for r := bufio.NewReaderSize(f, 2*maxLine); t.size < n; {
			line, err := r.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			t.add(leafOf(line), nil)
		}
		return time.Since(start)
	}
	var base, one time.Duration
	for b.Loop() {
		b.StopTimer()
		base += hashing()
		cores, began := runtime.GOMAXPROCS(1), time.Now()
		if _, err := p.verify(); err != nil {
			b.Fatal(err)
		}
		one += time.Since(began)
		runtime.GOMAXPROCS(cores)
		b.StartTimer()
		if rep, err := p.verify(); err != nil || rep.Events != n {
			b.Fatal(rep, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*1e6/n, "s/million")
	b.ReportMetric(b.Elapsed().Seconds()/base.Seconds(), "x-hashing")
	b.ReportMetric(one.Seconds()/b.Elapsed().Seconds(), fmt.Sprintf("x-one-core/%d", runtime.GOMAXPROCS(0)))
}
