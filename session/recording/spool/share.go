//go:build linux

package spool

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// What people read goes on being kept beyond the share: faster than this nobody
// reads, and what is faster is bulk whatever it is shown on.
const (
	readingRate  = 16 << 10  // bytes a second of one user, before they are compressed
	readingBurst = 256 << 10 // bytes at once: a screen full of log, a manual page
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
		u = &share{day: dayOf(s.now()), reading: readingBurst, at: s.now()}
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

// Keeps reports whether n bytes of output are to be kept: all of them within the
// user's share of the day, and beyond it what a person can read on a terminal. What
// isn't kept is to be counted and digested.
func (w *Writer) Keeps(n int, terminal bool) bool {
	s, u := w.spool.shares, w.share
	if s.most == 0 {
		return true
	}
	now := s.now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.roll(now)
	if u.bytes < s.most {
		return true
	}
	if d := now.Sub(u.at); d > 0 {
		u.reading, u.at = min(readingBurst, u.reading+d.Seconds()*readingRate), now
	}
	if !terminal || u.reading < float64(n) {
		return false
	}
	u.reading -= float64(n)
	return true
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
