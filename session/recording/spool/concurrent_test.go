//go:build linux

package spool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"entry/session/recording"
)

func TestConcurrentSessions(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Now = nil })
	const sessions, streams, each = 8, 3, 200
	var ticks, all sync.WaitGroup
	stop := make(chan struct{})
	ticks.Go(func() {
		for !isClosed(stop) {
			if err := b.tick(); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range sessions {
		w := b.create(n)
		all.Go(func() {
			var one sync.WaitGroup
			for c := range streams {
				one.Go(func() {
					data := bytes.Repeat([]byte{byte(c)}, 5000)
					for range each {
						if err := w.Frame(recording.Output, uint32(c), data); err != nil {
							t.Error(err)
						}
					}
				})
			}
			one.Wait()
			if _, err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(stop)
	ticks.Wait()
	b.must(b.Close())
	for n := range sessions {
		frames, err := readAll(t, b.dir, id(n))
		if !errors.Is(err, io.EOF) || len(frames) != streams*each {
			t.Errorf("session %d: %d frames, %v", n, len(frames), err)
		}
	}
	heads := map[string][]recording.Expect{}
	for _, tick := range b.ticks {
		list, err := recording.ReadTick(b.dir, tick)
		b.must(err)
		for _, c := range list {
			heads[c.ID] = append(heads[c.ID], recording.Expect{Segments: c.Segments, Head: c.Head})
		}
	}
	for n := range sessions {
		if _, err := recording.Verify(b.dir, id(n), heads[id(n)]...); err != nil {
			t.Error(err)
		}
	}
}

// TestOneTickASecond runs the spool's own clock.
func TestOneTickASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticks := make(chan time.Time, 10)
		s, err := Open(Options{Dir: t.TempDir(), Commit: func(context.Context, recording.Tick) error { ticks <- time.Now(); return nil }})
		if err != nil {
			t.Fatal(err)
		}
		w, err := s.Create(recording.Header{ID: id(1)}, []age.Recipient{auditor().Recipient()})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 3 {
			if err := w.Frame(recording.Output, 0, []byte("x")); err != nil {
				t.Fatal(err)
			}
			<-ticks
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("three ticks took %v", took)
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
