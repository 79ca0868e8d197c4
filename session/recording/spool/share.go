//go:build linux

package spool

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
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

// leastPart is how many users' shares the spool's file system holds at least.
const leastPart = 10

// shares are what users may have recorded in a day (UTC) before their bulk is
// counted and digested instead. It is safe for concurrent use.
type shares struct {
	most int64 // bytes as they are sealed; 0 is no bound
	now  func() time.Time

	mu sync.Mutex // guards of
	of map[string]*share
}

// share is what one user has used of it.
type share struct {
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

// newShares has what was recorded today already. size is that of the file system.
func newShares(most, size int64, now func() time.Time, dir string) (*shares, error) {
	if most > 0 && size > 0 {
		most = min(most, size/leastPart)
	}
	s := &shares{most: most, now: now, of: map[string]*share{}}
	if most == 0 {
		return s, nil
	}
	infos, err := listed(dir)
	for _, i := range infos {
		if dayOf(i.Start) == dayOf(now()) {
			s.user(i.User).add(i.Size, now())
		}
	}
	return s, err
}

func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

func (s *shares) user(user string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.of[user]
	if u == nil {
		u = &share{day: dayOf(s.now()), reading: readingBurst, at: s.now(), drawn: map[*own]struct{}{}}
		s.of[user] = u
	}
	return u
}

func (u *share) add(n int64, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.roll(now)
	u.bytes += n
}

func (u *share) roll(now time.Time) {
	if d := dayOf(now); d != u.day {
		u.day, u.bytes = d, 0
	}
}

// Stream returns what says, of each n bytes of one stream of output in turn, how many
// of them, from the first on, are to be kept: all within the user's share of the day,
// and beyond it what a person can read on a terminal. What isn't kept is to be counted
// and digested. What one stream shows never takes all of what another's terminal may.
func (w *Writer) Stream(terminal bool) func(n int) int {
	s, u := w.spool.shares, w.share
	o := &own{}
	return func(n int) int {
		if s.most == 0 {
			return n
		}
		now := s.now()
		u.mu.Lock()
		defer u.mu.Unlock()
		u.roll(now)
		switch {
		case u.bytes < s.most:
			return n
		case !terminal:
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
	if s.shares.most == 0 {
		return 0
	}
	u := s.shares.user(user)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.roll(s.shares.now())
	return int(u.bytes * 100 / s.shares.most)
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
