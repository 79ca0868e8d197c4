package audit

import (
	"errors"
	"fmt"

	"entry/audit/segment"
)

// BadRecord names the first thing in a log that can't be what was written.
type BadRecord struct {
	File    string // of a segment, as "events.jsonl"; "checkpoint", "hashes", "keys", or "checkpoints" (the witness directory's)
	Line    uint64 // of the log, over all segments; checkpoints: number of the entry; from 1
	Through uint64 // last line of the range, where nothing tells more precisely; else 0
	Seq     uint64 // sequence number that the line itself states; 0 if it states none
	Why     string // predicate of a sentence
	before  uint64 // lines of the log that stand in earlier files
	beyond  bool   // the range ends in a later file, or nothing says where in File Line is
	err     error
}

// InFile is Line and Through as lines of File.
func (b *BadRecord) InFile() (line, through uint64) {
	return b.Line - b.before, max(b.Through, b.before) - b.before
}

func (b *BadRecord) Error() string {
	switch {
	case b.File == hashesName && b.Through == 0:
		return fmt.Sprintf("the file %s %s", hashesName, b.Why)
	case b.File == hashesName && b.Through == b.Line:
		return fmt.Sprintf("record %d isn't here, and the file %s %s", b.Line, hashesName, b.Why)
	case b.File == hashesName:
		return fmt.Sprintf("records %d to %d aren't here, and the file %s %s", b.Line, b.Through, hashesName, b.Why)
	case b.File == keysName:
		return fmt.Sprintf("the file %s %s", keysName, b.Why)
	case b.File == checkpointName:
		return "checkpoint " + b.Why
	case b.File == witnessName:
		return fmt.Sprintf("witness checkpoint %d %s", b.Line, b.Why)
	}
	line, through := b.InFile()
	switch {
	case b.beyond && b.Through > b.Line:
		return fmt.Sprintf("records %d to %d, from %s line %d on: %s", b.Line, b.Through, b.File, line, b.Why)
	case b.beyond:
		return fmt.Sprintf("%s: record %d %s", b.File, b.Line, b.Why)
	case b.Through > b.Line:
		return fmt.Sprintf("%s lines %d to %d: %s", b.File, line, through, b.Why)
	case b.Seq != 0:
		return fmt.Sprintf("%s line %d (seq %d) %s", b.File, line, b.Seq, b.Why)
	case b.before > 0:
		return fmt.Sprintf("%s line %d (record %d) %s", b.File, line, b.Line, b.Why)
	default:
		return fmt.Sprintf("%s line %d %s", b.File, line, b.Why)
	}
}

// Remade tells whether a start makes anew what is wrong, out of what is right.
func (b *BadRecord) Remade() bool {
	return b.File == hashesName && b.Through == 0 || b.File == keysName
}

func (b *BadRecord) Unwrap() error { return b.err }

// badLine is of the log; locate says in which file.
func badLine(line, seq uint64, format string, a ...any) *BadRecord {
	return &BadRecord{Line: line, Seq: seq, Why: fmt.Sprintf(format, a...)}
}

// Bad names records of the log in dir, from the one called line through another one, or
// only the former where through is 0.
func Bad(dir string, line, through uint64, why string) *BadRecord {
	b := &BadRecord{Line: line, Through: through, Why: why}
	b.locate(dir)
	return b
}

// locate gives a *BadRecord of the log in dir, in err, the name of the file that has it.
func locate(dir string, err error) error {
	var bad *BadRecord
	if errors.As(err, &bad) && bad.File == "" {
		bad.locate(dir)
	}
	return err
}

func (b *BadRecord) locate(dir string) {
	b.File = segment.Current
	if file, first, end, err := segment.At(dir, b.Line, opens); err == nil {
		b.File, b.before, b.beyond = file, first-1, b.Through >= end
	}
}
