package ca

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func refused(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want an error with %q", err, text)
	}
}

// authority makes a CA file and returns it with its path.
func authority(t testing.TB, name string) (*Authority, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	a, err := GenerateFile(path, name)
	testkit.Check(t, err)
	return a, path
}

func userCA(t testing.TB) *UserCA {
	t.Helper()
	a, _ := authority(t, "user_ca")
	u, err := NewUserCA(a)
	testkit.Check(t, err)
	return u
}

func hostCA(t testing.TB) *HostCA {
	t.Helper()
	a, _ := authority(t, "host_ca")
	h, err := NewHostCA(a)
	testkit.Check(t, err)
	return h
}

// certify signs what no CA of this package would.
func certify(t testing.TB, cert *ssh.Certificate, by ssh.Signer) *ssh.Certificate {
	t.Helper()
	if cert.Key == nil {
		cert.Key = testkit.NewSigner(t).PublicKey()
	}
	testkit.Check(t, cert.SignCert(rand.Reader, by))
	return cert
}

func line(key ssh.PublicKey) string { return string(ssh.MarshalAuthorizedKey(key)) }

func writeKey(t testing.TB, path string, private any, passphrase string) {
	t.Helper()
	var block *pem.Block
	var err error
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "test")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "test", []byte(passphrase))
	}
	testkit.Check(t, err)
	testkit.Check(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
}

func networks(t testing.TB, texts ...string) []netip.Prefix {
	t.Helper()
	var out []netip.Prefix
	for _, s := range texts {
		p, err := parsePrefix(s)
		testkit.Check(t, err)
		out = append(out, p)
	}
	return out
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	testkit.Check(t, err)
	return key
}

// issueOne is Issue of a CA on which no other is to follow.
func issueOne(u *UserCA, r UserRequest) (ssh.Signer, error) {
	all, err := u.Issue(r)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%d certificates", len(all))
	}
	return all[0].Signer, nil
}
