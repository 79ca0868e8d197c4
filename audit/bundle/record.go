package bundle

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"

	"entry/audit"
	"entry/audit/segment"
)

// Record is one record of a log with its proof.
type Record struct {
	audit.Included
	Head []byte // the signed tree head that it is proven against
}

// maxRecord bounds one as a file, in bytes: a line in base64, 63 hashes and a checkpoint
// with many cosignatures.
const maxRecord = segment.MaxLine/3*4 + 64<<10

// Marshal is the record as a C2SP tlog-proof.
func (r Record) Marshal() []byte {
	hashes := make([][tlog.HashSize]byte, len(r.Proof))
	for i, h := range r.Proof {
		hashes[i] = h
	}
	return proof.TLogProof{Index: r.Seq - 1, Hashes: hashes, Checkpoint: r.Head, ExtraData: r.Line}.Marshal()
}

// ErrNotRecord says that a text isn't a record: the predicate of a sentence.
var ErrNotRecord = errors.New("is not a C2SP tlog-proof with a record of entry's log")

// ParseRecord reads a record as Marshal writes it, and proves nothing. The error is
// ErrNotRecord.
func ParseRecord(text []byte) (r Record, err error) {
	bad := ErrNotRecord
	if len(text) > maxRecord {
		return r, bad
	}
	top, head, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(top), "\n")
	if !ok || len(lines) < 3 {
		return r, bad
	}
	extra, isExtra := strings.CutPrefix(lines[1], "extra ")
	index, isIndex := strings.CutPrefix(lines[2], "index ")
	at, err := strconv.ParseUint(index, 10, 62)
	if err != nil || !isExtra || !isIndex {
		return r, bad
	}
	r.Seq, r.Head = at+1, head
	if r.Line, err = base64.StdEncoding.DecodeString(extra); err != nil {
		return r, bad
	}
	for _, line := range lines[3:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return r, bad
		}
		r.Proof = append(r.Proof, h)
	}
	if !bytes.Equal(r.Marshal(), text) { // no text has two spellings
		return r, bad
	}
	return r, nil
}

// Event is what the record says. It is an error where the line isn't that record's.
func (r Record) Event() (audit.Event, error) {
	e, err := audit.ParseEvent(r.Line)
	if err == nil && e.Seq != r.Seq {
		err = fmt.Errorf("says that it is record %d", e.Seq)
	}
	return e, err
}
