//go:build linux

package spool

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"entry/session/recording"
)

// What people read goes on being kept beyond the share: faster than this nobody
// reads, and what is faster is bulk whatever it is shown on. All bytes are before
// they are compressed.
const (
	readingRate  = 16 << 10  // bytes a second of one user
	readingBurst = 256 << 10 // bytes at once: a screen full of log, a manual page

	// What each stream of a terminal has beyond that for itself, so that no other one
	// can take it.
	ownRate  = 2 << 10  // bytes a second: a person at a keyboard
	ownBurst = 16 << 10 // bytes at once: some screens
	ownRates = 16 << 10 // bytes a second of one user's streams together
	ownPiece = 1 << 10  // bytes that there must be before a stream that had to be cut is kept again
)

// A user's day has three shares of one size, counted as bytes are sealed: in the
// first everything is kept, in the second what people read, in the third only what
// can't be left out (requests, exits, digests). Then the user's sessions end, and no
// other's: whatever one or two users do, some of what was free is left.
const (
	keptShares = 2 // with output
	mostShares = 3

	// leastPart is how many shares there are at least in what is free beyond the
	// reserve when a day begins.
	leastPart = 10

	// twoFiles is what a recording takes on a disk at least.
	twoFiles = 8 << 10 // bytes
)

// shares are what users may have recorded in a day (UTC) before their bulk is
// counted and digested instead. It is safe for concurrent use.
type shares struct {
	share  int64 // bytes, as configured; 0 is no bound
	size   int64 // bytes of the file system; 0 where it can't tell
	now    func() time.Time
	rescue func(user string) bool

	part atomic.Int64 // bytes that one user's share isn't more than today

	mu  sync.Mutex // guards what follows; may be taken while a share's is held
	of  map[string]*share
	day int64
	sum int64 // bytes of everybody's that day

	fitted int64 // the day that part is for
}

// share is what one user has used of it.
type share struct {
	all    *shares
	rescue bool // makes room for the others, which takes none of a small disk's

	mu      sync.Mutex // guards what follows
	day     int64
	bytes   int64
	reading float64   // bytes that may still be kept beyond the share
	at      time.Time // when reading was so

	drawn   map[*own]struct{} // those that aren't full and were used lately
	counted time.Time         // when drawn was last looked through
}

// own is what one stream of a terminal may keep beyond its user's share and the
// reading. Its share's mu guards it.
type own struct {
	begun bool
	cut   bool      // what came last wasn't kept whole
	bytes float64   // that may still be kept
	at    time.Time // when bytes was so
	used  time.Time // when something was last shown
}

// newShares has what was recorded today already.
func newShares(o Options) (*shares, error) {
	s := &shares{share: o.Share, size: sizeOf(o.Dir), now: o.Now, rescue: o.Rescue, of: map[string]*share{}}
	s.part.Store(math.MaxInt64)
	if s.share == 0 {
		return s, nil
	}
	now := s.now()
	midnight := now.UTC().Truncate(24 * time.Hour)
	infos, err := listed(o.Dir)
	for _, i := range infos {
		n := i.Size + twoFiles
		if i.Start.Before(midnight) {
			if i.State == recording.Complete && i.End.Before(midnight) {
				continue
			}
			var serr error
			if n, serr = recording.SizeSince(o.Dir, i.ID, midnight); serr != nil {
				err = errors.Join(err, serr)
			}
		}
		_ = s.user(i.User).add(n, now) // whoever is over it is refused when a session starts
	}
	return s, err
}

// fit makes today's share fit what is free beyond the reserve, with what all have
// taken of that today. Within a day it becomes no smaller: where something else fills
// the disk, the reserve is for what runs, and no user is at fault.
func (s *shares) fit(free int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	today := dayOf(s.now())
	s.roll(today)
	part := (free + s.sum) / leastPart
	if s.fitted == today {
		part = max(part, s.part.Load())
	}
	s.fitted = today
	s.part.Store(part)
}

// roll begins a new day; s.mu is held.
func (s *shares) roll(day int64) {
	if day != s.day {
		s.day, s.sum = day, 0
	}
}

func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

func (s *shares) user(user string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.of[user]
	if u == nil {
		u = &share{all: s, rescue: s.rescue != nil && s.rescue(user), day: dayOf(s.now()), reading: readingBurst, at: s.now(), drawn: map[*own]struct{}{}}
		s.of[user] = u
	}
	return u
}

// most is how many bytes one of u's shares has today, at least 1.
func (u *share) most() int64 {
	part := u.all.part.Load()
	if u.rescue {
		part = math.MaxInt64
	}
	if u.all.size > 0 {
		part = min(part, u.all.size/leastPart)
	}
	return max(1, min(u.all.share, part))
}

