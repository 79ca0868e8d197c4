package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// What a recording's files are called: its ID and one of these. Package doc
// says what each holds.
const (
	Ext        = ".rec"
	KeyExt     = ".key"
	AbortedExt = ".aborted"
)

// State says how a recording stands.
type State string

// The states. Words because they are shown and exported as they are.
const (
	Complete     State = "complete" // sealed by its final segment
	Live         State = "live"     // a process still writes it
	StateAborted State = "aborted"  // a crash or a failure left it without final segment
	Damaged      State = "damaged"  // its header or its last segment can't be read
)

// Info is what can be known of a recording without its key.
type Info struct {
	Header
	State      State
	HeaderHash [32]byte
	Segments   uint32    // good ones
	Head       [32]byte  // the hash of the chain up to there
	Size       int64     // bytes; from Verify, of the good segments and what is before
	End        time.Time // of the last good segment; zero while live
}

// List returns all recordings of a spool, oldest first. It reads the ends of
// each file only; what it says is checked by Verify. A file that it can't make
// sense of is listed as damaged, with its ID.
func List(dir string) ([]Info, error) {
	ids, err := IDs(dir)
	if err != nil {
		return nil, fmt.Errorf("list recordings: %w", err)
	}
	var list []Info
	for _, id := range ids {
		info, err := Stat(dir, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // archived meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list recordings: %w", err)
		}
		list = append(list, info)
	}
	return list, nil
}

// IDs returns the IDs of all recordings of a spool, oldest first: they sort by
// time.
func IDs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), Ext); ok && ValidID(id) && e.Type().IsRegular() {
			all = append(all, id)
		}
	}
	return all, nil
}

// Stat returns what List says of one recording. It returns an error that wraps
// fs.ErrNotExist if there is none.
func Stat(dir, id string) (info Info, err error) {
	f, err := openFile(dir, id, Ext)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return info, err
	}
	live, err := beingWritten(f)
	if err != nil {
		return info, err
	}
	h, hash, size, err := readHeader(f)
	if err != nil || h.ID != id {
		info = Info{Header: Header{ID: id}, State: Damaged, Size: st.Size()}
		if live {
			info.State = Live // its header is being written
		}
		if errors.Is(err, errHeader) || err == nil {
			return info, nil
		}
		return info, err
	}
	info = Info{Header: h, HeaderHash: hash, Head: hash, Size: st.Size()}
	last, ok := lastSegment(f, size, st.Size())
	if !ok {
		// Torn, or nothing but a header: read from the start.
		w := newWalker(io.NewSectionReader(f, size, st.Size()-size), hash, size)
		for err == nil {
			_, err = w.step()
		}
		last = segment{hash: w.head, at: w.at, final: w.final && errors.Is(err, io.EOF)}
		info.Segments = w.next
		if !errors.Is(err, io.EOF) && !errors.Is(err, errTorn) && !live {
			if _, err := readMark(dir, id); err != nil {
				info.State = Damaged
			}
		}
		err = nil
	} else {
		info.Segments = last.index + 1
	}
	info.Head = last.hash
	end := h.Start.Add(time.Duration(last.at) * time.Microsecond)
	switch {
	case info.State != "":
		info.End = end
	case last.final:
		info.State, info.End = Complete, end
	case live:
		info.State = Live
	default:
		info.State, info.End = StateAborted, end
	}
	return info, err
}

// SizeSince is how many bytes of a recording were written after t, for all that the
// times of its segments say: what can't be read counts as written since. It reads
// their clear beginnings only.
func SizeSince(dir, id string, t time.Time) (n int64, err error) {
	f, err := openFile(dir, id, Ext)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	h, _, at, err := readHeader(f)
	if errors.Is(err, errHeader) {
		return st.Size(), nil
	}
	if err != nil {
		return 0, err
	}
	for at < st.Size() {
		var head [segmentHead]byte
		if n, err := f.ReadAt(head[:], at); n < len(head) {
			if errors.Is(err, io.EOF) {
				break // torn
			}
			return 0, err
		}
		s, length, err := parseSegmentHead(head[:])
		if err != nil || h.Start.Add(time.Duration(s.at)*time.Microsecond).After(t) {
			break
		}
		at += segmentHead + int64(length) + segmentTail
	}
	return max(0, st.Size()-at), nil
}

// lastSegment reads the last segment's ends by way of the length that stands
// behind it. It reports false when there is no whole segment at the end.
func lastSegment(f io.ReaderAt, start, size int64) (s segment, ok bool) {
	var tail [segmentTail]byte
	if size < start+segmentHead+gcmTag+segmentTail {
		return s, false
	}
	if _, err := f.ReadAt(tail[:], size-segmentTail); err != nil {
		return s, false
	}
	n := int64(binary.BigEndian.Uint32(tail[:4]))
	at := size - segmentTail - n - segmentHead
	if n > maxSealed || at < start {
		return s, false
	}
	var head [segmentHead]byte
	if _, err := f.ReadAt(head[:], at); err != nil {
		return s, false
	}
	s, length, err := parseSegmentHead(head[:])
	if err != nil || int64(length) != n {
		return s, false
	}
	s.hash = [32]byte(tail[4:])
	return s, true
}
