package ca

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

func TestIssue(t *testing.T) {
	u := userCA(t)
	signer, err := issueOne(u, UserRequest{
		Principal: "alice", KeyID: KeyID("alice", "01JABC"), Now: testkit.Noon,
		SourceAddress: networks(t, "192.0.2.7", "198.51.100.0/24", "2001:db8::/32"),
		Extensions:    PermitPTY | PermitAgentForwarding,
	})
	testkit.Check(t, err)
	cert := signer.PublicKey().(*ssh.Certificate)
	if cert.CertType != ssh.UserCert || cert.Serial == 0 || cert.KeyId != "entry user=alice session=01JABC" {
		t.Errorf("type %d, serial %d, key ID %q", cert.CertType, cert.Serial, cert.KeyId)
	}
	if !slices.Equal(cert.ValidPrincipals, []string{"alice"}) {
		t.Errorf("principals %q", cert.ValidPrincipals)
	}
	if cert.ValidAfter != uint64(testkit.Noon.Unix()-300) || cert.ValidBefore != uint64(testkit.Noon.Unix()+300) {
		t.Errorf("valid %d to %d", cert.ValidAfter, cert.ValidBefore)
	}
	if want := map[string]string{"source-address": "192.0.2.7/32,198.51.100.0/24,2001:db8::/32"}; !maps.Equal(cert.CriticalOptions, want) {
		t.Errorf("critical options %q", cert.CriticalOptions)
	}
	if want := map[string]string{"permit-pty": "", "permit-agent-forwarding": ""}; !maps.Equal(cert.Extensions, want) {
		t.Errorf("extensions %q", cert.Extensions)
	}
	other, err := issueOne(u, UserRequest{Principal: "alice", Now: testkit.Noon})
	testkit.Check(t, err)
	second := other.PublicKey().(*ssh.Certificate)
	if sameKey(second.Key, cert.Key) || second.Serial == cert.Serial {
		t.Error("two certificates share a key or a serial")
	}
	if len(second.Extensions) != 0 || len(second.CriticalOptions) != 0 {
		t.Errorf("asked for nothing, got %q and %q", second.Extensions, second.CriticalOptions)
	}
	sig, err := signer.Sign(rand.Reader, []byte("data"))
	testkit.Check(t, err)
	testkit.Check(t, cert.Key.Verify([]byte("data"), sig))
}

func TestIssueRefuses(t *testing.T) {
	u := userCA(t)
	for _, p := range []string{"", "alice,root", "alice root", "alice\n", "alice\x00", "ålice", "*", "al?ce", "!alice", "-oProxyCommand", "a\x1b[m", strings.Repeat("a", maxPrincipal+1)} {
		if _, err := issueOne(u, UserRequest{Principal: p, Now: testkit.Noon}); err == nil {
			t.Errorf("principal %q was accepted", p)
		}
	}
	for _, s := range []string{"", "home", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8,0.0.0.0/0", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.1 "} {
		if _, err := parsePrefix(s); err == nil {
			t.Errorf("source address %q was read", s)
		}
	}
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("10.0.0.1/8"), netip.MustParsePrefix("::ffff:10.0.0.0/104"), netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33)} {
		if _, err := issueOne(u, UserRequest{Principal: "alice", Now: testkit.Noon, SourceAddress: []netip.Prefix{p}}); err == nil {
			t.Errorf("source address %s was accepted", p)
		}
	}
	_, err := issueOne(u, UserRequest{Principal: "alice"})
	refused(t, err, "no time")
	_, err = issueOne(u, UserRequest{Principal: "alice", Now: testkit.Noon, Extensions: 1 << 7})
	refused(t, err, "unknown extensions")
	_, err = issueOne(u, UserRequest{Principal: "alice", Now: testkit.Noon, SourceAddress: slices.Repeat(networks(t, "10.0.0.1"), maxSources+1)})
	refused(t, err, "more than")
}

func TestKeyIDIsBoundedAndEscaped(t *testing.T) {
	u := userCA(t)
	for in, want := range map[string]string{
		"a\nb\x1b[2J":               `a\nb\x1b[2J`,
		"\u202eevil":                `\u202eevil`,
		strings.Repeat("x", 5000):   strings.Repeat("x", maxKeyID),
		strings.Repeat("\x00", 100): strings.Repeat(`\x00`, maxKeyID/4),
	} {
		signer, err := issueOne(u, UserRequest{Principal: "alice", KeyID: in, Now: testkit.Noon})
		testkit.Check(t, err)
		if got := signer.PublicKey().(*ssh.Certificate).KeyId; got != want {
			t.Errorf("%.20q became %q", in, got)
		}
	}
}