// add counts n bytes that were written, and returns ErrShare where there may be no
// more today.
func (u *share) add(n int64, now time.Time) error {
	s := u.all
	if s.share == 0 {
		return nil
	}
	s.mu.Lock()
	s.roll(dayOf(now))
	s.sum += n
	s.mu.Unlock()
	u.mu.Lock()
	u.roll(now)
	u.bytes += n
	u.mu.Unlock()
	return u.admit(now)
}

// admit returns ErrShare where the user has recorded more today than anybody may.
func (u *share) admit(now time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.roll(now)
	if u.all.share > 0 && !u.rescue && u.bytes >= mostShares*u.most() {
		return ErrShare
	}
	return nil
}

// wide reports whether there is room in today's share for all that a spool's buffers of
// bulk hold: what isn't sealed yet isn't counted, and mustn't go far beyond the share.
func (u *share) wide(now time.Time) bool {
	if u.all.share == 0 {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.roll(now)
	return u.most()-u.bytes >= bulkHeld
}

func (u *share) roll(now time.Time) {
	if d := dayOf(now); d != u.day {
		u.day, u.bytes = d, 0
	}
}

// Stream returns what says, of each n bytes of one stream of output in turn, how many
// of them, from the first on, are to be kept: all within the user's share of the day,
// and for as much again what a person can read on a terminal. What isn't kept is to be
// counted and digested. What one stream shows never takes all of what another's
// terminal may at that time; what all of them show in a day is bounded together.
func (w *Writer) Stream(terminal bool) func(n int) int {
	s, u := w.spool.shares, w.share
	o := &own{}
	return func(n int) int {
		if s.share == 0 {
			return n
		}
		now := s.now()
		u.mu.Lock()
		defer u.mu.Unlock()
		u.roll(now)
		switch most := u.most(); {
		case u.bytes < most:
			return n
		case !terminal, u.bytes >= keptShares*most:
			return 0
		}
		return u.beyond(o, n, now)
	}
}

// beyond is how many of n bytes are kept beyond the share: of what the user's
// terminals have in common first, then of o's own.
func (u *share) beyond(o *own, n int, now time.Time) int {
	if d := now.Sub(u.at); d > 0 {
		u.reading, u.at = min(readingBurst, u.reading+d.Seconds()*readingRate), now
	}
	u.recount(now)
	if !o.begun {
		// Opening one terminal after the other gives no more than keeping them open.
		o.begun, o.bytes, o.at = true, ownPiece, now
		if u.rate() == ownRate {
			o.bytes = ownBurst
		}
	}
	u.fill(o, now)
	o.used = now
	if o.cut && o.bytes < ownPiece {
		return 0
	}
	common := min(n, int(u.reading))
	mine := min(n-common, int(o.bytes))
	u.reading -= float64(common)
	o.bytes -= float64(mine)
	o.cut = common+mine < n
	if o.bytes < ownBurst {
		u.drawn[o] = struct{}{}
	}
	return common + mine
}

// rate is what a stream's own fills by, in bytes a second: the more of the user's
// streams have drawn on theirs, the slower.
func (u *share) rate() float64 { return min(ownRate, ownRates/float64(len(u.drawn)+1)) }

func (u *share) fill(o *own, now time.Time) {
	if d := now.Sub(o.at); d > 0 {
		o.bytes, o.at = min(ownBurst, o.bytes+d.Seconds()*u.rate()), now
	}
}

// recount forgets, once a second, the streams that are full again or weren't used
// for as long as one alone takes to fill: their terminals may be closed.
func (u *share) recount(now time.Time) {
	if now.Sub(u.counted) < time.Second {
		return
	}
	u.counted = now
	for o := range u.drawn {
		if u.fill(o, now); o.bytes >= ownBurst || now.Sub(o.used) > ownBurst/ownRate*time.Second {
			delete(u.drawn, o)
		}
	}
}

// Used is how much of its user's share of the day is used, in percent.
func (w *Writer) Used() int { return w.spool.UsedBy(w.user) }

// UsedBy is how much of user's share of the day is used, in percent.
func (s *Spool) UsedBy(user string) int {
	if s.shares.share == 0 {
		return 0
	}
	u := s.shares.user(user)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.roll(s.shares.now())
	return int(u.bytes * 100 / u.most())
}

// sizeOf is how large the file system of a folder is, in bytes; 0 where that can't
// be told.
func sizeOf(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0
	}
	return int64(st.Blocks) * int64(st.Bsize) // the fields' types differ between architectures
}
