//go:build linux

package audit

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// TestSoakLog writes a log of many events, from many goroutines as a busy server
// does, opens it again, and verifies every one of them.
func TestSoakLog(t *testing.T) {
	const (
		callers = 64
		batch   = 25 // events a call: some facts come in groups
	)
	events := testkit.Long(100_000, 10_000_000) / (callers * batch) * (callers * batch)
	p := newPlace(t)
	o := p.options()
	o.Now = time.Now
	l, err := Open(p.dir, o)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			group := make([]Event, batch)
			for i := range events / (callers * batch) {
				for j := range group {
					group[j] = Event{Type: ChannelOpened, Conn: fmt.Sprintf("01JQ%022d", c), Session: fmt.Sprintf("01JR%022d", i), User: "alice",
						Source: "192.0.2.7:50122", Lab: "tinker", Target: "home.tinker", ChannelType: "session", Rule: "tinker-home (tinker.yaml:12)"}
				}
				if err := l.Append(context.Background(), group...); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	wrote := time.Since(began)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	if l, err = Open(p.dir, o); err != nil {
		t.Fatal(err)
	}
	opened := time.Since(began)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	report, err := p.verify()
	if err != nil || report.Events != uint64(events+len(p.sealed(t))) { // each but the first segment begins with a record of its own
		t.Fatalf("%v, %v; want %d events in %d segments", report, err, events, len(p.sealed(t))+1)
	}
	t.Logf("%d events: %.0f/s written, opened again in %s, verified in %s a million", events, float64(events)/wrote.Seconds(),
		opened.Round(time.Millisecond), (time.Since(began) * 1_000_000 / time.Duration(events)).Round(time.Millisecond))
}
