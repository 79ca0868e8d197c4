package ca

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"

	"entry/policy/pubkey"
)

// Fingerprint returns the SHA256:… form that ssh-keygen -l prints. For a
// certificate it is the fingerprint of the certified key, as OpenSSH prints it.
func Fingerprint(key ssh.PublicKey) string {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	return ssh.FingerprintSHA256(key)
}

// LoadPublic reads a .pub file with one public key that package pubkey accepts.
func LoadPublic(path string) (ssh.PublicKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load public key: %w", err)
	}
	data, err := readBounded(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("load public key %s: %w", path, err)
	}
	key, _, err := pubkey.Parse(string(data))
	if err != nil {
		return nil, fmt.Errorf("load public key %s: %w", path, noKey(err))
	}
	return key, nil
}

// noKey adds to what is wrong with a text that it isn't a key at all.
func noKey(err error) error {
	var no *pubkey.Error
	if errors.As(err, &no) && no.Reason == pubkey.Malformed {
		return fmt.Errorf("not a public key: %w", err)
	}
	return err
}

func sameKey(a, b ssh.PublicKey) bool {
	return a != nil && b != nil && bytes.Equal(a.Marshal(), b.Marshal())
}

func authorizedLine(key ssh.PublicKey, comment string) []byte {
	line := bytes.TrimSuffix(ssh.MarshalAuthorizedKey(key), []byte("\n"))
	if comment != "" {
		line = append(line, ' ')
		line = append(line, strings.Map(plain, comment)...)
	}
	return append(line, '\n')
}

// plain keeps a comment on one line of ASCII.
func plain(r rune) rune {
	if r < ' ' || r > '~' {
		return '_'
	}
	return r
}
