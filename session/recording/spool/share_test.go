//go:build linux

package spool

import (
	"math/rand/v2"
	"testing"
	"time"

	"filippo.io/age"

	"entry/session/recording"
)

// A user's share counts what was written, by day: beyond it bulk isn't kept, and on
// a terminal what a person can read is.
func TestShare(t *testing.T) {
	edit := func(o *Options) { o.Share = 1 << 20 }
	b := newBench(t, edit)
	w := b.create(1)
	bob, err := b.Create(recording.Header{ID: id(2), User: "bob", Lab: "tinker", Target: "home.tinker"}, []age.Recipient{auditor().Recipient()})
	b.must(err)
	noise := make([]byte, 5<<18)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	bulk, first, second := w.Stream(false), w.Stream(true), w.Stream(true)
	if bulk(len(noise)) != len(noise) || w.Used() != 0 {
		t.Errorf("before anything was written: %d %%", w.Used())
	}
	b.must(w.Frame(recording.Output, 0, noise))
	b.must(b.tick())
	if w.Used() < 100 || bulk(1) != 0 {
		t.Errorf("bulk is kept at %d %%", w.Used())
	}
	if n := first(1 << 20); n != readingBurst+ownBurst || first(1) != 0 {
		t.Errorf("of one terminal %d bytes are kept at once", n)
	}
	if n := second(1 << 20); n != ownBurst || second(1) != 0 {
		t.Errorf("of another, of the same recording, %d bytes are kept", n)
	}
	b.clock.Advance(time.Second)
	if n := first(1 << 20); n < readingRate+ownRate || n > readingRate+2*ownRate {
		t.Errorf("a second later %d bytes are kept", n)
	}
	if n := second(1 << 20); n < ownRate || n > 2*ownRate {
		t.Errorf("of another %d", n)
	}
	if bob.Stream(false)(len(noise)) != len(noise) {
		t.Error("somebody else's bulk isn't kept")
	}
	// The next start knows of it.
	for _, w := range []*Writer{w, bob} {
		_, err := w.Close()
		b.must(err)
	}
	b.must(b.Close())
	again := b.again(edit)
	if used := again.UsedBy("alice"); used < 100 {
		t.Errorf("after a start %d %% are used", used)
	}
	if used := again.UsedBy("bob"); used > 1 {
		t.Errorf("of somebody else's %d %%", used)
	}
	b.clock.Advance(24 * time.Hour)
	if used := again.UsedBy("alice"); used != 0 {
		t.Errorf("the next day %d %% are used", used)
	}
	b.must(again.Close())
}

// One terminal that drains all it can doesn't take from another, and hundreds of them
// don't fill the spool.
func TestAFloodHidesNothing(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Share = 1 << 20 })
	flood, quiet := b.create(1), b.create(2)
	b.must(flood.share.add(5<<18, b.clock.Now()))
	const line = 64
	noise, shown := flood.Stream(true), flood.Stream(true)
	elsewhere := quiet.Stream(true)
	for i := range 600 {
		for range 1000 {
			noise(line)
		}
		if shown(line) != line || elsewhere(line) != line {
			t.Fatalf("line %d beside a flood isn't kept", i)
		}
		b.clock.Advance(time.Second / 10)
	}

	many := make([]func(int) int, 500)
	for i := range many {
		many[i] = flood.Stream(true)
	}
	sum, seconds := 0, 60
	for range seconds {
		for _, m := range many {
			sum += m(1 << 20)
		}
		for i := range 50 { // and some that are opened anew each time
			many[i] = flood.Stream(true)
		}
		b.clock.Advance(time.Second)
	}
	if most := readingBurst + ownRates/ownRate*ownBurst + len(many)*ownPiece + seconds*(readingRate+ownRates+50*ownPiece); sum > most {
		t.Errorf("%d terminals kept %d bytes in %d s, more than %d", len(many), sum, seconds, most)
	}

	// Those that are over are forgotten, and take from no other.
	b.clock.Advance(10 * time.Second)
	noise(line)
	if n := len(flood.share.drawn); n > 1 {
		t.Errorf("%d streams are remembered", n)
	}
	for _, w := range []*Writer{flood, quiet} {
		_, err := w.Close()
		b.must(err)
	}
	b.must(b.Close())
}
