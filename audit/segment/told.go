package segment

import (
	"errors"
	"fmt"
)

// Absent says that records aren't here: the segments that have them were moved away, or
// removed.
type Absent struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	Why  string `json:"why,omitempty"` // where something else is known of it
}

func (a *Absent) Error() string {
	switch {
	case a.Why != "" && a.From == a.To:
		return fmt.Sprintf("record %d isn't here: %s", a.From, a.Why)
	case a.Why != "":
		return fmt.Sprintf("records %d to %d aren't here: %s", a.From, a.To, a.Why)
	case a.From == a.To:
		return fmt.Sprintf("record %d isn't here: its segment was moved away or removed", a.From)
	}
	return fmt.Sprintf("records %d to %d aren't here: their segments were moved away or removed", a.From, a.To)
}

// Unreadable says that a sealed file can't be read on: it is compressed, and was cut or
// changed, or it is no file that this process can read.
type Unreadable struct {
	File       string // below the log's directory
	Compressed bool   // what is in it is at fault
	err        error
}

func (u *Unreadable) Error() string { return fmt.Sprintf("%s %s", u.File, u.Why()) }

// Why is the predicate of a sentence about the file.
func (u *Unreadable) Why() string {
	if u.Compressed {
		return "can't be read: the file was cut or changed after it was compressed"
	}
	return fmt.Sprintf("can't be read: %v", u.err)
}

// Stranger says that a file is called like a sealed segment, in the middle of another one,
// and that it is none.
type Stranger struct {
	File  string // below the log's directory
	First uint64 // the record that its name says
}

func (s *Stranger) Error() string { return s.File + " " + s.Why() }

// Why is the predicate of a sentence about the file.
func (s *Stranger) Why() string {
	return "is no segment: it has nothing with which one begins, and was put there"
}

func (u *Unreadable) Unwrap() error { return u.err }

// ErrEmpty is returned for a sealed file without any line.
var ErrEmpty = errors.New("has no line: the file was emptied")

// ErrBeyond is returned for what stands in a sealed file behind the segment's end.
var ErrBeyond = errors.New("stands where no record belongs: the next segment begins before it")
