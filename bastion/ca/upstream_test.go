package ca

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

func verifier(t *testing.T, keys, cas []ssh.PublicKey) *HostVerifier {
	t.Helper()
	p := HostPins{Target: "home.tinker", Now: func() time.Time { return testkit.Noon }}
	for _, k := range keys {
		p.Keys = append(p.Keys, line(k))
	}
	for _, k := range cas {
		p.CAs = append(p.CAs, line(k))
	}
	v, err := NewHostVerifier(p)
	testkit.Check(t, err)
	return v
}

func TestHostVerifierNeedsPins(t *testing.T) {
	key := line(testkit.NewSigner(t).PublicKey())
	for name, tc := range map[string]struct {
		pins HostPins
		want string
	}{
		"nothing":     {HostPins{Target: "home.tinker"}, "home.tinker: neither a key nor a CA is listed"},
		"bad key":     {HostPins{Target: "home.tinker", Keys: []string{"x"}}, "host key of home.tinker: not a public key"},
		"bad CA":      {HostPins{Target: "home.tinker", CAs: []string{"x"}}, "host CA of home.tinker: not a public key"},
		"key is a CA": {HostPins{Target: "home.tinker", Keys: []string{key}, CAs: []string{key}}, "is both host key and host CA"},
	} {
		_, err := NewHostVerifier(tc.pins)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		refused(t, err, tc.want)
	}
}

func TestPinnedKey(t *testing.T) {
	pinned, spare, stranger := testkit.NewSigner(t).PublicKey(), testkit.NewSigner(t).PublicKey(), testkit.NewSigner(t).PublicKey()
	v := verifier(t, []ssh.PublicKey{pinned, spare}, nil)
	testkit.Check(t, v.Check("10.0.0.5:22", nil, pinned))
	testkit.Check(t, v.Check("10.0.0.5:22", nil, spare))
	// The key is pinned, whoever certified it besides.
	testkit.Check(t, v.Check("10.0.0.5:22", nil, certify(t, &ssh.Certificate{Key: pinned, CertType: ssh.HostCert, ValidPrincipals: []string{"x"}}, testkit.NewSigner(t))))
	err := v.Check("10.0.0.5:22", nil, stranger)
	var changed *HostKeyChanged
	if !errors.As(err, &changed) {
		t.Fatalf("got %v", err)
	}
	if changed.Target != "home.tinker" || changed.Got != Fingerprint(stranger) || !slices.Equal(changed.Want, []string{Fingerprint(pinned), Fingerprint(spare)}) || changed.Why != "" {
		t.Errorf("got %+v", changed)
	}
	refused(t, err, "host key of home.tinker is "+Fingerprint(stranger)+", expected "+Fingerprint(pinned)+" or "+Fingerprint(spare))
}

