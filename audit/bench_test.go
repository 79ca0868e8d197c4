//go:build linux

package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

// BenchmarkVerify reports seconds for a million events, and against hashing
// the same lines alone, the least that any verifier of this log must do.
func BenchmarkVerify(b *testing.B) {
	const n = 100_000
	p := newPlace(b)
	l := p.open(b)
	batch := make([]Event, 100)
	for i := range batch {
		batch[i] = Event{Type: ChannelOpened, Conn: "01JQ0000000000000000000000", Session: "01JQ0000000000000000000001", User: "alice", Source: "192.0.2.7:50122", Lab: "tinker", Target: "home.tinker", ChannelType: "session", Rule: "tinker-home (tinker.yaml:12)"}
	}
	for range n / len(batch) {
		mustAppend(b, l, batch...)
	}
	_ = l.Close()
	hashing := func() time.Duration {
		start := time.Now()
		f, err := os.Open(p.path(eventsName))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		var t tree
		for r := newLineReader(f); t.size < n; {
			line, err := r.next()
			if err != nil {
				b.Fatal(err)
			}
			t.add(leafOf(line), nil)
		}
		return time.Since(start)
	}
	var base time.Duration
	for b.Loop() {
		b.StopTimer()
		base += hashing()
		b.StartTimer()
		if rep, err := p.verify(); err != nil || rep.Events != n {
			b.Fatal(rep, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*1e6/n, "s/million")
	b.ReportMetric(b.Elapsed().Seconds()/base.Seconds(), "x-hashing")
}