func TestUserCheck(t *testing.T) {
	caKey := testkit.NewSigner(t)
	good := func() *ssh.Certificate {
		return &ssh.Certificate{
			CertType: ssh.UserCert, ValidPrincipals: []string{"alice"},
			ValidAfter: uint64(testkit.Noon.Unix() - 300), ValidBefore: uint64(testkit.Noon.Unix() + 300),
			Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": "", "permit-user-rc": ""}},
		}
	}
	for _, tc := range []struct {
		name string
		make func() ssh.PublicKey
		want string // "" means accepted
	}{
		{"good", func() ssh.PublicKey { return certify(t, good(), caKey) }, ""},
		{"plain key", func() ssh.PublicKey { return testkit.NewSigner(t).PublicKey() }, "not a certificate"},
		{"the CA itself", func() ssh.PublicKey { return caKey.PublicKey() }, "not a certificate"},
		{"another CA", func() ssh.PublicKey { return certify(t, good(), testkit.NewSigner(t)) }, "isn't the CA"},
		{"host certificate", func() ssh.PublicKey { c := good(); c.CertType = ssh.HostCert; return certify(t, c, caKey) }, "type host, not user"},
		{"unknown type", func() ssh.PublicKey { c := good(); c.CertType = 7; return certify(t, c, caKey) }, "type 7"},
		{"no principals", func() ssh.PublicKey { c := good(); c.ValidPrincipals = nil; return certify(t, c, caKey) }, "no principals"},
		{"empty principal", func() ssh.PublicKey { c := good(); c.ValidPrincipals = []string{""}; return certify(t, c, caKey) }, `principal ""`},
		{"comma", func() ssh.PublicKey {
			c := good()
			c.ValidPrincipals = []string{"alice,root"}
			return certify(t, c, caKey)
		}, `principal "alice,root"`},
		{"another login", func() ssh.PublicKey { c := good(); c.ValidPrincipals = []string{"bob"}; return certify(t, c, caKey) }, "not for exactly"},
		{"two logins", func() ssh.PublicKey {
			c := good()
			c.ValidPrincipals = []string{"alice", "bob"}
			return certify(t, c, caKey)
		}, "not for exactly"},
		{"expired", func() ssh.PublicKey {
			c := good()
			c.ValidBefore = uint64(testkit.Noon.Unix())
			return certify(t, c, caKey)
		}, "expired at 2026-03-01T12:00:00Z"},
		{"not yet", func() ssh.PublicKey {
			c := good()
			c.ValidAfter = uint64(testkit.Noon.Unix() + 1)
			return certify(t, c, caKey)
		}, "isn't valid before"},
		{"absurd dates", func() ssh.PublicKey {
			c := good()
			c.ValidAfter, c.ValidBefore = 1<<63, 1<<63+1
			return certify(t, c, caKey)
		}, "isn't valid before never"},
		{"unknown critical option", func() ssh.PublicKey {
			c := good()
			c.CriticalOptions = map[string]string{"verify-required": ""}
			return certify(t, c, caKey)
		}, "isn't supported"},
		{"elsewhere", func() ssh.PublicKey {
			c := good()
			c.CriticalOptions = map[string]string{"source-address": "192.0.2.0/24"}
			return certify(t, c, caKey)
		}, "isn't valid from 10.0.0.9"},
		{"here", func() ssh.PublicKey {
			c := good()
			c.CriticalOptions = map[string]string{"source-address": "192.0.2.0/24,10.0.0.0/8"}
			return certify(t, c, caKey)
		}, ""},
		{"empty source list", func() ssh.PublicKey {
			c := good()
			c.CriticalOptions = map[string]string{"source-address": ""}
			return certify(t, c, caKey)
		}, "neither"},
		{"nested", func() ssh.PublicKey {
			c := certify(t, good(), caKey)
			c.SignatureKey = certify(t, good(), caKey)
			return c
		}, "nested"},
		{"nested the other way", func() ssh.PublicKey {
			c := certify(t, good(), caKey)
			c.Key = certify(t, good(), caKey)
			return c
		}, "nested"},
		{"changed after signing", func() ssh.PublicKey {
			c := certify(t, good(), caKey)
			c.Serial++
			return c
		}, "signature"},
		{"unsigned", func() ssh.PublicKey { c := certify(t, good(), caKey); c.Signature = nil; return c }, "incomplete"},
		{"weak key", func() ssh.PublicKey {
			c := good()
			key, err := ssh.NewPublicKey(rsaKey(t, 1024).Public())
			testkit.Check(t, err)
			c.Key = key
			return certify(t, c, caKey)
		}, "RSA key of 1024 bits"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ext, err := UserCheck{CA: caKey.PublicKey(), Login: "alice", Source: netip.MustParseAddr("10.0.0.9"), Now: testkit.Noon}.Verify(tc.make())
			if tc.want != "" {
				refused(t, err, tc.want)
				return
			}
			testkit.Check(t, err)
			if ext != PermitPTY {
				t.Errorf("extensions %s", ext)
			}
		})
	}
}

