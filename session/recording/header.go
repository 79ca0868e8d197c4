package recording

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Version is the file format that this package writes and reads.
const Version = 1

// Header stands in clear as the first line of a recording. It holds no
// secret: whoever can list the spool can read it.
type Header struct {
	Version       int       `json:"entry_recording"` // set by NewSealer
	ID            string    `json:"id"`              // the session's ULID; also the file's name
	User          string    `json:"user"`
	Lab           string    `json:"lab,omitempty"`
	Target        string    `json:"target"` // full name
	Login         string    `json:"login,omitempty"`
	Source        string    `json:"source,omitempty"` // "ip:port"
	Rule          string    `json:"rule,omitempty"`   // "name (file:line)"
	Policy        string    `json:"policy,omitempty"` // the policy's hash
	Start         time.Time `json:"start"`            // UTC, microseconds
	Input         bool      `json:"input"`            // whether typed input is recorded
	Notice        string    `json:"notice,omitempty"` // what the user was told
	KeyCommitment string    `json:"key_commitment"`   // set by NewSealer; hex
	// RewrapKey is the Ed25519 public key, in hex, that says who may seal the key to
	// others (Rewrap): set by NewSealer, "" in recordings of older versions.
	RewrapKey string `json:"rewrap_key,omitempty"`
	// Auditors are the fingerprints of those to whom it was sealed at first: at most
	// MaxAuditors; none in recordings of older versions.
	Auditors []string `json:"auditors,omitempty"`
}

const (
	maxHeader      = 16 << 10 // bytes of the line with its newline
	maxHeaderField = 1 << 10  // bytes of one string; names are far shorter
	headerStart    = `{"entry_recording":1,`
)

// errHeader is wrapped by every complaint about a header.
var errHeader = errors.New("malformed header")

// line returns the header's line with its newline.
func (h *Header) line() ([]byte, error) {
	for _, s := range []string{h.User, h.Lab, h.Target, h.Login, h.Source, h.Rule, h.Policy, h.Notice} {
		if len(s) > maxHeaderField || !utf8.ValidString(s) {
			return nil, fmt.Errorf("%w: a field is too long or not UTF-8", errHeader)
		}
	}
	if h.RewrapKey != "" && !isHex(h.RewrapKey, 2*sha256.Size) || !areFingerprints(h.Auditors, MaxAuditors) {
		return nil, fmt.Errorf("%w: what it says of auditors is malformed", errHeader)
	}
	if !ValidID(h.ID) {
		return nil, fmt.Errorf("%w: the ID isn't a ULID", errHeader)
	}
	b, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHeader, err)
	}
	if b = append(b, '\n'); len(b) > maxHeader {
		return nil, fmt.Errorf("%w: it takes more than %d bytes", errHeader, maxHeader)
	}
	return b, nil
}

// ValidID reports whether id is a ULID in its canonical form. It also is what
// keeps an ID from being a path.
func ValidID(id string) bool {
	if len(id) != 26 || id[0] > '7' {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z' && c != 'I' && c != 'L' && c != 'O' && c != 'U':
		default:
			return false
		}
	}
	return true
}

// readHeader reads the header and the hash behind it from the start of r and
// returns how many bytes they take.
func readHeader(r io.ReaderAt) (h Header, hash [32]byte, size int64, err error) {
	buf := make([]byte, maxHeader+sha256.Size)
	n, err := r.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, hash, 0, err
	}
	return parseHeader(buf[:n])
}

func parseHeader(b []byte) (h Header, hash [32]byte, size int64, err error) {
	if len(b) < len(headerStart) || string(b[:len(headerStart)]) != headerStart {
		return h, hash, 0, fmt.Errorf("%w: it doesn't start like a recording of version %d", errHeader, Version)
	}
	end := bytes.IndexByte(b[:min(len(b), maxHeader)], '\n') + 1
	if end == 0 {
		return h, hash, 0, fmt.Errorf("%w: no end of line within %d bytes", errHeader, maxHeader)
	}
	if len(b) < end+sha256.Size {
		return h, hash, 0, fmt.Errorf("%w: cut", errHeader)
	}
	hash = sha256.Sum256(b[:end])
	if !bytes.Equal(hash[:], b[end:end+sha256.Size]) {
		return h, hash, 0, fmt.Errorf("%w: its hash doesn't match", errHeader)
	}
	d := json.NewDecoder(bytes.NewReader(b[:end]))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return Header{}, hash, 0, fmt.Errorf("%w: %w", errHeader, err)
	}
	// Only the bytes that NewSealer makes are accepted: one header, one form.
	again, err := h.line()
	if err != nil {
		return Header{}, hash, 0, err
	}
	if !bytes.Equal(again, b[:end]) {
		return Header{}, hash, 0, fmt.Errorf("%w: not in canonical form", errHeader)
	}
	return h, hash, int64(end + sha256.Size), nil
}
