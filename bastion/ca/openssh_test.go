package ca

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// sshd is a real one, with this account as its only login.
type sshd struct {
	*testkit.SSHD
	t     *testing.T
	login string
	host  ssh.Signer // the plain host key
}

// startSSHD runs sshd with a host certificate by labCA for principals.
func startSSHD(t *testing.T, users *UserCA, labCA *HostCA, principals ...string) *sshd {
	t.Helper()
	dir := t.TempDir()
	hosts, err := OpenHostKeys(HostKeysOptions{Dir: dir, CA: labCA})
	testkit.Check(t, err)
	defer hosts.Close()
	signers, err := hosts.Signers(principals[0], principals[1:]...)
	testkit.Check(t, err)
	ca := filepath.Join(dir, "user_ca.pub")
	testkit.WriteFile(t, ca, line(users.PublicKey()))
	s := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: ca, HostKey: filepath.Join(dir, principals[0]), HostCertificate: testkit.Authorized(signers[0].PublicKey())})
	return &sshd{SSHD: s, t: t, login: testkit.Me(t), host: signers[1]}
}

func (s *sshd) enter(signer ssh.Signer, v *HostVerifier) error {
	s.t.Helper()
	client, err := ssh.Dial("tcp", s.Addr(), &ssh.ClientConfig{
		User: s.login, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: v.Check, HostKeyAlgorithms: v.Algorithms(),
	})
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	testkit.Check(s.t, err)
	out, err := session.Output("echo in")
	if err == nil && string(out) != "in\n" {
		s.t.Errorf("got %q", out)
	}
	return err
}

// A real sshd takes what UserCA issues and nothing that another key signed.
func TestRealSSHD(t *testing.T) {
	users, lab := userCA(t), hostCA(t)
	s := startSSHD(t, users, lab, "home.tinker")
	pinned, err := NewHostVerifier(HostPins{Target: "home.tinker", Keys: []string{line(s.host.PublicKey())}})
	testkit.Check(t, err)
	byCA, err := NewHostVerifier(HostPins{Target: "home.tinker", CAs: []string{line(lab.PublicKey())}})
	testkit.Check(t, err)
	issue := func(r UserRequest) ssh.Signer {
		t.Helper()
		if r.Now.IsZero() {
			r.Now = time.Now()
		}
		signer, err := issueOne(users, r)
		testkit.Check(t, err)
		return signer
	}
	self := func(cert *ssh.Certificate, by ssh.Signer) ssh.Signer {
		key := testkit.NewSigner(t)
		cert.Key, cert.ValidBefore, cert.ValidPrincipals = key.PublicKey(), ssh.CertTimeInfinity, []string{s.login}
		signer, err := ssh.NewCertSigner(certify(t, cert, by), key)
		testkit.Check(t, err)
		return signer
	}
	for _, tc := range []struct {
		name   string
		signer ssh.Signer
		ok     bool
	}{
		{"issued", issue(UserRequest{Principal: s.login, KeyID: KeyID("alice", "01J"), Extensions: allExtensions}), true},
		{"from here", issue(UserRequest{Principal: s.login, SourceAddress: networks(t, "127.0.0.0/8", "::1")}), true},
		{"from elsewhere", issue(UserRequest{Principal: s.login, SourceAddress: networks(t, "192.0.2.0/24")}), false},
		{"another login", issue(UserRequest{Principal: s.login + "x"}), false},
		{"expired", issue(UserRequest{Principal: s.login, Now: time.Now().Add(-time.Hour)}), false},
		{"user certificate by the host CA", self(&ssh.Certificate{CertType: ssh.UserCert}, lab.authority.signer), false},
		{"host certificate by the user CA", self(&ssh.Certificate{CertType: ssh.HostCert}, users.authority.signer), false},
		{"host certificate by the host CA", self(&ssh.Certificate{CertType: ssh.HostCert}, lab.authority.signer), false},
		{"the user CA's own key", users.authority.signer, false},
		{"the host CA's own key", lab.authority.signer, false},
		{"the host's own key", s.host, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, v := range map[string]*HostVerifier{"pinned": pinned, "by CA": byCA} {
				if err := s.enter(tc.signer, v); (err == nil) != tc.ok {
					t.Errorf("%s: error %v, want success %v", name, err, tc.ok)
				}
			}
		})
	}
	t.Run("host key of another machine", func(t *testing.T) {
		for _, pins := range []HostPins{
			{Target: "home.tinker", Keys: []string{line(testkit.NewSigner(t).PublicKey())}},
			{Target: "home.tinker", CAs: []string{line(testkit.NewSigner(t).PublicKey())}},
			{Target: "home.tinker", CAs: []string{line(users.PublicKey())}},
			{Target: "desktop.tinker", CAs: []string{line(lab.PublicKey())}},
		} {
			v, err := NewHostVerifier(pins)
			testkit.Check(t, err)
			err = s.enter(issue(UserRequest{Principal: s.login}), v)
			var changed *HostKeyChanged
			if !errors.As(err, &changed) {
				t.Errorf("%+v: got %v", pins, err)
			}
		}
	})
}

// The stock client trusts a name by the line that KnownHostsCA makes, and
// refuses when the certificate is by the user CA's key instead.
func TestRealClientTrustsTheLine(t *testing.T) {
	users, front := userCA(t), hostCA(t)
	s := startSSHD(t, users, front, "home.tinker", "home")
	good, err := KnownHostsCA(front.PublicKey(), "home", "*.tinker", "entry")
	testkit.Check(t, err)
	wrong, err := KnownHostsCA(users.PublicKey(), "home", "*.tinker", "entry")
	testkit.Check(t, err)
	for _, tc := range []struct {
		name, alias, known string
		ok                 bool
	}{
		{"full name", "home.tinker", good, true},
		{"short name", "home", good, true},
		{"a name the certificate lacks", "entry", good, false},
		{"another name of the lab", "desktop.tinker", good, false},
		{"the user CA's key", "home", wrong, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			known := filepath.Join(t.TempDir(), "known_hosts")
			testkit.Check(t, os.WriteFile(known, []byte(tc.known), 0o600))
			out, err := exec.Command("ssh", "-F", "none", "-o", "UserKnownHostsFile="+known, "-o", "GlobalKnownHostsFile=/dev/null",
				"-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias="+tc.alias, "-o", "BatchMode=yes", "-o", "IdentityFile=none",
				"-o", "IdentityAgent=none", "-p", strconv.Itoa(s.Port), s.login+"@127.0.0.1", "true").CombinedOutput()
			// Nobody can log in without a key; how far the client comes tells
			// whether it trusted the host.
			if err == nil || strings.Contains(string(out), "Permission denied") != tc.ok || strings.Contains(string(out), "Host key verification failed") == tc.ok {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
