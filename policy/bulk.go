package policy

import (
	"fmt"

	"entry/policy/strict"
)

// Bulk says what becomes of output without a terminal, of which a program may
// make more than anybody reads. Of a terminal all is kept.
type Bulk struct {
	Keep int64 // bytes of each stream from its start on that are kept whatever follows
	Then Beyond
}

// Beyond is what becomes of what a stream carries beyond its bulk.
type Beyond uint8

// The zero one is the default; a stricter one is higher.
const (
	// Digest keeps its size, its digest and its end, and keeps all again once it
	// comes at a pace at which somebody reads it. Under record_complete all is kept.
	Digest Beyond = iota
	EndBeyond
	KeepBeyond
)

var beyondNames = [...]string{Digest: "digest", EndBeyond: "end", KeepBeyond: "keep"}

// String is the word that policy files have: "digest", "end" or "keep".
func (b Beyond) String() string {
	if int(b) >= len(beyondNames) {
		return beyondNames[KeepBeyond]
	}
	return beyondNames[b]
}

// usualBulk holds where no rule says otherwise: a program's listing or log fits.
var usualBulk = Bulk{Keep: 64 << 20, Then: Digest}

// String is "64MiB, then digest".
func (b Bulk) String() string {
	if b.Then == KeepBeyond {
		return "everything"
	}
	return fmt.Sprintf("%s, then %s", strict.FormatSize(b.Keep), b.Then)
}

// strictest is what both b and c ask for.
func (b Bulk) strictest(c Bulk) Bulk { return Bulk{max(b.Keep, c.Keep), max(b.Then, c.Then)} }

// Includes reports whether under b nothing less is kept than under c.
func (b Bulk) Includes(c Bulk) bool { return b.strictest(c) == b }

// Usual reports whether b is what holds without being said.
func (b Bulk) Usual() bool { return b == usualBulk }

// readBulk reads a rule's bulk, usualBulk if v says nothing.
func readBulk(v strict.Value, level Record) Bulk {
	if v.Present() && level != Full {
		v.Errorf(codeMisplaced, "bulk needs record: full")
	}
	f := v.Fields("keep", "then")
	return Bulk{
		Keep: f.Get("keep").Size(usualBulk.Keep, 1, maxByteLimit),
		Then: [...]Beyond{Digest, EndBeyond, KeepBeyond}[f.Get("then").Choice(beyondNames[:]...)],
	}
}
