//go:build linux

package spool

import (
	"errors"
	"io/fs"

	"entry/session/recording"
)

// admit says whether a user's recording may start now.
func (s *Spool) admit(user string, rescue bool) error {
	free, ferr := s.disk.free()
	if err := s.shares.user(user).admit(s.o.Now()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.err != nil:
		return s.err
	case s.stalled:
		return ErrStalled
	case ferr != nil:
		return ferr
	case free < s.o.Reserve && !rescue, free < s.o.Reserve/8:
		return ErrFull
	case s.o.Quota == 0 || s.used[user] < s.o.Quota:
		return nil
	}
	// Recordings may have been archived or removed since they were counted.
	if now := s.o.Now(); now.Sub(s.counted) >= tickEvery {
		s.counted = now
		s.mu.Unlock()
		used, err := usage(s.o.Dir)
		s.mu.Lock()
		if err != nil {
			return err
		}
		s.used = used
	}
	if s.used[user] >= s.o.Quota {
		return ErrQuota
	}
	return nil
}

// usage counts the bytes of every user's recordings.
func usage(dir string) (map[string]int64, error) {
	used := map[string]int64{}
	infos, err := listed(dir)
	for _, i := range infos {
		used[i.User] += i.Size
	}
	return used, err
}

// listed is all recordings; none where there is no spool yet.
func listed(dir string) ([]recording.Info, error) {
	infos, err := recording.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return infos, err
}
