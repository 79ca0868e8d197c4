package testkit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// NewSigner is a fresh ed25519 key that is needed only in memory.
func NewSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	Check(t, err)
	return Must(ssh.NewSignerFromKey(key))(t)
}

// NewKeyFile writes a fresh ed25519 key as ssh-keygen does, with its .pub.
func NewKeyFile(t testing.TB, path string) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	Check(t, err)
	WriteFile(t, path, string(pem.EncodeToMemory(Must(ssh.MarshalPrivateKey(key, "test"))(t))))
	signer := Must(ssh.NewSignerFromKey(key))(t)
	WriteFile(t, path+".pub", Authorized(signer.PublicKey())+"\n")
	return signer
}

// Authorized is key as a line of authorized_keys, without its end.
func Authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// ParseKey reads such a line.
func ParseKey(t testing.TB, line string) ssh.PublicKey {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	Check(t, err)
	return key
}
