package transfer

import (
	"fmt"
	"time"
)

// Direction is which way the content of a file moves.
type Direction uint8

// The directions. The zero one is that of operations that move no content.
const (
	Upload   Direction = 1 // towards the target
	Download Direction = 2 // towards the client
)

// String returns the word that policy has for the capability.
func (d Direction) String() string {
	switch d {
	case 0:
		return ""
	case Upload:
		return "upload"
	case Download:
		return "download"
	}
	return fmt.Sprintf("direction %d", uint8(d))
}

// Entry is one line of a manifest: a file that was moved, or an operation on
// the target's files.
type Entry struct {
	Protocol  string // "sftp", "scp", "rsync", "git"
	Operation string // "put", "get", "rename", …; "list" is of all names and attributes, where they are much
	Direction Direction
	Path      string // as the peer sent it, any bytes
	To        string // the other path: of a rename, a link, a copy; in scp's, where it is if Path is a folder
	Size      int64  // bytes of content that passed; of a stream (rsync, a pack of git) all bytes in Direction
	Back      int64  // bytes of a stream that went the other way
	Ref       string // of git: the branch or tag, or what an archive is of
	Old, New  string // likewise: the object that Ref named before, and is to name or is fetched
	SHA256    []byte // of the whole file; nil if it isn't known
	Unknown   string // why there is no SHA256 of a file
	Began     time.Time
	Ended     time.Time
	Outcome   Outcome
	Detail    string // what the target said of a failure, or entry of a refusal
}

// Returned is how many bytes e says came back beside the content of files: names, and of
// a stream that goes up what is more than went up.
func (e Entry) Returned() int64 {
	switch {
	case e.Operation == "list" && e.Direction == Download:
		return e.Size
	case e.Direction == Upload:
		return max(0, e.Back-e.Size)
	}
	return 0
}

// Outcome is how an operation ended.
type Outcome uint8

// The outcomes. The zero one is none.
const (
	OK      Outcome = 1
	Failed  Outcome = 2 // the target said so
	Refused Outcome = 3 // by entry: the target never saw it
	Cut     Outcome = 4 // the channel ended before it did
)

// String returns the outcome's name as it stands in events and exports.
func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Failed:
		return "failed"
	case Refused:
		return "refused"
	case Cut:
		return "cut"
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// Decoder follows one channel. Its methods are called one at a time, with what
// is on its way to the target or from it as it was read, each direction in
// order. They don't block. What is passed on or answered is read until the next
// call in that direction, and p isn't kept beyond the call but for that.
type Decoder interface {
	// Data is given p. An error ends the channel: a *Desync if what came isn't
	// the protocol.
	Data(toTarget bool, p []byte, r Ruling) error
	// End says that nothing more comes in that direction.
	End(toTarget bool, r Ruling) error
}

// Holder is a [Decoder] that may hold more than some 100 KiB. Its methods are called
// like the others.
type Holder interface {
	// Holds is how many bytes it holds, or somewhat more.
	Holds() int
	// Spare has it forget what it can do without: some files will have no hash then.
	Spare()
}

// Ruling takes what becomes of the bytes that a decoder was given.
type Ruling interface {
	// Pass sends p on. more says that p ends inside a packet.
	Pass(p []byte, more bool)
	// Answer sends a copy of p, whole packets, back to whoever sent the piece.
	Answer(p []byte)
	// Enter adds e to the manifest.
	Enter(e Entry)
	// Begin notes of e, whose entry is to come, what is known when its file is opened:
	// Protocol, Operation, Direction and Path.
	Begin(e Entry)
	// Words gives how many of n bytes the target may still say in words of its own.
	Words(n int) int
	// Unlisted reports whether n bytes of names and attributes, all of a transfer, may do
	// without an entry.
	Unlisted(n int64) bool
}

// May says whether content may be moved in a direction now: "" if so, else the
// reason, one line for the user. It is called for each operation, since a
// session can lose a right, and doesn't block.
type May func(Direction) (refused string)

// Desync is the error of a stream that isn't what its protocol allows, from
// where on nothing is known of it.
type Desync struct {
	Protocol string
	ToTarget bool
	Reason   string // for the log
}

func (d *Desync) Error() string {
	from := "target"
	if d.ToTarget {
		from = "client"
	}
	return fmt.Sprintf("%s from the %s: %s", d.Protocol, from, d.Reason)
}
