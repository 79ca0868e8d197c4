package identity

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

// secretSize is the length of Options.Secret in bytes.
const secretSize = 32

// keys are what is derived from the secret, one key a purpose. They have no
// String method and stand in no event.
type keys struct {
	seeds    cipher.AEAD
	recovery []byte
	names    []byte
	tallies  []byte
}

func deriveKeys(secret []byte) (keys, error) {
	derive := func(purpose string) ([]byte, error) {
		return hkdf.Key(sha256.New, secret, nil, "entry identity v1: "+purpose, 32)
	}
	seed, err := derive("authenticator seeds")
	if err != nil {
		return keys{}, fmt.Errorf("derive seed key: %w", err)
	}
	recovery, err := derive("recovery codes")
	if err != nil {
		return keys{}, fmt.Errorf("derive recovery key: %w", err)
	}
	names, err := derive("unknown names")
	if err != nil {
		return keys{}, fmt.Errorf("derive name key: %w", err)
	}
	tallies, err := derive("failures")
	if err != nil {
		return keys{}, fmt.Errorf("derive tally key: %w", err)
	}
	block, err := aes.NewCipher(seed)
	if err != nil {
		return keys{}, fmt.Errorf("seed cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return keys{}, fmt.Errorf("seed cipher: %w", err)
	}
	return keys{seeds: aead, recovery: recovery, names: names, tallies: tallies}, nil
}

// seedContext binds a sealed seed to its row: moved to another account or
// authenticator it doesn't open. IDs are hex, so the separator is unambiguous.
func seedContext(account, authenticator string) []byte {
	return []byte("entry seed|" + account + "|" + authenticator)
}

func (k keys) sealSeed(account, authenticator string, seed []byte) []byte {
	return k.seeds.Seal(nil, nil, seed, seedContext(account, authenticator))
}

// errSeed says nothing about the seed, only whose secret or row is wrong.
var errSeed = errors.New("the seed does not open: the secret or the database row was changed")

func (k keys) openSeed(account, authenticator string, sealed []byte) ([]byte, error) {
	seed, err := k.seeds.Open(nil, nil, sealed, seedContext(account, authenticator))
	if err != nil || len(seed) < 10 {
		return nil, fmt.Errorf("authenticator %s: %w", authenticator, errSeed)
	}
	return seed, nil
}

// hashRecovery is keyed because a code has 60 bits: a stolen database alone
// must not be enough to search for them.
func (k keys) hashRecovery(account, code string) (h [32]byte) {
	m := hmac.New(sha256.New, k.recovery)
	m.Write([]byte(account + "|" + code))
	return [32]byte(m.Sum(nil))
}

// hashName stands for a name that no account has: people type passphrases there.
func (k keys) hashName(name string) string {
	m := hmac.New(sha256.New, k.names)
	m.Write([]byte(name))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// randomID returns 128 random bits in hex.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}
