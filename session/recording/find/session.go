package find

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"entry/session/recording"
)

// reading is one recording that is searched.
type reading struct {
	*searching
	info    recording.Info
	to      chan<- lot
	results []Result
	told    int64 // bytes of progress
	stopped bool  // nobody wants more
}

// session searches one recording.
func (s *searching) session(info recording.Info, to chan<- lot) {
	r := &reading{searching: s, info: info, to: to}
	if err := s.note(info); err != nil {
		r.hand(lot{err: err})
		return
	}
	r.search()
	r.hand(lot{results: r.results})
	s.progress(info.Size - r.told)
}

// hand gives results away, unless the search ends.
func (r *reading) hand(l lot) {
	r.results = nil
	select {
	case r.to <- l:
	case <-r.ctx.Done():
		r.stopped = true
	}
}

func (r *reading) add(res Result) {
	if r.results = append(r.results, res); len(r.results) >= batch {
		r.hand(lot{results: r.results})
	}
}

func (r *reading) unread(missing bool, channels []uint32, why string) {
	r.add(Result{Unread: &Unread{Session: r.info, Channels: channels, Why: why, Missing: missing}})
}

func (r *reading) search() {
	if r.q.Command != nil {
		first := Query{Match: func([]byte) []int { return nil }, In: []Field{Commands}}
		given := false
		sc := newScan(&first, r.info, nil)
		sc.command = func(text []byte) { given = given || r.q.Command(text) }
		if err := r.frames(sc, func() bool { return given }, false); !given {
			r.summary(sc, err) // what couldn't be read may have it
			return
		}
	}
	sc := newScan(&r.q, r.info, func(h Hit) { r.add(Result{Hit: &h}) })
	r.summary(sc, r.frames(sc, func() bool { return false }, true))
}

// frames has a scan take all frames, until enough says so.
func (r *reading) frames(sc *scan, enough func() bool, tell bool) (err error) {
	in, err := recording.OpenRecording(r.Dir, r.info.ID, r.Identities...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	segments := uint32(0)
	for !r.stopped && !enough() {
		f, err := in.Next()
		if err != nil {
			sc.close()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		sc.frame(f)
		if n := in.Segments(); tell && n != segments {
			segments = n
			if part := r.info.Size * int64(n) / int64(max(n, r.info.Segments)); part > r.told {
				r.progress(part - r.told)
				r.told = part
			}
			if r.ctx.Err() != nil {
				r.stopped = true
			}
		}
	}
	return nil
}

// summary tells what wasn't looked at.
func (r *reading) summary(sc *scan, err error) {
	live := r.info.State == recording.Live
	switch {
	case r.stopped:
		return
	case errors.Is(err, recording.ErrTruncated) && live:
		r.unread(false, nil, "it is still running: searched as far as it was written")
	case errors.Is(err, recording.ErrTruncated):
		r.unread(true, nil, "it was cut: searched as far as it was written")
	case err != nil:
		r.unread(true, nil, err.Error())
	}
	if sc.gaps > 0 {
		r.unread(true, nil, fmt.Sprintf("it has gaps: %d", sc.gaps))
	}
	keys := false
	var same []uint32
	why, missing := "", false
	tell := func() {
		if len(same) > 0 {
			r.unread(missing, same, why)
		}
		same = nil
	}
	channels := sc.tally.Channels()
	slices.SortStableFunc(channels, func(a, b recording.Channel) int {
		return slices.Compare([]string{string(a.Coverage)}, []string{string(b.Coverage)})
	})
	for _, c := range channels {
		text, lacks := "", false
		switch {
		case c.Coverage == recording.Partial:
			text, lacks = recording.Describe(c.Coverage, c.Missing), true
		case c.Coverage == recording.Manifested:
			text = "manifest: the names of its files, not what was in them"
		case c.Coverage == recording.MetadataOf:
			text = "metadata: nothing of what passed is kept"
		case c.Coverage == "" && err == nil:
			text, lacks = "partial: its end is missing", true
		}
		keys = keys || c.PTY
		if text == "" {
			continue
		}
		if text != why || lacks != missing {
			tell()
			why, missing = text, lacks
		}
		same = append(same, c.Number)
	}
	tell()
	if keys && !r.info.Input && slices.Contains(r.q.In, Input) {
		r.unread(false, nil, "the keys that were typed aren't kept: its rule doesn't say record_input")
	}
}
