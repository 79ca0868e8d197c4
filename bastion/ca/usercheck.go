package ca

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/policy/pubkey"
)

// UserCheck is what a server knows when it judges a user certificate.
type UserCheck struct {
	CA     ssh.PublicKey // the one user CA it trusts
	Login  string        // the login asked for
	Source netip.Addr    // where the client comes from
	Now    time.Time
}

// Verify accepts key only if it is a user certificate by c.CA, for exactly the
// login, at this time, from this address, with nothing in it that isn't
// understood. It returns the extensions the certificate carries. Proof that
// the client holds the key isn't its business: that is the SSH handshake's.
func (c UserCheck) Verify(key ssh.PublicKey) (Extensions, error) {
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return 0, errors.New("not a certificate")
	}
	if c.CA == nil {
		return 0, errors.New("no user CA is trusted")
	}
	if err := checkCert(cert, ssh.UserCert, c.Now, func(ca ssh.PublicKey) bool { return sameKey(ca, c.CA) }); err != nil {
		return 0, err
	}
	if c.Login == "" || !slices.Equal(cert.ValidPrincipals, []string{c.Login}) {
		return 0, fmt.Errorf("certificate is for %q, not for exactly %q", cert.ValidPrincipals, c.Login)
	}
	for name, value := range cert.CriticalOptions {
		if name != "source-address" {
			return 0, fmt.Errorf("critical option %q isn't supported", name)
		}
		if err := inSources(value, c.Source); err != nil {
			return 0, err
		}
	}
	var out Extensions
	for _, x := range extensionNames {
		if _, ok := cert.Extensions[x.name]; ok {
			out |= x.bit
		}
	}
	return out, nil
}

func inSources(list string, source netip.Addr) error {
	if !source.IsValid() {
		return errors.New("certificate is bound to addresses and the source is unknown")
	}
	source = source.Unmap().WithZone("")
	entries := strings.Split(list, ",")
	if len(entries) > maxSources {
		return fmt.Errorf("more than %d source addresses", maxSources)
	}
	for _, s := range entries {
		prefix, err := parsePrefix(s)
		if err != nil {
			return err
		}
		if prefix.Contains(source) {
			return nil
		}
	}
	return fmt.Errorf("certificate isn't valid from %s", source)
}

// checkCert holds what user and host certificates have in common: the kind,
// the CA, the CA's signature with an algorithm still trusted, the dates, no
// nesting. Principals and critical options are the caller's.
func checkCert(cert *ssh.Certificate, kind uint32, now time.Time, trusted func(ssh.PublicKey) bool) error {
	switch {
	case cert.CertType != kind:
		return fmt.Errorf("certificate is of type %s, not %s", certKind(cert.CertType), certKind(kind))
	case cert.Key == nil || cert.SignatureKey == nil || cert.Signature == nil:
		return errors.New("certificate is incomplete")
	}
	for _, key := range []ssh.PublicKey{cert.Key, cert.SignatureKey} {
		if _, nested := key.(*ssh.Certificate); nested {
			return errors.New("certificate is nested")
		}
		if err := pubkey.Check(key); err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
	}
	if !trusted(cert.SignatureKey) {
		return fmt.Errorf("certificate is signed by %s, which isn't the CA", Fingerprint(cert.SignatureKey))
	}
	if cert.Signature.Format == ssh.KeyAlgoRSA {
		return errors.New("certificate is signed with SHA-1")
	}
	// Any principal satisfies this check; the empty list is refused here.
	if len(cert.ValidPrincipals) == 0 {
		return errors.New("certificate has no principals")
	}
	for _, p := range cert.ValidPrincipals {
		if p == "" || strings.Contains(p, ",") {
			return fmt.Errorf("certificate has principal %q", p)
		}
	}
	options := make([]string, 0, len(cert.CriticalOptions))
	for name := range cert.CriticalOptions {
		options = append(options, name)
	}
	checker := ssh.CertChecker{SupportedCriticalOptions: options, Clock: func() time.Time { return now }}
	if err := checker.CheckCert(cert.ValidPrincipals[0], cert); err != nil {
		return dateError(cert, now, err)
	}
	return nil
}

// dateError says which date failed, in a form that helps to find a wrong clock.
func dateError(cert *ssh.Certificate, now time.Time, err error) error {
	at := now.UTC().Format(time.RFC3339)
	switch {
	case uint64(max(now.Unix(), 0)) < cert.ValidAfter:
		return fmt.Errorf("certificate isn't valid before %s (now is %s)", certTime(cert.ValidAfter), at)
	case cert.ValidBefore != ssh.CertTimeInfinity && uint64(max(now.Unix(), 0)) >= cert.ValidBefore:
		return fmt.Errorf("certificate expired at %s (now is %s)", certTime(cert.ValidBefore), at)
	}
	return fmt.Errorf("certificate: %w", err)
}

func certTime(seconds uint64) string {
	if seconds > 1<<40 { // beyond any date; a hostile value must not overflow
		return "never"
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339)
}

func certKind(kind uint32) string {
	switch kind {
	case ssh.UserCert:
		return "user"
	case ssh.HostCert:
		return "host"
	}
	return fmt.Sprint(kind)
}
