package ca

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/configs"
	"entry/policy/pubkey"
)

// hostSkew is how far back a host certificate's validity starts: the clocks of
// users' laptops run behind more often than ahead.
const hostSkew = time.Hour

// HostCA signs host certificates for the names that entry answers to, and
// nothing else; or, offline, only recognises them.
//
// While another one is to follow on it, it recognises certificates of both, and signs its own.
type HostCA struct {
	mu        sync.RWMutex // guards what follows
	authority *Authority   // nil when offline
	key       ssh.PublicKey
	next      *Authority // nil when offline
	nextKey   ssh.PublicKey
}

// Reopen opens the CA that is to follow on c's, if there is one.
func (h *HostCA) Reopen(c configs.CA) error {
	if c.Offline() {
		key, _, ok, err := Next(c)
		if ok {
			h.Follow(nil, key)
		}
		return err
	}
	next, err := OpenNext(c)
	if err == nil && next != nil {
		err = next.claim("host CA")
	}
	if err == nil && next != nil {
		h.Follow(next, next.PublicKey())
	}
	return err
}

// Follow says which CA is to follow: next, whose public key is key, or, where that is
// offline, the key alone; nil and nil for none.
func (h *HostCA) Follow(next *Authority, key ssh.PublicKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next, h.nextKey = next, key
}

// Turn puts the CA that is to follow into the place of the present one.
func (h *HostCA) Turn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nextKey != nil {
		h.authority, h.key, h.next, h.nextKey = h.next, h.nextKey, nil, nil
	}
}

// now is the present CA; a is nil when offline.
func (h *HostCA) now() (a *Authority, key ssh.PublicKey) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.authority, h.key
}

// Next is what clients are to list besides; nil where no other CA is to follow.
func (h *HostCA) Next() ssh.PublicKey {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.nextKey
}

// knows tells whether a certificate by that key is one of its own.
func (h *HostCA) knows(ca ssh.PublicKey) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return sameKey(ca, h.key) || sameKey(ca, h.nextKey)
}

// NewHostCA claims a for signing host certificates. It returns ErrClaimed if a
// is the user CA.
func NewHostCA(a *Authority) (*HostCA, error) {
	if err := a.claim("host CA"); err != nil {
		return nil, err
	}
	return &HostCA{authority: a, key: a.PublicKey()}, nil
}

// offlineHostCA is a host CA whose private key is elsewhere: certificates are
// signed there and put beside the host keys.
func offlineHostCA(key ssh.PublicKey) (*HostCA, error) {
	if key == nil {
		return nil, errors.New("host CA: no public key")
	}
	if err := pubkey.Check(key); err != nil {
		return nil, fmt.Errorf("host CA: %w", err)
	}
	return &HostCA{key: key}, nil
}

// PublicKey is what clients list as @cert-authority.
func (h *HostCA) PublicKey() ssh.PublicKey {
	_, key := h.now()
	return key
}

// Online reports whether the CA can sign here.
func (h *HostCA) Online() bool {
	a, _ := h.now()
	return a != nil
}

// Origin says where the private key is.
func (h *HostCA) Origin() string {
	a, _ := h.now()
	if a == nil {
		return "offline"
	}
	return a.Origin()
}

// sign makes the certificate over key for principals.
func (h *HostCA) sign(key ssh.PublicKey, name string, principals []string, now time.Time, validity time.Duration) (*ssh.Certificate, error) {
	a, _ := h.now()
	if a == nil {
		return nil, ErrOffline
	}
	cert := &ssh.Certificate{
		Key:             key,
		Serial:          serial(),
		CertType:        ssh.HostCert,
		KeyId:           boundedKeyID("entry host=" + name),
		ValidPrincipals: principals,
		ValidAfter:      unix(now.Add(-hostSkew)),
		ValidBefore:     unix(now.Add(validity)),
	}
	if err := cert.SignCert(rand.Reader, a.signer); err != nil {
		return nil, err
	}
	return cert, h.verify(cert, key, principals, now)
}

// verify checks that cert is a host certificate by this CA over key, valid at
// now, and names every principal.
func (h *HostCA) verify(cert *ssh.Certificate, key ssh.PublicKey, principals []string, now time.Time) error {
	if !sameKey(cert.Key, key) {
		return fmt.Errorf("certificate is over key %s, the host key is %s", Fingerprint(cert.Key), Fingerprint(key))
	}
	if err := checkCert(cert, ssh.HostCert, now, h.knows); err != nil {
		return err
	}
	if len(cert.CriticalOptions) != 0 {
		return errors.New("certificate has critical options")
	}
	for _, p := range principals {
		if !slices.Contains(cert.ValidPrincipals, p) {
			return fmt.Errorf("certificate lacks the principal %s (it has %s)", p, strings.Join(cert.ValidPrincipals, ", "))
		}
	}
	return nil
}

// parseHostCert reads the content of a NAME-cert.pub file.
func parseHostCert(data []byte) (*ssh.Certificate, error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey(data)
	if err != nil || len(options) != 0 || len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("not one certificate as ssh-keygen -s writes it")
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return nil, errors.New("a plain public key, not a certificate")
	}
	return cert, nil
}
