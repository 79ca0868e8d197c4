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
	"sync/atomic"
)

// masterSize is the length of what all keys are derived from, in bytes.
const masterSize = 32

// Keys are what is derived from the server's secret, one key a purpose, and from those before
// and after it, which open and find what was made by them. They have no String method and
// stand in no event. The zero Keys seal nothing. Copies are the same keys: what Become
// changes, it changes for all of them.
type Keys struct{ ring *atomic.Pointer[ring] }

// ring are the keys of several secrets.
type ring struct {
	now    derived
	others []derived // by which nothing is made
	counts []byte    // key of tallies: of the oldest, so that what is counted goes on
}

// derived are those of one secret.
type derived struct {
	seeds    cipher.AEAD
	recovery []byte
	names    []byte
	tallies  []byte
	files    []byte
}

// DeriveKeys returns the keys for a secret of 32 bytes (HKDF-SHA256).
func DeriveKeys(master []byte) (Keys, error) { return Secrets{Now: master}.Keys() }

// Keys are those of the present secret and, to open and to find, of the others.
func (s Secrets) Keys() (Keys, error) {
	r := &ring{}
	var err error
	if r.now, err = derive(s.Now); err != nil {
		return Keys{}, err
	}
	r.counts = r.now.tallies
	for _, older := range s.Older {
		d, err := derive(older)
		if err != nil {
			return Keys{}, err
		}
		r.others, r.counts = append(r.others, d), d.tallies
	}
	if s.Next != nil {
		d, err := derive(s.Next)
		if err != nil {
			return Keys{}, err
		}
		r.others = append(r.others, d)
	}
	k := Keys{&atomic.Pointer[ring]{}}
	k.ring.Store(r)
	return k, nil
}

// Become makes k and all its copies the same keys as o.
func (k Keys) Become(o Keys) { k.ring.Store(o.load()) }

func (k Keys) load() *ring {
	if k.ring == nil {
		return &ring{}
	}
	return k.ring.Load()
}

func derive(master []byte) (d derived, err error) {
	if len(master) != masterSize {
		return d, fmt.Errorf("the secret has %d bytes, not %d", len(master), masterSize)
	}
	key := func(purpose string) ([]byte, error) {
		return hkdf.Key(sha256.New, master, nil, "entry identity v1: "+purpose, 32)
	}
	seed, err := key("authenticator seeds")
	if err != nil {
		return d, fmt.Errorf("derive seed key: %w", err)
	}
	if d.recovery, err = key("recovery codes"); err != nil {
		return d, fmt.Errorf("derive recovery key: %w", err)
	}
	if d.names, err = key("unknown names"); err != nil {
		return d, fmt.Errorf("derive name key: %w", err)
	}
	if d.tallies, err = key("failures"); err != nil {
		return d, fmt.Errorf("derive tally key: %w", err)
	}
	if d.files, err = key("files"); err != nil {
		return d, fmt.Errorf("derive file key: %w", err)
	}
	block, err := aes.NewCipher(seed)
	if err == nil {
		d.seeds, err = cipher.NewGCMWithRandomNonce(block)
	}
	if err != nil {
		return d, fmt.Errorf("seed cipher: %w", err)
	}
	return d, nil
}

// all are the present secret's keys and the others'.
func (r *ring) all() []derived { return append([]derived{r.now}, r.others...) }

// seedContext binds a sealed seed to its row: moved to another account or
// authenticator it doesn't open. IDs are hex, so the separator is unambiguous.
func seedContext(account, authenticator string) []byte {
	return []byte("entry seed|" + account + "|" + authenticator)
}

// SealSeed encrypts a seed for that row.
func (k Keys) SealSeed(account, authenticator string, seed []byte) []byte {
	return k.load().now.seeds.Seal(nil, nil, seed, seedContext(account, authenticator))
}

// errSeed says nothing about the seed, only whose secret or row is wrong.
var errSeed = errors.New("the seed does not open: the secret or the database row was changed")

