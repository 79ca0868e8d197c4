package recording

import (
	"context"
	"errors"
	"time"

	"filippo.io/age"
)

var (
	ErrStalled   = errors.New("the recording can't keep up")
	ErrFull      = errors.New("the spool is full")
	ErrQuota     = errors.New("the user's spool quota is used up")
	ErrClosed    = errors.New("the recording is closed")
	ErrTruncated = errors.New("the recording is cut")
)

type Options struct {
	Dir     string
	Commit  func(context.Context, Tick) error
	Reserve int64
	Quota   int64
	Stall   time.Duration
	Now     func() time.Time
}

type Tick struct {
	Root    [32]byte
	Changed int
	List    string
}

type Summary struct {
	Segments uint32
	Head     [32]byte
	Bytes    int64
}

type (
	Spool  struct{}
	Writer struct{}
)

func Open(o Options) (*Spool, error)                                     { return nil, ErrClosed }
func (s *Spool) Create(h Header, to []age.Recipient) (*Writer, error)    { return nil, ErrClosed }
func (s *Spool) Failed() <-chan struct{}                                 { return nil }
func (s *Spool) Err() error                                              { return ErrClosed }
func (s *Spool) Close() error                                            { return nil }
func (w *Writer) HeaderHash() [32]byte                                   { return [32]byte{} }
func (w *Writer) Frame(k Kind, channel uint32, p []byte) error           { return ErrClosed }
func (w *Writer) Failed() <-chan struct{}                                { return nil }
func (w *Writer) Err() error                                             { return ErrClosed }
func (w *Writer) Close() (Summary, error)                                { return Summary{}, ErrClosed }
func Recover(dir string, report func(Aborted) error) ([]Aborted, error)  { return nil, ErrClosed }
func List(dir string) ([]Info, error)                                    { return nil, ErrClosed }
func Verify(dir, id string, expect ...Expect) (Info, error)              { return Info{}, ErrClosed }
func ReadTick(dir string, t Tick) ([]Change, error)                      { return nil, ErrClosed }
func OpenRecording(dir, id string, ids ...age.Identity) (*Reader, error) { return nil, ErrClosed }
func (r *Reader) Header() Header                                         { return Header{} }
func (r *Reader) Next() (Frame, error)                                   { return Frame{}, ErrClosed }
func (r *Reader) Close() error                                           { return nil }

type Aborted struct {
	ID       string
	Header   Header
	Segments uint32
	Head     [32]byte
}

type State string

const (
	Complete State = "complete"
	Live     State = "live"
	Abort    State = "aborted"
)

type Info struct {
	Header
	State    State
	Segments uint32
	Head     [32]byte
	Size     int64
	End      time.Time
}

type Expect struct {
	Segments uint32
	Head     [32]byte
	Final    bool
}

type Change struct {
	ID       string
	Segments uint32
	Head     [32]byte
}

type Reader struct{}
