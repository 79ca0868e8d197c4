package ca

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/policy/pubkey"
)

// hostSkew is how far back a host certificate's validity starts: the clocks of
// users' laptops run behind more often than ahead.
const hostSkew = time.Hour

// HostCA signs host certificates for the names that entry answers to, and
// nothing else; or, offline, only recognises them.
type HostCA struct {
	authority *Authority // nil when offline
	key       ssh.PublicKey
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
func (h *HostCA) PublicKey() ssh.PublicKey { return h.key }

// Online reports whether the CA can sign here.
func (h *HostCA) Online() bool { return h.authority != nil }

// Origin says where the private key is.
func (h *HostCA) Origin() string {
	if h.authority == nil {
		return "offline"
	}
	return h.authority.Origin()
}

// sign makes the certificate over key for principals.
func (h *HostCA) sign(key ssh.PublicKey, name string, principals []string, now time.Time, validity time.Duration) (*ssh.Certificate, error) {
	if h.authority == nil {
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
	if err := cert.SignCert(rand.Reader, h.authority.signer); err != nil {
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
	if err := checkCert(cert, ssh.HostCert, now, func(ca ssh.PublicKey) bool { return sameKey(ca, h.key) }); err != nil {
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