func TestSHA1SignatureIsRefused(t *testing.T) {
	signer, err := ssh.NewSignerFromKey(rsaKey(t, 2048))
	testkit.Check(t, err)
	old, err := ssh.NewSignerWithAlgorithms(signer.(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
	testkit.Check(t, err)
	for by, want := range map[ssh.Signer]string{signer: "", old: "SHA-1"} {
		cert := certify(t, &ssh.Certificate{CertType: ssh.UserCert, ValidPrincipals: []string{"alice"}, ValidBefore: ssh.CertTimeInfinity}, by)
		_, err = UserCheck{CA: signer.PublicKey(), Login: "alice", Now: testkit.Noon}.Verify(cert)
		if want == "" {
			testkit.Check(t, err)
		} else {
			refused(t, err, want)
		}
	}
}

// Each key of the two CAs, in each certificate kind, against each check: only
// a user certificate by the user CA logs in, only a host certificate by the
// host CA is a host's.
func TestKeysAreRefusedForAnyOtherUse(t *testing.T) {
	users, hosts, labs := testkit.NewSigner(t), testkit.NewSigner(t), testkit.NewSigner(t)
	target := &HostVerifier{target: "home.tinker", cas: []ssh.PublicKey{labs.PublicKey()}, now: func() time.Time { return testkit.Noon }}
	front := &HostCA{key: hosts.PublicKey()}
	for name, by := range map[string]ssh.Signer{"user CA": users, "host CA": hosts, "target's host CA": labs} {
		for _, kind := range []uint32{ssh.UserCert, ssh.HostCert} {
			cert := certify(t, &ssh.Certificate{CertType: kind, ValidPrincipals: []string{"home.tinker"}, ValidBefore: ssh.CertTimeInfinity}, by)
			what := name + ", " + certKind(kind) + " certificate"
			_, err := UserCheck{CA: users.PublicKey(), Login: "home.tinker", Now: testkit.Noon}.Verify(cert)
			if ok := by == users && kind == ssh.UserCert; (err == nil) != ok {
				t.Errorf("%s as a user's: %v", what, err)
			}
			err = front.verify(cert, cert.Key, []string{"home.tinker"}, testkit.Noon)
			if ok := by == hosts && kind == ssh.HostCert; (err == nil) != ok {
				t.Errorf("%s as entry's host certificate: %v", what, err)
			}
			err = target.Check("10.0.0.5:22", nil, cert)
			var changed *HostKeyChanged
			if ok := by == labs && kind == ssh.HostCert; (err == nil) != ok || err != nil && !errors.As(err, &changed) {
				t.Errorf("%s as the target's host certificate: %v", what, err)
			}
		}
		if err := target.Check("10.0.0.5:22", nil, by.PublicKey()); err == nil {
			t.Errorf("%s as a plain host key was accepted", name)
		}
	}
}

func TestExtensionsString(t *testing.T) {
	for e, want := range map[Extensions]string{
		0: "none", PermitPTY: "permit-pty",
		allExtensions: "permit-pty, permit-port-forwarding, permit-agent-forwarding, permit-X11-forwarding",
	} {
		if got := e.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzPrincipal(f *testing.F) {
	f.Add("alice")
	f.Add("alice,bob")
	f.Fuzz(func(t *testing.T, p string) {
		if checkPrincipal(p) == nil && (p == "" || strings.ContainsAny(p, ", \t\r\n\x00*?!\x1b")) {
			t.Fatalf("%q was accepted", p)
		}
	})
}

func FuzzUserCheck(f *testing.F) {
	u := userCA(f)
	signer, err := issueOne(u, UserRequest{Principal: "alice", Now: testkit.Noon, SourceAddress: networks(f, "10.0.0.0/8")})
	testkit.Check(f, err)
	good := signer.PublicKey().Marshal()
	f.Add(good)
	f.Fuzz(func(t *testing.T, wire []byte) {
		key, err := ssh.ParsePublicKey(wire)
		if err != nil {
			return
		}
		c := UserCheck{CA: u.PublicKey(), Login: "alice", Source: netip.MustParseAddr("10.0.0.9"), Now: testkit.Noon}
		if _, err := c.Verify(key); err == nil && !slices.Equal(key.Marshal(), good) {
			t.Fatalf("forged: %x", wire)
		}
	})
}

func FuzzSourceAddress(f *testing.F) {
	f.Add("10.0.0.0/8,::/0")
	f.Fuzz(func(t *testing.T, list string) {
		if err := inSources(list, netip.MustParseAddr("10.0.0.9")); err == nil && !strings.ContainsAny(list, ".:") {
			t.Fatalf("%q admits an address", list)
		}
	})
}
