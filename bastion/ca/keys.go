package ca

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Bounds for RSA keys in bits. Below the first they are too weak
// (NIST SP 800-57); above the second verifying one costs a peer nothing and
// entry much.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

// Fingerprint returns the SHA256:… form that ssh-keygen -l prints. For a
// certificate it is the fingerprint of the certified key, as OpenSSH prints it.
func Fingerprint(key ssh.PublicKey) string {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	return ssh.FingerprintSHA256(key)
}

// ParsePublic parses one public key in authorized_keys form without options
// ("ssh-ed25519 AAAA… comment"), as policy files and .pub files hold it.
// Certificates, DSA keys, RSA keys outside 2048–4096 bits and hardware-bound
// keys without a verifier here are refused.
func ParsePublic(line string) (ssh.PublicKey, error) {
	if len(line) > maxKeyFile {
		return nil, fmt.Errorf("public key larger than %d bytes", maxKeyFile)
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil:
		return nil, errors.New(`not a public key (expected "ssh-ed25519 AAAA…")`)
	case len(options) != 0:
		return nil, errors.New("public key has options before it")
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, errors.New("more than one public key")
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// LoadPublic reads a .pub file with one public key.
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
	key, err := ParsePublic(string(data))
	if err != nil {
		return nil, fmt.Errorf("load public key %s: %w", path, err)
	}
	return key, nil
}

// checkKey refuses key kinds that entry trusts for nothing.
func checkKey(key ssh.PublicKey) error {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		bits := rsaBits(key)
		if bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("RSA key of %d bits: entry takes %d to %d", bits, minRSABits, maxRSABits)
		}
		return nil
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return errors.New("a certificate where a plain key is needed")
	}
	return fmt.Errorf("key type %s isn't accepted", key.Type())
}

func rsaBits(key ssh.PublicKey) int {
	holder, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return 0
	}
	public, ok := holder.CryptoPublicKey().(*rsa.PublicKey)
	if !ok {
		return 0
	}
	return public.N.BitLen()
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
