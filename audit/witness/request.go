package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	format "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// addCheckpoint is the one thing that a witness is asked for.
	addCheckpoint = "/add-checkpoint"
	// sizeType says that an answer 409 has the size of the tree that the witness knows.
	sizeType = "text/x.tlog.size"
	// maxProof is how many hashes a proof has at most, by tlog-witness.
	maxProof = 63
	// maxRequest bounds a request, in bytes: 63 lines of 45 and a checkpoint with some
	// dozens of signatures fit.
	maxRequest = 16 << 10
)

// request asks for a cosignature under a checkpoint.
type request struct {
	old        uint64 // size of the tree that the witness is thought to know
	proof      []tlog.Hash
	checkpoint []byte // a signed note
}

// append appends the request as it is sent.
func (r request) append(b []byte) []byte {
	b = fmt.Appendf(b, "old %d\n", r.old)
	for _, h := range r.proof {
		b = append(base64.StdEncoding.AppendEncode(b, h[:]), '\n')
	}
	return append(append(b, '\n'), r.checkpoint...)
}

// parseRequest accepts exactly what append writes.
func parseRequest(body []byte) (r request, err error) {
	line, rest, ok := bytes.Cut(body, []byte("\n"))
	number, old := strings.CutPrefix(string(line), "old ")
	if !ok || !old {
		return r, errors.New("the first line isn't \"old SIZE\"")
	}
	if r.old, err = parseSize(number); err != nil {
		return r, err
	}
	for {
		if line, rest, ok = bytes.Cut(rest, []byte("\n")); !ok {
			return r, errors.New("no empty line ends the proof")
		}
		if len(line) == 0 {
			r.checkpoint = rest
			return r, nil
		}
		if len(r.proof) == maxProof {
			return r, fmt.Errorf("the proof has more than %d hashes", maxProof)
		}
		h, err := parseHash(string(line))
		if err != nil {
			return r, err
		}
		r.proof = append(r.proof, h)
	}
}

// parseSize reads a number without sign and leading zeros that is no more than
// package tlog can count.
func parseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, errors.New("a size isn't a decimal number")
	}
	return n, nil
}

func parseHash(s string) (h tlog.Hash, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(h) || base64.StdEncoding.EncodeToString(b) != s { // the decoder skips newlines
		return h, errors.New("a hash isn't 32 bytes in base64")
	}
	return tlog.Hash(b), nil
}

// head is what a checkpoint says of a tree.
type head struct {
	size uint64
	root tlog.Hash
}

// parseHead reads the text of a checkpoint, which may have lines of the log's own
// after the three that C2SP knows.
func parseHead(text string) (h head, err error) {
	var c format.Checkpoint
	more, err := c.Unmarshal([]byte(text))
	if err != nil {
		return h, err
	}
	// That parser takes a hash of any length, and zeros before a size.
	if len(c.Hash) != len(h.root) || c.Size>>63 != 0 || string(c.Marshal()) != strings.TrimSuffix(text, string(more)) {
		return h, errors.New("the checkpoint isn't in C2SP's form")
	}
	if more := string(more); more != "" && (strings.HasPrefix(more, "\n") || strings.Contains(more, "\n\n")) {
		return h, errors.New("the checkpoint has an empty line")
	}
	return head{c.Size, tlog.Hash(c.Hash)}, nil
}
