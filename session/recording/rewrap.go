package recording

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"filippo.io/age"
)

const (
	// labelRewrap is part of the format.
	labelRewrap = "entry/recording/v1 rewrap"
	// rewrapSchema is the first line of what a rewrap's proof is a signature of.
	rewrapSchema = "entry.rewrap/v1"
)

const (
	// MaxAuditors is how many auditors a recording is sealed to at most.
	MaxAuditors = 200
	// MaxNamed is how many of those a Rewrap names that came in, and that went out.
	MaxNamed = 24
	// fingerprintSize is the length of an auditor's fingerprint, and of a set's: 16 bytes
	// in hex.
	fingerprintSize = 32
)

// NextKeyExt is the ending of a new ID.key before it takes the other's place.
const NextKeyExt = ".key.next"

// Rewrap is that a recording's key was sealed to other auditors. It is made where one of
// the old ones is (Reseal), and is signed by a key that follows from the recording's own:
// who can't open the recording can't say that it is sealed anew, the jump host's root
// included.
type Rewrap struct {
	ID    string   `json:"id"`
	From  string   `json:"from"`            // hex SHA-256 of ID.key as it was
	To    string   `json:"to"`              // and as it is to be
	Set   string   `json:"set"`             // SetOf all who can open it from then on
	Count int      `json:"count"`           // how many they are
	In    []string `json:"in,omitempty"`    // fingerprints of who can open it now, and couldn't before; the first MaxNamed
	Out   []string `json:"out,omitempty"`   // of who could, as far as that is known
	Proof string   `json:"proof,omitempty"` // base64, an Ed25519 signature; "" for a recording whose header has no key for it
}

// SetOf identifies a set of auditors by their fingerprints, in any order.
func SetOf(fingerprints []string) string {
	all := slices.Sorted(slices.Values(fingerprints))
	sum := sha256.Sum256([]byte(strings.Join(all, "\n") + "\n"))
	return hex.EncodeToString(sum[:fingerprintSize/2])
}

// statement is what Proof is a signature of.
func (r Rewrap) statement() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\nfrom %s\nto %s\nset %s %d\n", rewrapSchema, r.ID, r.From, r.To, r.Set, r.Count)
	for _, f := range r.In {
		fmt.Fprintf(&b, "in %s\n", f)
	}
	for _, f := range r.Out {
		fmt.Fprintf(&b, "out %s\n", f)
	}
	return b.Bytes()
}

// Check returns nil for a rewrap of the recording with the header h that somebody made
// who could open it. proven is false where the header, of an older version, has nothing
// that could show that. The error is the predicate of a sentence.
func (r Rewrap) Check(h Header) (proven bool, err error) {
	switch {
	case r.ID != h.ID:
		return false, errors.New("is of another recording")
	case !isHex(r.From, 2*sha256.Size) || !isHex(r.To, 2*sha256.Size) || !isHex(r.Set, fingerprintSize) || r.Count < 1 || r.Count > MaxAuditors ||
		!areFingerprints(r.In, MaxNamed) || !areFingerprints(r.Out, MaxNamed):
		return false, errors.New("is malformed")
	case h.RewrapKey == "":
		return false, nil
	}
	key, err := hex.DecodeString(h.RewrapKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return false, errors.New("can't be held against the recording's header")
	}
	proof, err := base64.StdEncoding.Strict().DecodeString(r.Proof)
	if err != nil || !ed25519.Verify(key, r.statement(), proof) {
		return false, errors.New("isn't signed by somebody who could open the recording")
	}
	return true, nil
}

// ErrNothing says that a recording has no segment, so that nothing shows whether its
// header is the one that it was made with.
var ErrNothing = errors.New("nothing was recorded in it")

// Reseal opens the key of a recording with ids, and seals it to to: sealed is what ID.key
// is to be. r says who comes in and goes out; the rest of it is filled in. Nothing is
// written. The first segment has to open: it does with the header alone that it was made
// with, which says whose recording it is, and who could open it. Errors are as
// OpenRecording's and Reader.Next's, and ErrNothing.
func Reseal(dir, id string, ids []age.Identity, to []age.Recipient, r Rewrap) (_ Rewrap, sealed []byte, err error) {
	f, err := openFile(dir, id, Ext)
	if err != nil {
		return r, nil, err
	}
	defer f.Close()
	content := &Reader{file: f, id: id}
	var hash [32]byte
	if content.walk, content.header, hash, err = walk(f, id); err != nil {
		return r, nil, err
	}
	h := content.header
	old, err := readKeyFile(dir, id)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil, fmt.Errorf("open recording %s: %w", id, ErrShredded)
	}
	if err != nil {
		return r, nil, err
	}
	key, err := unwrapKey(bytes.NewReader(old), h, ids)
	if err != nil {
		return r, nil, fmt.Errorf("open recording %s: %w", id, err)
	}
	defer clear(key)
	if err := content.begin(bytes.Clone(key), hash); err != nil {
		return r, nil, err
	}
	defer content.dec.Close()
	if err := content.segment(); errors.Is(err, ErrTruncated) {
		return r, nil, fmt.Errorf("seal recording %s anew: %w", id, ErrNothing)
	} else if err != nil {
		return r, nil, err
	}
	if sealed, err = wrapKey(key, to); err != nil {
		return r, nil, err
	}
	r.ID, r.From, r.To = id, hexSum(old), hexSum(sealed)
	if h.RewrapKey != "" {
		signer, err := rewrapSigner(key, id)
		if err != nil {
			return r, nil, err
		}
		defer clear(signer)
		r.Proof = base64.StdEncoding.EncodeToString(ed25519.Sign(signer, r.statement()))
	}
	if _, err := r.Check(h); err != nil {
		return r, nil, fmt.Errorf("seal recording %s anew: what is said of it %w", id, err)
	}
	return r, sealed, nil
}

// Makes returns nil where sealed, the new contents of ID.key, is what r speaks of.
func (r Rewrap) Makes(sealed []byte) error {
	if len(sealed) > maxKeyFile || hexSum(sealed) != r.To {
		return errors.New("isn't the key that was sealed anew")
	}
	return nil
}

// rewrapSigner is the key that signs what is said of sealing a recording's key anew.
func rewrapSigner(key []byte, id string) (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, key, []byte(id), labelRewrap, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed), nil
}

// rewrapKey is the public half of rewrapSigner's, as a header has it.
func rewrapKey(key []byte, id string) (string, error) {
	signer, err := rewrapSigner(key, id)
	if err != nil {
		return "", err
	}
	defer clear(signer)
	return hex.EncodeToString(signer[ed25519.SeedSize:]), nil
}

func areFingerprints(list []string, most int) bool {
	return len(list) <= most && !slices.ContainsFunc(list, func(s string) bool { return !IsFingerprint(s) })
}

// IsFingerprint tells whether s has the form of an auditor's fingerprint.
func IsFingerprint(s string) bool { return isHex(s, fingerprintSize) }

// isHex tells whether s is n lower-case hexadecimal digits.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
