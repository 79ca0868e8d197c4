package ca

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

func openKeys(t *testing.T, dir string, ca *HostCA, c *testkit.Clock) *HostKeys {
	t.Helper()
	h, err := OpenHostKeys(HostKeysOptions{Dir: dir, CA: ca, Validity: 24 * time.Hour, Now: c.Now})
	testkit.Check(t, err)
	t.Cleanup(func() { testkit.Check(t, h.Close()) })
	return h
}

func certOf(t *testing.T, signers []ssh.Signer) *ssh.Certificate {
	t.Helper()
	if len(signers) != 2 {
		t.Fatalf("%d signers", len(signers))
	}
	cert, ok := signers[0].PublicKey().(*ssh.Certificate)
	if !ok || !sameKey(cert.Key, signers[1].PublicKey()) {
		t.Fatal("the first isn't a certificate over the second")
	}
	return cert
}

func TestSigners(t *testing.T) {
	dir, ca, c := t.TempDir(), hostCA(t), testkit.NewClock(testkit.Noon)
	h := openKeys(t, dir, ca, c)
	signers, err := h.Signers("home.tinker", "home", "home")
	testkit.Check(t, err)
	cert := certOf(t, signers)
	if strings.Join(cert.ValidPrincipals, " ") != "home.tinker home" || cert.CertType != ssh.HostCert || len(cert.Extensions)+len(cert.CriticalOptions) != 0 {
		t.Errorf("got %+v", cert)
	}
	if cert.ValidAfter != unix(testkit.Noon.Add(-time.Hour)) || cert.ValidBefore != unix(testkit.Noon.Add(24*time.Hour)) {
		t.Errorf("valid %d to %d", cert.ValidAfter, cert.ValidBefore)
	}
	info, err := os.Stat(filepath.Join(dir, "home.tinker"))
	testkit.Check(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	public, err := LoadPublic(filepath.Join(dir, "home.tinker.pub"))
	testkit.Check(t, err)
	again, err := h.PublicKey("home.tinker")
	testkit.Check(t, err)
	if !sameKey(public, signers[1].PublicKey()) || !sameKey(again, public) {
		t.Error("the public key differs")
	}

	// The same certificate for half its life, another one after it, over the
	// same key; also after a restart and a clock set back.
	for at, same := range map[time.Duration]bool{time.Hour: true, 11 * time.Hour: true} {
		c.Set(testkit.Noon.Add(at))
		signers, err := h.Signers("home.tinker", "home")
		testkit.Check(t, err)
		if (certOf(t, signers).Serial == cert.Serial) != same {
			t.Errorf("after %s: same certificate %v", at, !same)
		}
	}
	for _, at := range []time.Duration{13 * time.Hour, 1000 * time.Hour, -2000 * time.Hour} {
		c.Set(testkit.Noon.Add(at))
		signers, err := h.Signers("home.tinker", "home")
		testkit.Check(t, err)
		renewed := certOf(t, signers)
		if renewed.Serial == cert.Serial || !sameKey(renewed.Key, cert.Key) {
			t.Errorf("after %s: serial %d", at, renewed.Serial)
		}
		testkit.Check(t, ca.verify(renewed, cert.Key, []string{"home"}, c.Now()))
	}
	signers, err = openKeys(t, dir, ca, c).Signers("home.tinker", "home")
	testkit.Check(t, err)
	if !sameKey(certOf(t, signers).Key, cert.Key) {
		t.Error("another key after a restart")
	}
}

// Many goroutines of several "processes" that meet a new name agree on its key.
func TestSignersRace(t *testing.T) {
	dir, ca, c := t.TempDir(), hostCA(t), testkit.NewClock(testkit.Noon)
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range 4 {
		h := openKeys(t, dir, ca, c)
		for range 8 {
			all.Go(func() {
				<-begin
				signers, err := h.Signers("entry")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[Fingerprint(signers[1].PublicKey())]++
				mu.Unlock()
			})
		}
	}
	close(begin)
	all.Wait()
	if len(seen) != 1 {
		t.Errorf("keys %v", seen)
	}
	entries, err := os.ReadDir(dir)
	testkit.Check(t, err)
	if len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestNames(t *testing.T) {
	h := openKeys(t, t.TempDir(), hostCA(t), testkit.NewClock(testkit.Noon))
	for _, bad := range []string{
		"", ".", "..", "../up", "a/b", "Home", "home.", ".home", "a..b", "-a", "a-", "a.-b", "a_b", "a b", "å", "a\x00",
		"home.pub", "x~y", strings.Repeat("a", maxName+1),
	} {
		if _, err := h.Signers(bad); err == nil {
			t.Errorf("name %q was accepted", bad)
		}
		if _, err := h.Signers("home", bad); err == nil {
			t.Errorf("alias %q was accepted", bad)
		}
		if _, err := h.PublicKey(bad); err == nil {
			t.Errorf("key of %q was made", bad)
		}
	}
}

func TestDamagedHostKeyIsNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	h := openKeys(t, dir, hostCA(t), testkit.NewClock(testkit.Noon))
	path := filepath.Join(dir, "home")
	testkit.Check(t, os.WriteFile(path, nil, 0o600))
	_, err := h.Signers("home")
	refused(t, err, "load key "+path)
	testkit.Check(t, os.Chmod(path, 0o644))
	_, err = h.Signers("home")
	if !errors.Is(err, ErrExposed) {
		t.Errorf("got %v", err)
	}
	data, err := os.ReadFile(path)
	testkit.Check(t, err)
	if len(data) != 0 {
		t.Error("the file was replaced")
	}
	testkit.Check(t, os.Symlink("/etc/hostname", filepath.Join(dir, "out")))
	if _, err := h.Signers("out"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link out of the folder: %v", err)
	}
}

func TestOfflineCA(t *testing.T) {
	_, caPath := authority(t, "host_ca")
	_, otherCA := authority(t, "other_ca")
	public, err := LoadPublic(caPath + ".pub")
	testkit.Check(t, err)
	offline, err := offlineHostCA(public)
	testkit.Check(t, err)
	if offline.Online() || offline.Origin() != "offline" {
		t.Error("the CA says that it can sign")
	}
	dir, c := t.TempDir(), testkit.NewClock(time.Now())
	h := openKeys(t, dir, offline, c)
	_, err = h.Signers("home.tinker", "home")
	refused(t, err, "there is none; sign home.tinker.pub where the host CA is: ssh-keygen -s HOST_CA -h -I home.tinker -n home.tinker,home -V -1h:+52w home.tinker.pub, and put home.tinker-cert.pub beside it")

	keygen := func(ca string, args ...string) {
		t.Helper()
		all := append([]string{"-q", "-s", ca, "-I", "test"}, args...)
		out, err := exec.Command("ssh-keygen", append(all, filepath.Join(dir, "home.tinker.pub"))...).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	for _, tc := range []struct {
		name, ca string
		args     []string
		want     string
	}{
		{"another CA", otherCA, []string{"-h", "-n", "home.tinker,home"}, "isn't the CA"},
		{"a user certificate", caPath, []string{"-n", "home.tinker,home"}, "type user, not host"},
		{"no principals", caPath, []string{"-h"}, "no principals"},
		{"a principal is missing", caPath, []string{"-h", "-n", "home.tinker"}, "lacks the principal home (it has home.tinker)"},
		{"expired", caPath, []string{"-h", "-n", "home.tinker,home", "-V", "20200101:20210101"}, "expired at 20"},
		{"good", caPath, []string{"-h", "-n", "home.tinker,home", "-V", "-1h:+1w"}, ""},
	} {
		keygen(tc.ca, tc.args...)
		signers, err := h.Signers("home.tinker", "home")
		if tc.want != "" {
			refused(t, err, tc.want)
			refused(t, err, "ssh-keygen -s")
			continue
		}
		testkit.Check(t, err)
		certOf(t, signers)
	}
	c.Set(time.Now().Add(30 * 24 * time.Hour))
	_, err = h.Signers("home.tinker", "home")
	refused(t, err, "expired at")

	// A certificate over another key.
	c.Set(time.Now())
	testkit.Check(t, os.Remove(filepath.Join(dir, "home.tinker")))
	testkit.Check(t, os.Remove(filepath.Join(dir, "home.tinker.pub")))
	h = openKeys(t, dir, offline, c)
	_, err = h.Signers("home.tinker", "home")
	refused(t, err, "certificate is over key")
	testkit.Check(t, os.WriteFile(filepath.Join(dir, "home.tinker-cert.pub"), []byte(line(public)), 0o600))
	_, err = h.Signers("home.tinker", "home")
	refused(t, err, "not a certificate")
}

// A CA whose agent went away costs nothing while the last certificate is good.
func TestUnreachableCA(t *testing.T) {
	a := &Authority{signer: &failing{Signer: testkit.NewSigner(t)}, origin: "test"}
	ca, err := NewHostCA(a)
	testkit.Check(t, err)
	c := testkit.NewClock(testkit.Noon)
	h := openKeys(t, t.TempDir(), ca, c)
	first, err := h.Signers("home")
	testkit.Check(t, err)
	a.signer.(*failing).broken = true
	c.Set(testkit.Noon.Add(20 * time.Hour))
	later, err := h.Signers("home")
	testkit.Check(t, err)
	if certOf(t, first).Serial != certOf(t, later).Serial {
		t.Error("a certificate came from nowhere")
	}
	c.Set(testkit.Noon.Add(25 * time.Hour))
	_, err = h.Signers("home")
	refused(t, err, "host certificate for home: broken")
}

func FuzzHostCert(f *testing.F) {
	f.Add([]byte(line(certify(f, &ssh.Certificate{CertType: ssh.HostCert, ValidPrincipals: []string{"home"}}, testkit.NewSigner(f)))))
	ca := hostCA(f)
	key := testkit.NewSigner(f).PublicKey()
	f.Fuzz(func(t *testing.T, data []byte) {
		if cert, err := parseHostCert(data); err == nil && ca.verify(cert, key, []string{"home"}, testkit.Noon) == nil {
			t.Fatal("forged")
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("home.tinker")
	f.Fuzz(func(t *testing.T, name string) {
		if checkName(name) == nil && (!filepath.IsLocal(name) || filepath.Base(name) != name || strings.ContainsAny(name, "~/\\\x00")) {
			t.Fatalf("%q was accepted", name)
		}
	})
}
