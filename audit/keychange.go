package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// changeText is the first line of what both keys sign. It has spaces, so that it can't
// pass for a checkpoint, whose first line is an origin.
const changeText = "entry audit log changes its key"

// changeLines are the lines of one change.
const changeLines = 9

// keyChange is a change of a log's key, which the one before and the new one have signed.
type keyChange struct {
	at       checkpoint // the records that the key before signs; the next one is the change's
	from, to string     // public keys
	old, new note.Verifier
	signed   []byte // the note
}

// change is what both keys sign: that after these records this key follows on that.
func (c checkpoint) change(origin, from, to string) string {
	return changeText + "\n" + c.text(origin) + from + "\n" + to + "\n"
}

// parseChange reads a signed change, and proves it. It accepts one form alone.
func parseChange(signed []byte) (c keyChange, err error) {
	lines := strings.SplitAfter(string(signed), "\n")
	if len(lines) != changeLines+1 || lines[changeLines] != "" || lines[0] != changeText+"\n" {
		return c, errors.New("isn't a change of the log's key")
	}
	line := func(n int) string { return strings.TrimSuffix(lines[n], "\n") }
	c = keyChange{from: line(4), to: line(5), signed: signed}
	if c.old, err = note.NewVerifier(c.from); err == nil {
		c.new, err = note.NewVerifier(c.to)
	}
	if err != nil {
		return c, errors.New("names no two keys")
	}
	if c.from == c.to || c.old.Name() != line(1) || c.new.Name() != line(1) {
		return c, errors.New("isn't from one key of the log to another one of it")
	}
	if c.at, err = parseCheckpoint(strings.Join(lines[1:4], ""), line(1)); err != nil {
		return c, err
	}
	n, err := note.Open(signed, note.VerifierList(c.old, c.new))
	if err != nil || len(n.Sigs) != 2 || n.Sigs[0].Hash != c.old.KeyHash() || n.Sigs[1].Hash != c.new.KeyHash() ||
		string(signed) != n.Text+"\n"+signatureLine(n.Sigs[0])+signatureLine(n.Sigs[1]) || !strict(n.Sigs[0]) || !strict(n.Sigs[1]) {
		return c, errBoth
	}
	return c, nil
}

// errBoth says of a change of key that it could be anybody's who had one of the two, or none.
var errBoth = errors.New("changes the log's key, and isn't signed by both, the one before and the new one")

func signatureLine(s note.Signature) string { return "— " + s.Name + " " + s.Base64 + "\n" }

// strict tells that base64 is spelt in the one way that leaves no bits over.
func strict(s note.Signature) bool {
	_, err := base64.StdEncoding.Strict().DecodeString(s.Base64)
	return err == nil
}

// parseChanges reads changes that follow one on another.
func parseChanges(text []byte) (list []keyChange, err error) {
	if len(text) > maxKeys {
		return nil, fmt.Errorf("are more than %d bytes", maxKeys)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if lines[len(lines)-1] != "" || (len(lines)-1)%changeLines != 0 {
		return nil, errors.New("aren't whole")
	}
	for n := range slices.Chunk(lines[:len(lines)-1], changeLines) {
		c, err := parseChange([]byte(strings.Join(n, "")))
		if err != nil {
			return nil, fmt.Errorf("aren't those that were signed: number %d %w", len(list)+1, err)
		}
		if last := len(list) - 1; last >= 0 && (list[last].to != c.from || list[last].at.size >= c.at.size) {
			return nil, fmt.Errorf("aren't all: number %d doesn't follow on the one before", len(list)+1)
		}
		list = append(list, c)
	}
	return list, nil
}

// Rekey is a change of the log's key as its record has it. What both keys sign is said in
// the package documentation.
type Rekey struct {
	From string `json:"from"` // public key, which signs the tree heads of the records before this one
	To   string `json:"to"`   // which signs those from this one on
	Root string `json:"root"` // base64, over the records before this one
	Old  string `json:"old"`  // base64, as signed notes have it: From's signature
	New  string `json:"new"`  // To's
	// Size is how many records there are before the change; 0 in its own record, which says
	// that by its number.
	Size uint64 `json:"size,omitempty"`
}

// changeOf is the change that an event of the log records; it is proven.
func changeOf(e Event) (keyChange, error) {
	if e.Rekey == nil || e.Seq == 0 {
		return keyChange{}, errors.New("changes the log's key, and doesn't say how")
	}
	return e.Rekey.change(e.Seq - 1)
}

// change is the change after size records; it is proven.
func (r *Rekey) change(size uint64) (keyChange, error) {
	root, err := base64.StdEncoding.DecodeString(r.Root)
	if err != nil || len(root) != tlog.HashSize {
		return keyChange{}, errors.New("changes the log's key, and has no valid root hash")
	}
	name, _, _ := strings.Cut(r.From, "+")
	return parseChange([]byte(checkpoint{size, tlog.Hash(root)}.change(name, r.From, r.To) + "\n— " + name + " " + r.Old + "\n— " + name + " " + r.New + "\n"))
}

// rekey is the record's part of a change.
func (c keyChange) rekey() *Rekey {
	n, _, _ := strings.Cut(c.from, "+")
	lines := strings.Split(string(c.signed), "\n")
	prefix := "— " + n + " "
	return &Rekey{From: c.from, To: c.to, Root: base64.StdEncoding.EncodeToString(c.at.root[:]),
		Old: strings.TrimPrefix(lines[changeLines-2], prefix), New: strings.TrimPrefix(lines[changeLines-1], prefix)}
}