// OpenSeed returns the seed of that row, or an error that says nothing about it.
func (k Keys) OpenSeed(account, authenticator string, sealed []byte) ([]byte, error) {
	for _, d := range k.load().all() {
		if seed, err := d.seeds.Open(nil, nil, sealed, seedContext(account, authenticator)); err == nil && len(seed) >= MinSeed {
			return seed, nil
		}
	}
	return nil, fmt.Errorf("authenticator %s: %w", authenticator, errSeed)
}

// SealAnew seals the seed of that row by the present secret; nil where it is already, or where
// no secret opens it.
func (k Keys) SealAnew(account, authenticator string, sealed []byte) []byte {
	if _, err := k.load().now.seeds.Open(nil, nil, sealed, seedContext(account, authenticator)); err == nil {
		return nil
	}
	seed, err := k.OpenSeed(account, authenticator, sealed)
	if err != nil {
		return nil
	}
	return k.SealSeed(account, authenticator, seed)
}

// HashRecovery is what is stored of an account's recovery code, however it was
// typed; ok tells whether that has a code's form at all. It is keyed because a
// code has 60 bits: a stolen database alone must not be enough to search for them.
func (k Keys) HashRecovery(account, typed string) (h [32]byte, ok bool) {
	all, ok := k.RecoveryHashes(account, typed)
	return all[0], ok
}

// RecoveryHashes are what is stored of it by each of the secrets, the present one first.
func (k Keys) RecoveryHashes(account, typed string) (all [][32]byte, ok bool) {
	code, ok := canonicalSymbols(typed, recoverySymbols)
	for _, d := range k.load().all() {
		m := hmac.New(sha256.New, d.recovery)
		m.Write([]byte(account + "|" + code))
		all = append(all, [32]byte(m.Sum(nil)))
	}
	return all, ok
}

// HashName stands for a name that no account has: people type passphrases there.
func (k Keys) HashName(name string) string { return k.NameHashes(name)[0] }

// NameHashes are what may stand for it, by each of the secrets, the present one first.
func (k Keys) NameHashes(name string) (all []string) {
	for _, d := range k.load().all() {
		m := hmac.New(sha256.New, d.names)
		m.Write([]byte(name))
		all = append(all, hex.EncodeToString(m.Sum(nil)[:16]))
	}
	return all
}

// HashFile stands in the log for something of a file, of a kind: "path", or "content"
// where b is its SHA-256; or for the "pattern" that was searched for in recordings.
// Names of files and patterns tell of people, and the hash of a small file can be
// guessed.
func (k Keys) HashFile(kind string, b []byte) string { return k.FileHashes(kind, b)[0] }

// FileHashes are what may stand for it, by each of the secrets, the present one first.
func (k Keys) FileHashes(kind string, b []byte) (all []string) {
	for _, d := range k.load().all() {
		m := hmac.New(sha256.New, d.files)
		m.Write([]byte(kind + "|"))
		m.Write(b)
		all = append(all, "hmac-sha256:"+hex.EncodeToString(m.Sum(nil)))
	}
	return all
}

// HashTally is the key under which something is counted: what was typed as a name
// may be a passphrase. It stays as long as the secrets before are kept, so that nobody's
// count begins anew with a secret.
func (k Keys) HashTally(text string) (h [16]byte) {
	m := hmac.New(sha256.New, k.load().counts)
	m.Write([]byte(text))
	return [16]byte(m.Sum(nil)[:len(h)])
}

// TallyRecovery names an account's recovery code in what is counted of it, however it was
// typed, and as long as HashTally; ok is as HashRecovery's.
func (k Keys) TallyRecovery(account, typed string) (name string, ok bool) {
	code, ok := canonicalSymbols(typed, recoverySymbols)
	return fmt.Sprintf("%x", k.HashTally("recovery code|"+account+"|"+code)), ok
}

// NewID returns 128 random bits in hex.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}
