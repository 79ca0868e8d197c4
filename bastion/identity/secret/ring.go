package secret

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
)

// Secrets are the server's secret with those before it, and the one that is to follow on it.
// Each has 32 bytes.
type Secrets struct {
	Now   []byte
	Older [][]byte // the newest first
	Next  []byte   // nil where none is to follow
}

// Beside the file of the secret:
const (
	NextExt  = ".next" // the one that is to follow
	OlderExt = ".old"  // those before, one behind the other, the newest first
)

// maxOlder bounds how many are kept of those before.
const maxOlder = 64

// MaxFile bounds each of the files, in bytes.
const MaxFile = maxOlder * masterSize

// ReadSecrets reads the secret's file at path, and those beside it, by read.
func ReadSecrets(path string, read func(path string) ([]byte, error)) (s Secrets, err error) {
	one := func(path string) ([]byte, error) {
		b, err := read(path)
		if err == nil && len(b) != masterSize {
			err = fmt.Errorf("secret %s: has %d bytes, not %d; restore it from your backup", path, len(b), masterSize)
		}
		return b, err
	}
	if s.Now, err = one(path); err != nil {
		return s, err
	}
	if s.Next, err = one(path + NextExt); errors.Is(err, fs.ErrNotExist) {
		s.Next = nil
	} else if err != nil {
		return s, err
	}
	older, err := read(path + OlderExt)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil && (len(older)%masterSize != 0 || len(older) > MaxFile) {
		err = fmt.Errorf("secret %s: has %d bytes, not a multiple of %d up to %d; restore it from your backup", path+OlderExt, len(older), masterSize, MaxFile)
	}
	if err != nil {
		return s, err
	}
	for ; len(older) > 0; older = older[masterSize:] {
		if !bytes.Equal(older[:masterSize], s.Now) { // else a crash came before the next one was in its place
			s.Older = append(s.Older, older[:masterSize])
		}
	}
	return s, nil
}

// New makes a secret.
func New() []byte {
	b := make([]byte, masterSize)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}

// Name is what a secret is called, by which nothing of it is told.
func Name(master []byte) string {
	h := sha256.Sum256(append([]byte("entry secret|"), master...))
	return "secret:" + hex.EncodeToString(h[:6])
}

// Turned are they once the next one has followed.
func (s Secrets) Turned() Secrets {
	if s.Next == nil {
		return s
	}
	t := Secrets{Now: s.Next, Older: append([][]byte{s.Now}, s.Older...)}
	t.Older = t.Older[:min(len(t.Older), maxOlder)]
	return t
}

// Dropped are they without the next one.
func (s Secrets) Dropped() Secrets { return Secrets{Now: s.Now, Older: s.Older} }
