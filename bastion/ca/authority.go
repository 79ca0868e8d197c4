package ca

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"entry/policy/pubkey"
)

// maxKeyFile bounds key, public key and certificate files, in bytes. An
// RSA-4096 private key takes 3.4 KB, a certificate with many principals a few
// more; anything near the bound isn't a key.
const maxKeyFile = 64 << 10

// opensshKeyBlock is the PEM type of PROTOCOL.key, the one private key format
// that entry reads.
const opensshKeyBlock = "OPENSSH PRIVATE KEY"

var (
	// ErrPassphraseProtected: the key file needs a passphrase, which a server
	// that starts by itself can't be asked for.
	ErrPassphraseProtected = errors.New("key is protected by a passphrase")
	// ErrExposed: accounts other than the owner may read the key file.
	ErrExposed = errors.New("key is readable by other accounts")
	// ErrClaimed: the authority already serves another purpose.
	ErrClaimed = errors.New("authority already has a purpose")
	// ErrOffline: the host CA's private key isn't on this machine.
	ErrOffline = errors.New("host CA is offline")
)

// Authority is the private half of a CA, in a file or behind an agent, before
// it has a purpose. NewHostCA or NewUserCA gives it one, once.
type Authority struct {
	signer ssh.Signer
	origin string
	use    atomic.Pointer[string]
}

// PublicKey returns the authority's public key.
func (a *Authority) PublicKey() ssh.PublicKey { return a.signer.PublicKey() }

// Origin says where the private key is, for error texts and listings: a path,
// or "agent SOCKET".
func (a *Authority) Origin() string { return a.origin }

// claim gives a its one purpose. The same purpose twice is fine: it mixes
// nothing.
func (a *Authority) claim(purpose string) error {
	if a == nil || a.signer == nil {
		return fmt.Errorf("%s: no authority", purpose)
	}
	if a.use.CompareAndSwap(nil, &purpose) || *a.use.Load() == purpose {
		return nil
	}
	return fmt.Errorf("%s %s: %w: %s", purpose, a.origin, ErrClaimed, *a.use.Load())
}

// loadFile reads an unencrypted private key in OpenSSH's format. It refuses a
// file that group or others may read (ErrExposed) and one protected by a
// passphrase (ErrPassphraseProtected); each error says what to do.
func loadFile(path string) (*Authority, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	signer, err := readPrivate(f, path)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("load key %s: %w", path, cerr)
	}
	if err != nil {
		return nil, err
	}
	return &Authority{signer: signer, origin: path}, nil
}

// GenerateFile makes a new ed25519 key, durable in path (0600) with its public
// half in path.pub (0644) before it returns. An existing path is an error that
// wraps fs.ErrExist, and stays as it was.
func GenerateFile(path, comment string) (*Authority, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	defer root.Close()
	signer, err := generateKey(root, filepath.Base(path), comment)
	if err != nil {
		return nil, fmt.Errorf("generate key %s: %w", path, err)
	}
	if err := writePublic(root, filepath.Base(path), signer.PublicKey(), comment); err != nil {
		return nil, fmt.Errorf("generate key %s: %w", path, err)
	}
	return &Authority{signer: signer, origin: path}, nil
}

// generateKey makes an ed25519 key and publishes it under name, never over an
// existing file.
func generateKey(root *os.Root, name, comment string) (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return nil, err
	}
	if err := publish(root, name, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(private)
}

// readPrivate checks the mode of an open key file and parses it.
func readPrivate(f *os.File, path string) (ssh.Signer, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("load key %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("load key %s: not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("load key %s: %w (mode %04o): run chmod 600 %s, and replace the key if others could have read it", path, ErrExposed, perm, path)
	}
	data, err := readBounded(f)
	if err != nil {
		return nil, fmt.Errorf("load key %s: %w", path, err)
	}
	signer, err := parsePrivate(data)
	if err != nil {
		return nil, fmt.Errorf("load key %s: %w", path, err)
	}
	return signer, nil
}

// parsePrivate parses one OpenSSH private key. Its errors never quote data.
func parsePrivate(data []byte) (ssh.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no private key in it (expected a BEGIN OPENSSH PRIVATE KEY block)")
	}
	if block.Type != opensshKeyBlock {
		return nil, fmt.Errorf("key is in %.40q form: convert it with ssh-keygen -p -f FILE", block.Type)
	}
	signer, err := ssh.ParsePrivateKey(data)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("%w: remove it with ssh-keygen -p -f FILE, or keep the key in an ssh-agent", ErrPassphraseProtected)
	}
	if err != nil {
		return nil, errors.New("private key doesn't parse")
	}
	if err := pubkey.Check(signer.PublicKey()); err != nil {
		return nil, err
	}
	return signer, nil
}

// readBounded reads at most maxKeyFile bytes and refuses more.
func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("larger than %d bytes", maxKeyFile)
	}
	return data, nil
}
