//go:build linux

package spool

import (
	"errors"
	"testing"
	"time"

	"filippo.io/age"

	"entry/session/recording"
)

// A user who has patience got 34 kB a second kept beyond the share, all day, on
// terminals that each stayed within what a person reads: nothing bounded the day.
func TestADayOfPatience(t *testing.T) {
	const share = 256 << 10
	b := newBench(t, func(o *Options) { o.Share = share })
	w := b.create(1)
	bob, err := b.Create(recording.Header{ID: id(2), User: "bob", Lab: "tinker", Target: "home.tinker"}, []age.Recipient{auditor().Recipient()})
	b.must(err)
	used := func() int64 { w.share.mu.Lock(); defer w.share.mu.Unlock(); return w.share.bytes }
	b.must(w.Frame(recording.Output, 0, noise(share)))
	b.must(b.tick())

	all := noise(1 << 20)
	fresh := func(n int) []byte { // doesn't compress beside what came before
		if len(all) < n {
			all = noise(1 << 20)
		}
		p := all[:n]
		all = all[n:]
		return p
	}
	terminals := make([]func(int) int, 20)
	for i := range terminals {
		terminals[i] = w.Stream(true)
	}
	const hour = 3600
	kept, full := 0, 0 // bytes kept, and the second from which on there were none
	for second := range hour {
		now := 0
		for i, m := range terminals {
			n := m(3 << 10)
			now += n
			b.must(w.Frame(recording.Output, uint32(i), fresh(n)))
		}
		kept += now
		b.clock.Advance(time.Second)
		if now == 0 {
			full = second
			break
		}
		b.must(b.tick())
	}
	if full == 0 || kept < share/2 || used() > keptShares*share+share/2 {
		t.Errorf("%d bytes kept in %d s beyond a share of %d: %d in all", kept, full, share, used())
	}
	if bob.Stream(false)(1<<20) != 1<<20 || bob.Used() > 10 {
		t.Error("somebody else's bulk isn't kept")
	}

	// What can't be left out ends the user's sessions at three shares, nobody else's.
	for i := 0; err == nil; i++ {
		if err = w.Frame(recording.Request, 0, fresh(16<<10)); err == nil {
			err = b.tick()
		}
		if i > 100 {
			t.Fatal("requests go on for ever")
		}
	}
	if !errors.Is(err, ErrShare) || used() > mostShares*share+share/2 {
		t.Errorf("requests end at %d bytes with %v", used(), err)
	}
	if _, err := b.Create(recording.Header{ID: id(3), User: "alice", Lab: "tinker", Target: "home.tinker"}, []age.Recipient{auditor().Recipient()}); !errors.Is(err, ErrShare) {
		t.Errorf("a new recording at %d shares: %v", mostShares, err)
	}
	b.must(bob.Frame(recording.Output, 0, noise(1<<10)))
	b.must(b.tick())

	b.clock.Advance(24 * time.Hour)
	next := b.create(4)
	if next.Stream(false)(1<<20) != 1<<20 {
		t.Error("nothing is kept the next day")
	}
	for _, w := range []*Writer{bob, next} {
		_, err := w.Close()
		b.must(err)
	}
	_, _ = w.Close() // ended above
	b.must(b.Close())
}

// A share is a part of what is free, so that a disk that is nearly full isn't filled
// by one user or two; what makes room meanwhile makes shares larger.
func TestAShareFitsWhatIsFree(t *testing.T) {
	const mib = 1 << 20
	b := newBench(t, func(o *Options) {
		o.Share, o.Reserve = 8*mib, 10*mib
		o.Rescue = func(user string) bool { return user == "alice" }
	})
	open := func(n int, user string) *Writer {
		w, err := b.Create(recording.Header{ID: id(n), User: user, Lab: "tinker", Target: "home.tinker"}, []age.Recipient{auditor().Recipient()})
		b.must(err)
		return w
	}
	b.disk.frees = 30 * mib
	bob := open(2, "bob")
	tick := func() {
		b.must(bob.Frame(recording.Output, 0, []byte("x")))
		b.must(b.tick())
	}
	b.clock.Advance(24 * time.Hour)
	tick()
	if n := bob.share.most(); n < 2*mib || n > 2*mib+4<<10 {
		t.Errorf("with 20 MiB free beyond the reserve a share is %d", n)
	}
	// What was written today counts as free: shares don't shrink by being used.
	b.must(bob.Frame(recording.Output, 0, noise(mib)))
	b.must(b.tick())
	b.disk.frees -= mib
	tick()
	// (What is written before the disk has less counts twice for as long.)
	if n := bob.share.most(); n < 2*mib || n > 2*mib+mib/leastPart+8<<10 {
		t.Errorf("with 1 MiB of them written it is %d", n)
	}
	b.disk.frees = 200 * mib
	tick()
	if n := bob.share.most(); n != 8*mib {
		t.Errorf("with 190 MiB free it is %d", n)
	}
	// What something else fills is no user's fault: the reserve is for who runs.
	b.disk.frees = 9 * mib
	tick()
	if n := bob.share.most(); n != 8*mib {
		t.Errorf("under the reserve it has become %d", n)
	}
	b.clock.Advance(24 * time.Hour)
	tick()
	if n := bob.share.most(); n > mib {
		t.Errorf("under the reserve it begins as %d", n)
	}
	rescue := open(1, "alice")
	if n := rescue.share.most(); n != 8*mib {
		t.Errorf("of who makes room it is %d", n)
	}
	for _, w := range []*Writer{bob, rescue} {
		_, err := w.Close()
		b.must(err)
	}
	b.must(b.Close())
}

// A session that began yesterday and went on counted nothing today, after a start.
func TestTheStartKnowsOfYesterdaysSessions(t *testing.T) {
	edit := func(o *Options) { o.Share = 1 << 20 }
	b := newBench(t, edit)
	w, old := b.create(1), b.create(2)
	b.must(w.Frame(recording.Output, 0, noise(600<<10)))
	b.must(old.Frame(recording.Output, 0, noise(600<<10)))
	b.must(b.tick())
	_, err := old.Close()
	b.must(err)
	b.clock.Advance(24 * time.Hour)
	b.must(w.Frame(recording.Output, 0, noise(300<<10)))
	b.must(b.tick())
	_, err = w.Close()
	b.must(err)
	if used := b.UsedBy("alice"); used < 25 || used > 35 {
		t.Errorf("%d %% are used", used)
	}
	b.must(b.Close())
	again := b.again(edit)
	if used := again.UsedBy("alice"); used < 25 || used > 35 {
		t.Errorf("after a start %d %% are used", used)
	}
	b.must(again.Close())
}