func TestHostCertificate(t *testing.T) {
	lab := testkit.NewSigner(t)
	v := verifier(t, nil, []ssh.PublicKey{lab.PublicKey()})
	for _, tc := range []struct {
		name    string
		address string
		change  func(*ssh.Certificate)
		by      ssh.Signer
		want    string
	}{
		{"address", "10.0.0.5:22", func(*ssh.Certificate) {}, lab, ""},
		{"address by name", "NODE7.tinker.example:2200", func(c *ssh.Certificate) { c.ValidPrincipals = []string{"node7.tinker.example"} }, lab, ""},
		{"full name", "10.9.9.9:22", func(c *ssh.Certificate) { c.ValidPrincipals = []string{"a", "home.tinker"} }, lab, ""},
		{"IPv6", "[2001:db8::5]:22", func(c *ssh.Certificate) { c.ValidPrincipals = []string{"2001:db8::5"} }, lab, ""},
		{"another host", "10.9.9.9:22", func(*ssh.Certificate) {}, lab, "not for 10.9.9.9 or home.tinker"},
		{"bare name", "10.9.9.9:22", func(c *ssh.Certificate) { c.ValidPrincipals = []string{"home"} }, lab, "not for"},
		{"wildcard", "10.9.9.9:22", func(c *ssh.Certificate) { c.ValidPrincipals = []string{"*"} }, lab, "not for"},
		{"no principals", "10.0.0.5:22", func(c *ssh.Certificate) { c.ValidPrincipals = nil }, lab, "no principals"},
		{"user certificate", "10.0.0.5:22", func(c *ssh.Certificate) { c.CertType = ssh.UserCert }, lab, "type user, not host"},
		{"another CA", "10.0.0.5:22", func(*ssh.Certificate) {}, testkit.NewSigner(t), "isn't the CA"},
		{"expired", "10.0.0.5:22", func(c *ssh.Certificate) { c.ValidBefore = unix(testkit.Noon) }, lab, "expired at"},
		{"critical option", "10.0.0.5:22", func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"x": ""} }, lab, "critical options"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cert := &ssh.Certificate{CertType: ssh.HostCert, ValidPrincipals: []string{"10.0.0.5"}, ValidBefore: ssh.CertTimeInfinity}
			tc.change(cert)
			err := v.Check(tc.address, nil, certify(t, cert, tc.by))
			if tc.want == "" {
				testkit.Check(t, err)
				return
			}
			var changed *HostKeyChanged
			if !errors.As(err, &changed) || !strings.Contains(changed.Why, tc.want) || changed.Want[0] != "CA "+Fingerprint(lab.PublicKey()) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := v.Check("10.0.0.5:22", nil, testkit.NewSigner(t).PublicKey()); err == nil {
		t.Error("a plain key was accepted where only a CA is listed")
	}
	if err := v.Check("10.0.0.5:22", nil, lab.PublicKey()); err == nil {
		t.Error("the CA's key was accepted as a host key")
	}
}

func TestAlgorithmsFollowThePins(t *testing.T) {
	rsaPublic, err := ssh.NewPublicKey(rsaKey(t, 2048).Public())
	testkit.Check(t, err)
	ed := testkit.NewSigner(t).PublicKey()
	for _, tc := range []struct {
		keys, cas []ssh.PublicKey
		want      string
	}{
		{[]ssh.PublicKey{ed}, nil, "ssh-ed25519"},
		{[]ssh.PublicKey{rsaPublic}, nil, "rsa-sha2-512 rsa-sha2-256"},
		{[]ssh.PublicKey{rsaPublic, ed}, nil, "ssh-ed25519 rsa-sha2-512 rsa-sha2-256"},
		{nil, []ssh.PublicKey{ed}, "ssh-ed25519-cert-v01@openssh.com ecdsa-sha2-nistp256-cert-v01@openssh.com ecdsa-sha2-nistp384-cert-v01@openssh.com ecdsa-sha2-nistp521-cert-v01@openssh.com rsa-sha2-512-cert-v01@openssh.com rsa-sha2-256-cert-v01@openssh.com"},
	} {
		if got := strings.Join(verifier(t, tc.keys, tc.cas).Algorithms(), " "); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
}

func FuzzHostCertificate(f *testing.F) {
	lab := testkit.NewSigner(f)
	good := certify(f, &ssh.Certificate{CertType: ssh.HostCert, ValidPrincipals: []string{"10.0.0.5"}, ValidBefore: ssh.CertTimeInfinity}, lab)
	f.Add(good.Marshal(), "10.0.0.5:22")
	v := &HostVerifier{target: "home.tinker", cas: []ssh.PublicKey{lab.PublicKey()}, now: func() time.Time { return testkit.Noon }}
	f.Fuzz(func(t *testing.T, wire []byte, address string) {
		key, err := ssh.ParsePublicKey(wire)
		if err != nil {
			return
		}
		if v.Check(address, nil, key) == nil && !slices.Equal(key.Marshal(), good.Marshal()) {
			t.Fatalf("forged: %x", wire)
		}
	})
}
