package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// masterSize is the length of what all keys are derived from, in bytes.
const masterSize = 32

// Keys are what is derived from the server's secret, one key a purpose. They
// have no String method and stand in no event. The zero Keys seal nothing.
type Keys struct {
	seeds    cipher.AEAD
	recovery []byte
	names    []byte
	tallies  []byte
	files    []byte
}

// DeriveKeys returns the keys for a secret of 32 bytes (HKDF-SHA256).
func DeriveKeys(master []byte) (Keys, error) {
	if len(master) != masterSize {
		return Keys{}, fmt.Errorf("the secret has %d bytes, not %d", len(master), masterSize)
	}
	derive := func(purpose string) ([]byte, error) {
		return hkdf.Key(sha256.New, master, nil, "entry identity v1: "+purpose, 32)
	}
	seed, err := derive("authenticator seeds")
	if err != nil {
		return Keys{}, fmt.Errorf("derive seed key: %w", err)
	}
	recovery, err := derive("recovery codes")
	if err != nil {
		return Keys{}, fmt.Errorf("derive recovery key: %w", err)
	}
	names, err := derive("unknown names")
	if err != nil {
		return Keys{}, fmt.Errorf("derive name key: %w", err)
	}
	tallies, err := derive("failures")
	if err != nil {
		return Keys{}, fmt.Errorf("derive tally key: %w", err)
	}
	files, err := derive("files")
	if err != nil {
		return Keys{}, fmt.Errorf("derive file key: %w", err)
	}
	block, err := aes.NewCipher(seed)
	if err != nil {
		return Keys{}, fmt.Errorf("seed cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Keys{}, fmt.Errorf("seed cipher: %w", err)
	}
	return Keys{seeds: aead, recovery: recovery, names: names, tallies: tallies, files: files}, nil
}

// seedContext binds a sealed seed to its row: moved to another account or
// authenticator it doesn't open. IDs are hex, so the separator is unambiguous.
func seedContext(account, authenticator string) []byte {
	return []byte("entry seed|" + account + "|" + authenticator)
}

// SealSeed encrypts a seed for that row.
func (k Keys) SealSeed(account, authenticator string, seed []byte) []byte {
	return k.seeds.Seal(nil, nil, seed, seedContext(account, authenticator))
}

// errSeed says nothing about the seed, only whose secret or row is wrong.
var errSeed = errors.New("the seed does not open: the secret or the database row was changed")

// OpenSeed returns the seed of that row, or an error that says nothing about it.
func (k Keys) OpenSeed(account, authenticator string, sealed []byte) ([]byte, error) {
	seed, err := k.seeds.Open(nil, nil, sealed, seedContext(account, authenticator))
	if err != nil || len(seed) < MinSeed {
		return nil, fmt.Errorf("authenticator %s: %w", authenticator, errSeed)
	}
	return seed, nil
}

// HashRecovery is what is stored of an account's recovery code, however it was
// typed; ok tells whether that has a code's form at all. It is keyed because a
// code has 60 bits: a stolen database alone must not be enough to search for them.
func (k Keys) HashRecovery(account, typed string) (h [32]byte, ok bool) {
	code, ok := canonicalSymbols(typed, recoverySymbols)
	m := hmac.New(sha256.New, k.recovery)
	m.Write([]byte(account + "|" + code))
	return [32]byte(m.Sum(nil)), ok
}

// HashName stands for a name that no account has: people type passphrases there.
func (k Keys) HashName(name string) string {
	m := hmac.New(sha256.New, k.names)
	m.Write([]byte(name))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// HashFile stands in the log for something of a file, of a kind: "path", or "content"
// where b is its SHA-256; or for the "pattern" that was searched for in recordings.
// Names of files and patterns tell of people, and the hash of a small file can be
// guessed.
func (k Keys) HashFile(kind string, b []byte) string {
	m := hmac.New(sha256.New, k.files)
	m.Write([]byte(kind + "|"))
	m.Write(b)
	return "hmac-sha256:" + hex.EncodeToString(m.Sum(nil))
}

// HashTally is the key under which something is counted: what was typed as a name
// may be a passphrase.
func (k Keys) HashTally(text string) (h [16]byte) {
	m := hmac.New(sha256.New, k.tallies)
	m.Write([]byte(text))
	return [16]byte(m.Sum(nil)[:len(h)])
}

// NewID returns 128 random bits in hex.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}
