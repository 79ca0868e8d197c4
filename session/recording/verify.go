package recording

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"entry/audit/plain"
)

// Fault says in what way a recording isn't what was written, or what the audit
// log knows.
type Fault string

// The faults. A recording has the one of its first bad segment.
const (
	// Broken is bytes that were changed, added or moved: what is in the file
	// contradicts itself.
	Broken Fault = "broken"
	// Cut is segments that are missing at the end.
	Cut Fault = "cut"
	// Swapped is the file of another recording.
	Swapped Fault = "swapped"
	// OtherHeader is a header that isn't the one of session.started.
	OtherHeader Fault = "other-header"
	// OtherHead is segments that are sound in themselves, but not the ones of
	// session.ended, a tick or a restart.
	OtherHead Fault = "other-head"
)

// BadSegment names the first segment of a recording that isn't what was
// written, or what the audit log knows.
type BadSegment struct {
	ID      string
	Segment int // counted from 0; -1 is the header
	Fault   Fault
	Why     string
	// Unmarked says that it ends there, and that no restart has said yet that a crash
	// did it.
	Unmarked bool
}

// Error implements error.
func (e *BadSegment) Error() string {
	if e.Segment < 0 {
		return fmt.Sprintf("recording %s: header: %s", e.ID, e.Why)
	}
	return fmt.Sprintf("recording %s: segment %d: %s", e.ID, e.Segment, e.Why)
}

// Expect is what an independent witness, the audit log, knows of a recording.
type Expect struct {
	// Segments and Head: the hash of the chain after so many segments; after
	// none it is the header's hash.
	Segments uint32
	Head     [32]byte
	// Final says that there are exactly so many and that the last is marked
	// final, as session.ended does.
	Final bool
	// Aborted says that a restart found it like this and reported so, as
	// recording.aborted does: what a crash left behind these segments may be
	// anything.
	Aborted bool
}

// Verify checks a recording's chain over its ciphertext. It needs no key, and
// works after ID.key was removed. It returns a *BadSegment for the first
// segment that is damaged, missing, doubled, out of order, of another
// recording, or not as expected.
//
// Without expectations it finds every change but one: who rewrites a whole
// recording can compute a new chain (not new seals: OpenRecording finds that
// with the key). So take the expectations from session.started, session.ended,
// recording.aborted and the ticks.
//
// A recording without final segment is bad unless somebody still writes it or
// a restart has marked it as aborted; then it must be as that found it.
func Verify(dir, id string, expect ...Expect) (info Info, err error) {
	f, err := openFile(dir, id, Ext)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	live, err := beingWritten(f)
	if err != nil {
		return info, fmt.Errorf("verify recording %s: %w", id, err)
	}
	w, h, headerHash, err := walk(f, id)
	if err != nil {
		return info, err
	}
	info = Info{Header: h, HeaderHash: headerHash}
	expect = slices.Clone(expect)
	slices.SortStableFunc(expect, func(a, b Expect) int { return int(int64(a.Segments) - int64(b.Segments)) })
	reported := false
	good := 0 // segments up to the last expectation that held
	check := func() error {
		for len(expect) > 0 && expect[0].Segments == w.next {
			e := expect[0]
			expect = expect[1:]
			if e.Head != w.head {
				if w.next == 0 {
					return &BadSegment{ID: id, Segment: -1, Fault: OtherHeader, Why: "it isn't the header that the audit log knows"}
				}
				return &BadSegment{ID: id, Segment: good, Fault: OtherHead, Why: fmt.Sprintf("from here to segment %d it isn't what the audit log knows", w.next-1)}
			}
			if e.Final && !w.final {
				return &BadSegment{ID: id, Segment: max(0, int(w.next)-1), Fault: OtherHead, Why: "the audit log knows this segment as the final one"}
			}
			good, reported = int(w.next), e.Aborted
		}
		return nil
	}
	var stop error
	for {
		if err := check(); err != nil {
			return info, err
		}
		if _, stop = w.step(); stop != nil {
			break
		}
	}
	info.Segments, info.Head, info.Size = w.next, w.head, w.size
	end := h.Start.Add(time.Duration(w.at) * time.Microsecond)
	bad := &BadSegment{ID: id, Segment: int(w.next), Fault: Cut}
	switch {
	case !errors.Is(stop, io.EOF) && !errors.Is(stop, errTorn):
		if reported && len(expect) == 0 {
			break // a crash can leave blocks that were never written
		}
		bad.Fault, bad.Why = Broken, stop.Error()
		return info, bad
	case len(expect) > 0:
		bad.Why = "cut: the audit log knows " + plain.Count(int(expect[len(expect)-1].Segments), "segment")
		return info, bad
	case w.final:
		info.State, info.End = Complete, end
		return info, nil
	case live:
		info.State = Live
		return info, nil
	}
	info.State, info.End = StateAborted, end
	aborted, err := readMark(dir, id)
	switch {
	case errors.Is(err, fs.ErrNotExist) && errors.Is(stop, errTorn):
		bad.Why, bad.Unmarked = "cut inside this segment", true
	case errors.Is(err, fs.ErrNotExist):
		bad.Why, bad.Unmarked = "cut: there is no final segment", true
	case err != nil:
		return info, fmt.Errorf("verify recording %s: %w", id, err)
	case !aborted.matches(w):
		if aborted.Segments <= w.next {
			bad.Fault = OtherHead
		}
		bad.Why = "cut: a restart found " + plain.Count(int(aborted.Segments), "segment")
	default:
		st, err := f.Stat()
		if err != nil {
			return info, fmt.Errorf("verify recording %s: %w", id, err)
		}
		if st.Size() == aborted.Size {
			return info, nil
		}
		bad.Fault, bad.Why = Broken, fmt.Sprintf("a restart found %d bytes, there are %d", aborted.Size, st.Size())
	}
	return info, bad
}

// walk starts reading a recording's chain.
func walk(f *os.File, id string) (*walker, Header, [32]byte, error) {
	h, hash, size, err := readHeader(f)
	switch {
	case errors.Is(err, errHeader):
		return nil, h, hash, &BadSegment{ID: id, Segment: -1, Fault: Broken, Why: err.Error()}
	case err != nil:
		return nil, h, hash, fmt.Errorf("read recording %s: %w", id, err)
	case h.ID != id:
		return nil, h, hash, &BadSegment{ID: id, Segment: -1, Fault: Swapped, Why: "it is the header of recording " + h.ID}
	}
	return newWalker(io.NewSectionReader(f, size, 1<<62), hash, size), h, hash, nil
}

// openFile opens one of a recording's files. It returns an error that
// wraps fs.ErrNotExist when there is none.
func openFile(dir, id, ext string) (*os.File, error) {
	if !ValidID(id) {
		return nil, fmt.Errorf("open recording %q: %w: not a session ID", id, fs.ErrNotExist)
	}
	f, err := os.OpenInRoot(dir, id+ext)
	if err != nil {
		return nil, fmt.Errorf("open recording %s: %w", id, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open recording %s: %w", id, err), f.Close())
	}
	return f, nil
}

// KeyHash is the SHA-256 of the file with the recording's sealed key. The error wraps
// fs.ErrNotExist where there is none.
func KeyHash(dir, id string) (h [32]byte, err error) {
	b, err := readKeyFile(dir, id)
	return sha256.Sum256(b), err
}

// readKeyFile reads the file with the recording's sealed key, or one byte more than there
// can be of it.
func readKeyFile(dir, id string) ([]byte, error) {
	f, err := openFile(dir, id, KeyExt)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the key of recording %s: %w", id, err)
	}
	return b, nil
}
