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
	noise := make([]byte, 2<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	if !w.Keeps(len(noise), false) || w.Used() != 0 {
		t.Errorf("before anything was written: %d %%", w.Used())
	}
	b.must(w.Frame(recording.Output, 0, noise))
	b.must(b.tick())
	if w.Used() < 100 || w.Keeps(1, false) {
		t.Errorf("bulk is kept at %d %%", w.Used())
	}
	if !w.Keeps(readingBurst, true) || w.Keeps(readingRate, true) {
		t.Error("on a terminal more is kept than a person can read, or less")
	}
	b.clock.Advance(time.Second)
	if !w.Keeps(readingRate, true) || w.Keeps(1, true) {
		t.Error("a second later more is kept than a person can read, or less")
	}
	if !bob.Keeps(len(noise), false) {
		t.Error("somebody else's bulk isn't kept")
	}
	// The next start knows of it.
	for _, w := range []*Writer{w, bob} {
		_, err := w.Close()
		b.must(err)
	}
	b.must(b.Close())
	o := Options{Dir: b.dir, Commit: b.commit, Now: b.clock.Now}
	edit(&o)
	d, err := openDirectory(b.dir)
	b.must(err)
	again, err := open(o, d)
	b.must(err)
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
