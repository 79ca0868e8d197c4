//go:build linux

package audit

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

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
