package witness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	format "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entry/audit"
	"entry/audit/plain"
)

// CosignedName is the file, in a log's directory, of the checkpoints that witnesses
// have cosigned: signed notes one after the other, each with the log's signature and
// those of one witness or more.
const CosignedName = "cosigned"

// maxEntry bounds one of its entries, in bytes.
const maxEntry = 32 << 10

// entry is one cosigned checkpoint.
type entry struct {
	number uint64 // from 1
	text   string // of the note
	sigs   []string
	end    int64 // of the entry in the file
}

// signed is the entry as a signed note.
func (e entry) signed() []byte { return []byte(e.text + "\n" + strings.Join(e.sigs, "")) }

// signatures are the entry's, of which none is verified; ok is false where it is no signed
// note.
func (e entry) signatures() (sigs []note.Signature, ok bool) {
	_, err := note.Open(e.signed(), note.VerifierList())
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return nil, false
	}
	return unverified.Note.UnverifiedSigs, true
}

// each calls f with every whole entry, in order, until f returns an error. What
// follows the last whole entry was cut off by a crash.
func each(r io.Reader, f func(entry) error) error {
	b := bufio.NewReaderSize(r, maxEntry)
	var e entry
	var off int64
	size := 0
	flush := func() error {
		if len(e.sigs) < 2 {
			return nil // half an entry: the log's own signature comes first
		}
		e.number++
		e.end = off
		err := f(e)
		e.text, e.sigs, size = "", nil, 0
		return err
	}
	inText := true
	for {
		raw, err := b.ReadSlice('\n')
		line := string(raw)
		size += len(line)
		switch {
		case errors.Is(err, io.EOF): // what has no newline isn't whole
			if inText {
				return nil
			}
			return flush()
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("read %s: %w", CosignedName, err)
		case err != nil || size > maxEntry:
			return badEntry(e.number+1, "is too long")
		}
		switch signature := strings.HasPrefix(line, "— "); {
		case inText && line == "\n":
			inText = false
		case inText:
			e.text += line
		case signature:
			e.sigs = append(e.sigs, line)
		default: // the next one begins
			if err := flush(); err != nil {
				return err
			}
			inText, e.text, e.sigs, size = true, line, nil, len(line)
		}
		off += int64(len(line))
	}
}

// badEntry names an entry that no server has written.
func badEntry(number uint64, why string) error {
	return &audit.BadRecord{File: CosignedName, Line: number, Why: why}
}

// Reach is up to where a witness vouches for a log.
type Reach struct {
	Name string    `json:"name"`
	Size uint64    `json:"size"` // records; 0 for none
	At   time.Time `json:"at"`   // by the witness's clock
	root tlog.Hash
}

// String is one phrase for people.
func (r Reach) String() string {
	if r.Size == 0 {
		return "not witnessed by " + plain.Word(r.Name)
	}
	return fmt.Sprintf("witnessed up to seq %d by %s (%s)", r.Size, plain.Word(r.Name), plain.Time(r.At))
}

// newest finds, for each witness's key, the newest checkpoint of the log origin in dir
// that it has cosigned.
func newest(dir, origin string, keys []note.Verifier) ([]Reach, error) {
	out, last := make([]Reach, len(keys)), make([]entry, len(keys))
	for i, k := range keys {
		// Who signed what is told by a name and a hash: verifying each signature would
		// cost fifty times as much as reading past it.
		out[i].Name = k.Name()
		if err := eachBy(dir, k, func(e entry) error { last[i] = e; return nil }); err != nil {
			return nil, err
		}
	}
	for i, e := range last {
		if e.number == 0 {
			continue
		}
		bad := func(why string) ([]Reach, error) {
			return nil, badEntry(e.number, why)
		}
		n, err := note.Open(e.signed(), note.VerifierList(keys[i]))
		if err != nil {
			return bad("doesn't carry a valid signature of the witness " + plain.Word(keys[i].Name()))
		}
		h, err := parseHead(n.Text)
		if err != nil {
			return bad("is no checkpoint")
		}
		if of, _, _ := strings.Cut(n.Text, "\n"); of != origin {
			return bad(fmt.Sprintf("is of the log %s, not of %s", plain.Word(of), plain.Word(origin)))
		}
		at, err := format.CoSigV1Timestamp(n.Sigs[0])
		if err != nil {
			return bad("has no time")
		}
		out[i].Size, out[i].root, out[i].At = h.size, h.root, at.UTC()
	}
	return out, nil
}
