package demohome

import (
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
	"entry/e2e/testkit"
)

func TestLogin(t *testing.T) {
	w := start(t)
	now := time.Now()
	good := func() *ssh.Certificate {
		return &ssh.Certificate{
			CertType: ssh.UserCert, ValidPrincipals: []string{"alice"},
			ValidAfter: uint64(now.Add(-time.Minute).Unix()), ValidBefore: uint64(now.Add(time.Minute).Unix()),
		}
	}
	// The user CA's own key, to sign what UserCA.Issue never would.
	users := authorityKey(t, filepath.Join(w.dir, "user_ca"))
	stranger := testkit.NewSigner(t)
	for _, tc := range []struct {
		name  string
		login string
		with  func() ssh.Signer
		ok    bool
	}{
		{"issued certificate", "alice", func() ssh.Signer { return w.issue(ca.UserRequest{Principal: "alice"}) }, true},
		{"from here", "alice", func() ssh.Signer {
			return w.issue(ca.UserRequest{Principal: "alice", SourceAddress: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		}, true},
		{"from elsewhere", "alice", func() ssh.Signer {
			return w.issue(ca.UserRequest{Principal: "alice", SourceAddress: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		}, false},
		{"another login", "bob", func() ssh.Signer { return w.issue(ca.UserRequest{Principal: "alice"}) }, false},
		{"expired", "alice", func() ssh.Signer {
			return w.issue(ca.UserRequest{Principal: "alice", Now: now.Add(-6 * time.Minute)})
		}, false},
		{"not yet", "alice", func() ssh.Signer {
			return w.issue(ca.UserRequest{Principal: "alice", Now: now.Add(6 * time.Minute)})
		}, false},
		{"plain key", "alice", func() ssh.Signer { return stranger }, false},
		{"the CA's own key", "alice", func() ssh.Signer { return users }, false},
		{"another CA", "alice", func() ssh.Signer { return certify(t, good(), stranger) }, false},
		{"no principals", "alice", func() ssh.Signer { c := good(); c.ValidPrincipals = nil; return certify(t, c, users) }, false},
		{"two principals", "alice", func() ssh.Signer {
			c := good()
			c.ValidPrincipals = []string{"alice", "bob"}
			return certify(t, c, users)
		}, false},
		{"host certificate", "alice", func() ssh.Signer { c := good(); c.CertType = ssh.HostCert; return certify(t, c, users) }, false},
		{"unknown critical option", "alice", func() ssh.Signer {
			c := good()
			c.CriticalOptions = map[string]string{"force-command": "true"}
			return certify(t, c, users)
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, err := w.dial(tc.login, tc.with())
			if (err == nil) != tc.ok {
				t.Fatalf("error %v, want success %v", err, tc.ok)
			}
			if err == nil {
				if got := string(client.ServerVersion()); got != "SSH-2.0-OpenSSH_9.9 entry-demo-home" {
					t.Errorf("version %q", got)
				}
				client.Close()
			}
		})
	}
}

// The host CA is another key with another purpose: what it signs opens nothing
// here, of whatever kind.
func TestHostCAOpensNothing(t *testing.T) {
	w := start(t)
	path := filepath.Join(w.dir, "host_ca")
	authority, err := ca.GenerateFile(path, "host CA")
	testkit.Check(t, err)
	if _, err := ca.NewHostCA(authority); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []uint32{ssh.UserCert, ssh.HostCert} {
		cert := &ssh.Certificate{CertType: kind, ValidPrincipals: []string{"alice"}, ValidBefore: ssh.CertTimeInfinity}
		if client, err := w.dial("alice", certify(t, cert, authorityKey(t, path))); err == nil {
			client.Close()
			t.Fatalf("a certificate of kind %d by the host CA logged in", kind)
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	w := start(t)
	for name, auth := range map[string][]ssh.AuthMethod{
		"none":                 nil,
		"password":             {ssh.Password("x")},
		"keyboard-interactive": {ssh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil })},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := ssh.Dial("tcp", w.addr.String(), &ssh.ClientConfig{User: "alice", Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
			if err == nil {
				client.Close()
				t.Fatal("logged in")
			}
		})
	}
}

func TestServeRefusesOtherThanLoopback(t *testing.T) {
	w := start(t)
	l, err := net.Listen("tcp", "0.0.0.0:0")
	testkit.Check(t, err)
	if err := w.server.Serve(l); !errors.Is(err, ErrNotLoopback) {
		t.Fatalf("got %v", err)
	}
}

func TestNewChecksOptions(t *testing.T) {
	key := testkit.NewSigner(t)
	for name, o := range map[string]Options{
		"no host key": {UserCA: key.PublicKey(), Home: "."},
		"no user CA":  {HostKey: key, Home: "."},
		"no home":     {HostKey: key, UserCA: key.PublicKey(), Home: filepath.Join(t.TempDir(), "absent")},
		"a file":      {HostKey: key, UserCA: key.PublicKey(), Home: "doc.go"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// certify signs cert over a fresh key with any signer.
func certify(t *testing.T, cert *ssh.Certificate, by ssh.Signer) ssh.Signer {
	t.Helper()
	key := testkit.NewSigner(t)
	cert.Key = key.PublicKey()
	testkit.Check(t, cert.SignCert(rand.Reader, by))
	signer, err := ssh.NewCertSigner(cert, key)
	testkit.Check(t, err)
	return signer
}
