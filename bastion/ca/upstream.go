package ca

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/policy/pubkey"
)

// HostPins is what the policy knows about a target's host key.
type HostPins struct {
	// Target is the full name ("home.tinker"), for errors and as an accepted
	// principal.
	Target string
	// Keys and CAs are public keys in authorized_keys form. At least one of the
	// two is needed: nothing is ever trusted on first use.
	Keys, CAs []string
	Now       func() time.Time // nil means time.Now
}

// HostVerifier checks the host key of one target.
type HostVerifier struct {
	target string
	keys   []ssh.PublicKey
	cas    []ssh.PublicKey
	now    func() time.Time
}

// HostKeyChanged says that a target showed a host key the policy doesn't
// know, or a certificate it can't accept. Either way nothing was sent to it.
type HostKeyChanged struct {
	Target string
	Got    string   // fingerprint of the key shown
	Want   []string // fingerprints of the pinned keys, and of the CAs ("CA SHA256:…")
	Why    string   // what is wrong with the certificate; empty for a plain key
}

func (e *HostKeyChanged) Error() string {
	if e.Why != "" {
		return fmt.Sprintf("host key of %s is %s: %s", e.Target, e.Got, e.Why)
	}
	return fmt.Sprintf("host key of %s is %s, expected %s", e.Target, e.Got, strings.Join(e.Want, " or "))
}

// NewHostVerifier parses the pins. It fails on the first key that doesn't
// parse, and when there is none.
func NewHostVerifier(p HostPins) (*HostVerifier, error) {
	v := &HostVerifier{target: p.Target, now: p.Now}
	if v.now == nil {
		v.now = time.Now
	}
	var err error
	if v.keys, err = parseAll(p.Keys); err != nil {
		return nil, fmt.Errorf("host key of %s: %w", p.Target, err)
	}
	if v.cas, err = parseAll(p.CAs); err != nil {
		return nil, fmt.Errorf("host CA of %s: %w", p.Target, err)
	}
	if len(v.keys) == 0 && len(v.cas) == 0 {
		return nil, fmt.Errorf("host key of %s: neither a key nor a CA is listed", p.Target)
	}
	for _, ca := range v.cas {
		for _, key := range v.keys {
			if sameKey(ca, key) {
				return nil, fmt.Errorf("host key of %s: %w", p.Target, &sharedKey{Fingerprint: Fingerprint(ca), Roles: [2]string{"host key", "host CA"}})
			}
		}
	}
	return v, nil
}

func parseAll(lines []string) ([]ssh.PublicKey, error) {
	keys := make([]ssh.PublicKey, 0, len(lines))
	for _, line := range lines {
		key, err := pubkey.ParseHost(line)
		if err != nil {
			return nil, noKey(err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Algorithms is the list for ssh.ClientConfig.HostKeyAlgorithms: only what
// the pins can judge, so that a target with several keys shows the right one.
// Certificates come first, as OpenSSH's client orders them.
func (v *HostVerifier) Algorithms() []string {
	var out []string
	if len(v.cas) != 0 {
		// The CA's own type says nothing about the certified key's.
		out = append(out, ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01,
			ssh.CertAlgoECDSA521v01, ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01)
	}
	for _, kind := range []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA} {
		if !slices.ContainsFunc(v.keys, func(k ssh.PublicKey) bool { return k.Type() == kind }) {
			continue
		}
		if kind == ssh.KeyAlgoRSA { // never ssh-rsa itself, which is SHA-1
			out = append(out, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		out = append(out, kind)
	}
	return out
}

// Check is an ssh.HostKeyCallback. A plain key must be pinned. A certificate
// must be by one of the CAs, current, without critical options, and hold as a
// principal, exactly, either the host part of address (what OpenSSH's client
// would look for when dialling it) or the target's full name; a wildcard
// principal isn't expanded. A certificate over a pinned key passes too, since
// the key itself is what is pinned and proven. A refusal is a *HostKeyChanged.
func (v *HostVerifier) Check(address string, _ net.Addr, key ssh.PublicKey) error {
	shown := key
	cert, isCert := key.(*ssh.Certificate)
	if isCert {
		shown = cert.Key
	}
	if slices.ContainsFunc(v.keys, func(k ssh.PublicKey) bool { return sameKey(k, shown) }) {
		return nil
	}
	refused := &HostKeyChanged{Target: v.target, Got: Fingerprint(shown), Want: v.want()}
	if !isCert {
		return refused
	}
	if err := v.checkHostCert(address, cert); err != nil {
		refused.Why = err.Error()
		return refused
	}
	return nil
}

func (v *HostVerifier) checkHostCert(address string, cert *ssh.Certificate) error {
	trusted := func(ca ssh.PublicKey) bool {
		return slices.ContainsFunc(v.cas, func(k ssh.PublicKey) bool { return sameKey(k, ca) })
	}
	if err := checkCert(cert, ssh.HostCert, v.now(), trusted); err != nil {
		return err
	}
	if len(cert.CriticalOptions) != 0 {
		return errors.New("certificate has critical options")
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %q has no port", address)
	}
	for _, p := range cert.ValidPrincipals {
		if strings.EqualFold(p, host) || p == v.target {
			return nil
		}
	}
	return fmt.Errorf("certificate is for %q, not for %s or %s", cert.ValidPrincipals, host, v.target)
}

func (v *HostVerifier) want() []string {
	var out []string
	for _, k := range v.keys {
		out = append(out, Fingerprint(k))
	}
	for _, k := range v.cas {
		out = append(out, "CA "+Fingerprint(k))
	}
	return out
}
