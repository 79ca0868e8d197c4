package ca

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"entry/policy/pubkey"
)

// Role is one use of a key: "host CA", "user CA", "host CA of home.tinker",
// "audit key".
type Role struct {
	Name string
	Key  ssh.PublicKey
}

// sharedKey tells that one key has two roles.
type sharedKey struct {
	Fingerprint string
	Roles       [2]string
}

func (e *sharedKey) Error() string {
	return fmt.Sprintf("key %s is both %s and %s: make a separate key for each", e.Fingerprint, e.Roles[0], e.Roles[1])
}

// distinctKeys refuses, with a *sharedKey, a key that appears under two role
// names: whoever could use it for one would have the other too. The same role
// name twice is one role (a lab's host CA stands with each of its targets).
// A role without a key is refused, so that a forgotten one doesn't pass.
func distinctKeys(roles ...Role) error {
	seen := make(map[string]string, len(roles))
	for _, r := range roles {
		if r.Key == nil {
			return fmt.Errorf("%s has no key", r.Name)
		}
		key := r.Key
		if cert, ok := key.(*ssh.Certificate); ok {
			key = cert.Key
		}
		wire := string(key.Marshal())
		if other, ok := seen[wire]; ok && other != r.Name {
			return &sharedKey{Fingerprint: Fingerprint(key), Roles: [2]string{other, r.Name}}
		}
		seen[wire] = r.Name
	}
	return nil
}

// NoteVerifier is the C2SP note verifier ("NAME+HASH+BASE64") of the Ed25519 key in an
// authorized_keys line, for a log called name.
func NoteVerifier(name, line string) (string, error) {
	key, _, err := pubkey.Parse(line)
	if err != nil {
		return "", noKey(err)
	}
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return "", errors.New("an audit log's key is an ssh-ed25519 one")
	}
	public, ok := crypto.CryptoPublicKey().(ed25519.PublicKey)
	if !ok || key.Type() != ssh.KeyAlgoED25519 {
		return "", errors.New("an audit log's key is an ssh-ed25519 one")
	}
	return note.NewEd25519VerifierKey(name, public)
}

// noteEd25519 is the algorithm byte of C2SP signed-note for Ed25519.
const noteEd25519 = 1

// NoteKey returns the ed25519 key inside a C2SP note verifier
// ("NAME+HASH+BASE64"), the audit log's public key, so that distinctKeys can
// compare it with SSH keys. It doesn't check the hash: the audit package does.
func NoteKey(verifier string) (ssh.PublicKey, error) {
	if len(verifier) > maxKeyFile {
		return nil, fmt.Errorf("note key larger than %d bytes", maxKeyFile)
	}
	_, rest, _ := strings.Cut(strings.TrimSpace(verifier), "+")
	_, encoded, ok := strings.Cut(rest, "+")
	if !ok {
		return nil, errors.New("not a note key (expected NAME+HASH+KEY)")
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != noteEd25519 {
		return nil, errors.New("note key isn't Ed25519")
	}
	return ssh.NewPublicKey(ed25519.PublicKey(raw[1:]))
}
