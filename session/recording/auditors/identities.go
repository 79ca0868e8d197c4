package auditors

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// ErrPassphrase is returned by ParseIdentities for an SSH key with a passphrase, where
// nobody is asked for it.
var ErrPassphrase = errors.New("the auditor's SSH key has a passphrase, which nobody is asked for here")

// ParseIdentities reads auditors' secret keys: one a line, as age-keygen writes them, or
// one ssh-ed25519 key, as ssh-keygen does. ask is for that one's passphrase, and called
// once a recording is opened; nil is nobody. Errors quote nothing of the text.
func ParseIdentities(r io.Reader, ask func() ([]byte, error)) ([]age.Identity, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile))
	if err != nil {
		return nil, err
	}
	if bytes.Contains(text, []byte("-----BEGIN OPENSSH PRIVATE KEY-----")) {
		return sshIdentity(text, ask)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		// age quotes the line that it can't read, which may be most of a key.
		return nil, errors.New("read auditor identity: not an age identity file (AGE-SECRET-KEY-…), nor an ssh-ed25519 key")
	}
	return ids, nil
}

func sshIdentity(text []byte, ask func() ([]byte, error)) ([]age.Identity, error) {
	id, err := agessh.ParseIdentity(text)
	var sealed *ssh.PassphraseMissingError
	if errors.As(err, &sealed) && sealed.PublicKey != nil {
		if ask == nil {
			return nil, ErrPassphrase
		}
		id, err = agessh.NewEncryptedSSHIdentity(sealed.PublicKey, text, ask)
	}
	if err != nil {
		return nil, errors.New("read auditor identity: not an ssh-ed25519 key that can be used")
	}
	return []age.Identity{id}, nil
}

// Generate makes a key pair for an auditor. The identity is the secret; the public key goes
// into the configuration. Stock age reads both.
func Generate() (identity, public string, err error) {
	k, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("generate auditor key: %w", err)
	}
	return k.String(), k.Recipient().String(), nil
}
