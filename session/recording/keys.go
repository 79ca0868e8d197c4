package recording

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// The HKDF labels. They are part of the format.
const (
	labelCommitment = "entry/recording/v1 key commitment"
	labelChain      = "entry/recording/v1 chain"
	labelSegment    = "entry/recording/v1 segment"
	labelNext       = "entry/recording/v1 next"
)

const (
	keySize    = 32      // bytes of every key and hash here
	maxKeyFile = 1 << 20 // bytes; a hybrid recipient takes 2 kB, so hundreds of auditors fit
)

// IdentityFile is what the auditors' identity is called in a directory that
// entry made: whoever reviews recordings moves it away, or finds it there.
const IdentityFile = "auditor.key"

var (
	// ErrKey is returned by OpenRecording when no identity opens the
	// recording's key, or when the key isn't the one the header commits to.
	ErrKey = errors.New("the recording's key can't be opened")
	// ErrShredded is returned by OpenRecording when ID.key is gone.
	ErrShredded = errors.New("the recording's key was removed")
)

// newKey makes a recording's key.
func newKey() []byte {
	k := make([]byte, keySize)
	_, _ = rand.Read(k) // crypto/rand.Read never fails: it ends the program instead
	return k
}

// wrapKey returns the contents of ID.key: an age file over the 32 bytes.
func wrapKey(key []byte, to []age.Recipient) ([]byte, error) {
	if len(to) == 0 {
		return nil, errors.New("wrap recording key: no auditor to wrap it to")
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		return nil, fmt.Errorf("wrap recording key: %w", err)
	}
	if _, err := w.Write(key); err != nil {
		return nil, fmt.Errorf("wrap recording key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("wrap recording key: %w", err)
	}
	return b.Bytes(), nil
}

// unwrapKey opens the contents of ID.key and checks them against the header.
func unwrapKey(wrapped io.Reader, h Header, ids []age.Identity) ([]byte, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: no identity given", ErrKey)
	}
	r, err := age.Decrypt(io.LimitReader(wrapped, maxKeyFile), ids...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	key, err := io.ReadAll(io.LimitReader(r, keySize+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	c, err := commitment(key, h.ID)
	if err != nil || len(key) != keySize || subtle.ConstantTimeCompare([]byte(c), []byte(h.KeyCommitment)) != 1 {
		clear(key)
		return nil, fmt.Errorf("%w: it isn't the key that the header commits to", ErrKey)
	}
	return key, nil
}

// commitment binds a key to one recording, so that a swapped ID.key is found
// out before it makes every segment look damaged.
func commitment(key []byte, id string) (string, error) {
	c, err := hkdf.Key(sha256.New, key, []byte(id), labelCommitment, keySize)
	return hex.EncodeToString(c), err
}

// ratchet yields one key a segment. Who learns its state can derive the keys
// to come, but not the ones before: each step overwrites the last.
type ratchet struct{ state [keySize]byte }

// newRatchet starts the ratchet of a recording and clears key.
func newRatchet(key []byte, headerHash [32]byte) (r ratchet, err error) {
	b, err := hkdf.Key(sha256.New, key, headerHash[:], labelChain, keySize)
	clear(key)
	copy(r.state[:], b)
	clear(b)
	return r, err
}

// next returns the key of the next segment and forgets how it came by it. The
// caller clears the key.
func (r *ratchet) next() ([]byte, error) {
	key, err := hkdf.Expand(sha256.New, r.state[:], labelSegment, keySize)
	if err != nil {
		return nil, err
	}
	state, err := hkdf.Expand(sha256.New, r.state[:], labelNext, keySize)
	if err != nil {
		return nil, err
	}
	copy(r.state[:], state)
	clear(state)
	return key, nil
}
