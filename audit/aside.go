package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"entry/audit/plain"
	"entry/audit/segment"
)

// What no checkpoint covers was never acknowledged, whoever wrote it: a start moves it
// out of the log into a file of its own, and puts that on record. The file has a name
// of its content, with asideUnreported behind it until the event is durable: a crash
// in between leads to the same file, and to an event about it at the next start.
const (
	asidePrefix     = "aside."
	asideTemp       = "aside.new"
	asideUnreported = ".unreported"
)

// reasonAside is the reason of the event about what was set aside.
const reasonAside = "set-aside"

// asideName is the name of the file with the content of this hash.
func asideName(sum string) string { return asidePrefix + sum[:16] }

// Aside is what a start moved out of the log because no checkpoint covered it, as the
// event says that reports it, and what has become of its file.
type Aside struct {
	Seq    uint64    `json:"seq"` // of the event
	Time   time.Time `json:"time"`
	Lines  int       `json:"lines"`  // complete ones
	SHA256 string    `json:"sha256"` // of all that was set aside
	File   string    `json:"file"`
	// Lost says what is wrong with the file, "" where it is as it was.
	Lost string `json:"lost,omitempty"`
}

// String is one line for people.
func (a Aside) String() string {
	s := fmt.Sprintf("set aside at a start (seq %d, %s), being covered by no checkpoint: %s, SHA-256 %s, in %s; never acknowledged, and no part of the log",
		a.Seq, plain.Time(a.Time), plain.Count(a.Lines, "whole line"), a.SHA256, a.File)
	if a.Lost != "" {
		s += "; that file " + a.Lost
	}
	return s
}

// asideOf reads the event about what was set aside; ok is false for any other.
func asideOf(e Event) (a Aside, ok bool) {
	if sum, err := hex.DecodeString(e.Hash); e.Type != LogRecovered || e.Reason != reasonAside || err != nil || len(sum) != sha256.Size {
		return a, false
	}
	return Aside{Seq: e.Seq, Time: e.Time, Lines: e.Count, SHA256: e.Hash, File: asideName(e.Hash)}, true
}

// lookAfter holds the files of what was set aside against what the log says of them.
func lookAfter(dir *os.Root, all []Aside) error {
	for i := range all {
		u, err := readUncovered(dir, all[i].File)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			all[i].Lost = "is gone"
		case err != nil:
			return err
		case u.SHA256 != all[i].SHA256:
			all[i].Lost = "isn't what was set aside any more"
		}
	}
	return nil
}

// Uncovered is what stands in a log beyond its checkpoint.
type Uncovered struct {
	Lines  int    `json:"lines"` // complete ones
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// String says it for people.
func (u Uncovered) String() string {
	return fmt.Sprintf("%s (%d bytes, SHA-256 %s)", plain.Count(u.Lines, "whole line"), u.Bytes, u.SHA256)
}

// uncovered sums up the bytes of r.
func uncovered(r io.Reader) (u Uncovered, err error) {
	sum, lines := sha256.New(), lineCounter(0)
	u.Bytes, err = io.Copy(io.MultiWriter(sum, &lines), r)
	u.Lines, u.SHA256 = int(lines), hex.EncodeToString(sum.Sum(nil))
	return u, err
}

func readUncovered(dir *os.Root, name string) (Uncovered, error) {
	f, err := segment.OpenIn(dir, name)
	if err != nil {
		return Uncovered{}, err
	}
	defer f.Close()
	u, err := uncovered(f)
	if err != nil {
		err = fmt.Errorf("read %s: %w", filepath.Base(name), err)
	}
	return u, err
}

// lineCounter counts the newlines that are written to it.
type lineCounter int

func (n *lineCounter) Write(p []byte) (int, error) {
	*n += lineCounter(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}
