package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Aborted is a recording that ended without its final segment: a crash, a
// failed disk, a killed process.
type Aborted struct {
	ID       string
	Header   Header   // zero if the crash came before it was durable
	Segments uint32   // good ones
	Head     [32]byte // the hash of the chain up to there
	Why      string   // what stands behind them
	size     int64    // of the file
}

// Inspect reads one recording for a restart. It reports whether the recording
// lacks its final segment though nobody writes it and no mark says so yet.
// Nothing is changed.
func Inspect(dir, id string) (a Aborted, aborted bool, err error) {
	if _, err := readMark(dir, id); err == nil {
		return a, false, nil // a mark that a crash tore counts for none
	}
	// The last segment alone tells a sealed recording, so that starting with
	// years of recordings doesn't read all of them.
	info, err := Stat(dir, id)
	if err != nil || info.State == Complete || info.State == Live {
		return a, false, err
	}
	f, err := openFile(dir, id, Ext)
	if err != nil {
		return a, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return a, false, err
	}
	a.ID, a.size = id, st.Size()
	w, h, _, err := walk(f, id)
	var bad *BadSegment
	if errors.As(err, &bad) {
		a.Why = bad.Why
		return a, true, nil
	}
	if err != nil {
		return a, false, err
	}
	for err == nil {
		_, err = w.step()
	}
	a.Header, a.Segments, a.Head = h, w.next, w.head
	switch {
	case errors.Is(err, io.EOF):
		a.Why = "no final segment"
	case errors.Is(err, errTorn):
		a.Why = fmt.Sprintf("segment %d is torn, %d bytes", w.next, st.Size()-w.size)
	default:
		a.Why = fmt.Sprintf("segment %d: %s", w.next, err)
	}
	return a, true, nil
}

// Mark is the contents of ID.aborted; found is when the restart came.
func (a Aborted) Mark(found time.Time) ([]byte, error) {
	b, err := json.Marshal(mark{
		Version: Version, ID: a.ID, Segments: a.Segments, Head: fmt.Sprintf("%x", a.Head), Size: a.size, Why: a.Why,
		Found: found.UTC().Truncate(time.Second),
	})
	return append(b, '\n'), err
}

// mark is the contents of ID.aborted: what a restart found of a recording that
// nobody had sealed.
type mark struct {
	Version  int       `json:"entry_aborted"`
	ID       string    `json:"id"`
	Segments uint32    `json:"segments"` // good ones
	Head     string    `json:"head"`     // the hash up to there, hex
	Size     int64     `json:"size"`     // of the file, with what follows the good ones
	Why      string    `json:"why"`
	Found    time.Time `json:"found"`
}

const maxMark = 4 << 10 // bytes

func (m mark) matches(w *walker) bool {
	return m.Segments == w.next && m.Head == fmt.Sprintf("%x", w.head)
}

// readMark reads ID.aborted. It returns fs.ErrNotExist if there is none.
func readMark(dir, id string) (m mark, err error) {
	f, err := openFile(dir, id, AbortedExt)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, maxMark))
	if err != nil {
		return m, fmt.Errorf("read mark of %s: %w", id, err)
	}
	if err := json.Unmarshal(b, &m); err != nil || m.ID != id || m.Version != Version {
		return m, fmt.Errorf("read mark of %s: malformed", id)
	}
	return m, nil
}
