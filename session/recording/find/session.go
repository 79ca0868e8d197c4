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
	to      chan<- []Result // what is handed over at once
	results []Result
	told    int64 // bytes of progress
	stopped bool  // nobody wants more
}

// session searches one recording.
func (s *searching) session(info recording.Info, to chan<- []Result) {
	r := &reading{searching: s, info: info, to: to}
	r.search()
	r.hand(r.results)
	s.progress(info.Size - r.told)
}

// hand gives results away, unless the search ends.
func (r *reading) hand(some []Result) {
	r.results = nil
	select {
	case r.to <- some:
	case <-r.ctx.Done():
		r.stopped = true
	}
}

func (r *reading) add(res Result) {
	if r.results = append(r.results, res); len(r.results) >= batch {
		r.hand(r.results)
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

// whyCut is what the log says of why the recording has no end; "" if it doesn't.
func (r *reading) whyCut() string {
	if r.Cut == nil {
		return ""
	}
	return r.Cut(r.info)
}

// summary tells what wasn't looked at.
func (r *reading) summary(sc *scan, err error) {
	live := r.info.State == recording.Live
	switch {
	case r.stopped:
		return
	case errors.Is(err, recording.ErrTruncated) && live:
		r.unread(false, nil, "it is still running: searched as far as it was written")
	case errors.Is(err, recording.ErrTruncated) && r.whyCut() != "":
		r.add(Result{Unread: &Unread{Session: r.info, Why: r.whyCut() + ", as the audit log says: searched as far as it was written", Cut: true}})
	case errors.Is(err, recording.ErrTruncated):
		r.unread(true, nil, "it was cut: searched as far as it was written")
	case errors.Is(err, recording.ErrKey):
		r.add(Result{Unread: &Unread{Session: r.info, Why: err.Error(), Missing: true, Sealed: true}})
	case err != nil:
		r.unread(true, nil, err.Error())
	}
	if sc.gaps > 0 {
		r.unread(true, nil, fmt.Sprintf("it has gaps: %d", sc.gaps))
	}
	if sc.unread != "" {
		r.unread(true, nil, sc.unread)
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
		keys = keys || c.PTY
		text, lacks := r.lacks(c, err == nil)
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

// lacks says what of a channel isn't there to be searched, of what is searched; "" is
// nothing. missing says that it should be: policy asks for it. whole says that the
// recording was read to its end.
func (r *reading) lacks(c recording.Channel, whole bool) (text string, missing bool) {
	content := r.q.looksIn(Output) || r.q.looksIn(Input)
	typed := r.q.looksIn(Commands) && (c.Command == "" || c.PTY) // else it is known whole
	switch {
	case c.Coverage == recording.Partial:
		var there []recording.Missing
		for _, m := range c.Missing {
			switch m.Stream {
			case "input":
				if !r.q.looksIn(Input) && (!typed || m.ByPolicy()) {
					continue
				}
			case "output", "error":
				if !r.q.looksIn(Output) && !typed {
					continue
				}
			}
			there, missing = append(there, m), missing || !m.ByPolicy()
		}
		if len(there) > 0 {
			return recording.Describe(c.Coverage, there), missing
		}
	case c.Coverage == recording.Manifested && content:
		return "manifest: the names of its files, not what was in them", false
	case c.Coverage == recording.MetadataOf && (content || typed && c.Type != "direct-tcpip"):
		return "metadata: nothing of what passed is kept", false
	case c.Coverage == "" && whole:
		return "partial: its end is missing", true
	}
	return "", false
}
