package ca

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	testkit.Check(t, err)
	path := func(name string) string { return filepath.Join(dir, name) }

	writeKey(t, path("good"), private, "")
	a, err := loadFile(path("good"))
	testkit.Check(t, err)
	public, err := ssh.NewPublicKey(private.Public())
	testkit.Check(t, err)
	if !sameKey(a.PublicKey(), public) || a.Origin() != path("good") {
		t.Errorf("loaded %s from %s", Fingerprint(a.PublicKey()), a.Origin())
	}

	writeKey(t, path("rsa"), rsaKey(t, 2048), "")
	_, err = loadFile(path("rsa"))
	testkit.Check(t, err)

	writeKey(t, path("group"), private, "")
	testkit.Check(t, os.Chmod(path("group"), 0o640))
	_, err = loadFile(path("group"))
	refused(t, err, "(mode 0640): run chmod 600 "+path("group"))
	if !errors.Is(err, ErrExposed) {
		t.Errorf("%v isn't ErrExposed", err)
	}

	writeKey(t, path("locked"), private, "open sesame")
	_, err = loadFile(path("locked"))
	refused(t, err, "passphrase")
	if !errors.Is(err, ErrPassphraseProtected) {
		t.Errorf("%v isn't ErrPassphraseProtected", err)
	}

	testkit.Check(t, os.WriteFile(path("other"), []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600))
	_, err = loadFile(path("other"))
	refused(t, err, "convert it with ssh-keygen -p")
	testkit.Check(t, os.WriteFile(path("text"), []byte("hunter2"), 0o600))
	_, err = loadFile(path("text"))
	refused(t, err, "no private key")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error quotes the file: %v", err)
	}
	testkit.Check(t, os.WriteFile(path("huge"), make([]byte, maxKeyFile+1), 0o600))
	_, err = loadFile(path("huge"))
	refused(t, err, "larger than")
	_, err = loadFile(dir)
	refused(t, err, "not a regular file")
	_, err = loadFile(path("absent"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestGenerateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host_ca")
	a, err := GenerateFile(path, "the host CA")
	testkit.Check(t, err)
	info, err := os.Stat(path)
	testkit.Check(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	public, err := LoadPublic(path + ".pub")
	testkit.Check(t, err)
	if !sameKey(public, a.PublicKey()) {
		t.Error("the .pub file holds another key")
	}
	before, err := os.ReadFile(path)
	testkit.Check(t, err)
	if _, err := GenerateFile(path, "again"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	after, err := os.ReadFile(path)
	testkit.Check(t, err)
	if string(before) != string(after) {
		t.Error("an existing key was replaced")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	testkit.Check(t, err)
	if len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
	// OpenSSH reads what was written.
	out, err := exec.Command("ssh-keygen", "-y", "-f", path).Output()
	testkit.Check(t, err)
	if !strings.HasPrefix(string(out), strings.TrimSpace(line(a.PublicKey()))) {
		t.Errorf("ssh-keygen -y says %s", out)
	}
}

// One authority has one purpose, whichever constructor comes first.
func TestAuthorityHasOnePurpose(t *testing.T) {
	a, _ := authority(t, "ca")
	_, err := NewHostCA(a)
	testkit.Check(t, err)
	if _, err := NewUserCA(a); !errors.Is(err, ErrClaimed) {
		t.Errorf("got %v", err)
	}
	b, _ := authority(t, "ca")
	_, err = NewUserCA(b)
	testkit.Check(t, err)
	if _, err := NewHostCA(b); !errors.Is(err, ErrClaimed) {
		t.Errorf("got %v", err)
	}
	if _, err := NewUserCA(nil); err == nil {
		t.Error("no authority was accepted")
	}
	if _, err := NewHostCA(&Authority{}); err == nil {
		t.Error("the zero authority was accepted")
	}
}

func TestDistinctKeys(t *testing.T) {
	host, user, lab := testkit.NewSigner(t).PublicKey(), testkit.NewSigner(t).PublicKey(), testkit.NewSigner(t).PublicKey()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	testkit.Check(t, err)
	audit, err := ssh.NewPublicKey(private.Public())
	testkit.Check(t, err)
	good := []Role{{"host CA", host}, {"user CA", user}, {"a target's host CA", lab}, {"a target's host CA", lab}, {"audit key", audit}}
	testkit.Check(t, distinctKeys(good...))
	for i := range good {
		for j := range good {
			if good[i].Name == good[j].Name {
				continue
			}
			bad := append([]Role{}, good...)
			bad[j].Key = good[i].Key
			err := distinctKeys(bad...)
			var shared *sharedKey
			if !errors.As(err, &shared) || shared.Fingerprint != Fingerprint(good[i].Key) {
				t.Errorf("%s with the key of %s: got %v", good[j].Name, good[i].Name, err)
			}
		}
	}
	refused(t, distinctKeys(Role{"host CA", nil}), "host CA has no key")
}

func TestLoadPublic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.pub")
	load := func(text string) (ssh.PublicKey, error) {
		testkit.Check(t, os.WriteFile(path, []byte(text), 0o600))
		return LoadPublic(path)
	}
	key := testkit.NewSigner(t).PublicKey()
	weak, err := ssh.NewPublicKey(rsaKey(t, 1024).Public())
	testkit.Check(t, err)
	cert := certify(t, &ssh.Certificate{CertType: ssh.HostCert, ValidPrincipals: []string{"x"}}, testkit.NewSigner(t))
	got, err := load("  " + line(key))
	testkit.Check(t, err)
	if !sameKey(got, key) {
		t.Error("another key came back")
	}
	for _, tc := range []struct{ text, want string }{
		{"", "not a public key"},
		{"ssh-ed25519 AAAA", "not a public key"},
		{`from="10.0.0.1" ` + line(key), "options"},
		{line(key) + line(key), "more than one"},
		{line(weak), "RSA key of 1024 bits"},
		{line(cert), "a certificate"},
		{strings.Repeat("x", maxKeyFile+1), "larger than"},
	} {
		_, err := load(tc.text)
		refused(t, err, tc.want)
	}
}

func TestKnownHostsCA(t *testing.T) {
	key := testkit.NewSigner(t).PublicKey()
	text, err := KnownHostsCA(key, "home", "*.tinker", "entry")
	testkit.Check(t, err)
	marker, hosts, got, comment, _, err := ssh.ParseKnownHosts([]byte(text))
	testkit.Check(t, err)
	if marker != "cert-authority" || strings.Join(hosts, " ") != "home *.tinker entry" || !sameKey(got, key) || comment != "entry host CA" {
		t.Errorf("got %q", text)
	}
	many := make([]string, 300) // a laboratory of many labs
	for i := range many {
		many[i] = fmt.Sprintf("*.lab-%d", i)
	}
	if _, hosts, _, _, _, err := ssh.ParseKnownHosts([]byte(testkit.Must(KnownHostsCA(key, many...))(t))); err != nil || len(hosts) != len(many) {
		t.Errorf("%d of %d names: %v", len(hosts), len(many), err)
	}
	for _, bad := range []string{"", "*", "*.*", "?", "Home", "home,*", "!home", "a b", "home\n", "ho\x1bme", "[home]:22"} {
		if text, err := KnownHostsCA(key, bad); err == nil {
			t.Errorf("%q gave %q", bad, text)
		}
	}
	if _, err := KnownHostsCA(key); err == nil {
		t.Error("no pattern was accepted")
	}
}

func FuzzParsePrivate(f *testing.F) {
	path := filepath.Join(f.TempDir(), "k")
	_, err := GenerateFile(path, "k")
	testkit.Check(f, err)
	data, err := os.ReadFile(path)
	testkit.Check(f, err)
	f.Add(data)
	f.Add([]byte("-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if signer, err := parsePrivate(data); err == nil && signer.PublicKey() == nil {
			t.Fatal("a signer without a key")
		}
	})
}

func FuzzNoteKey(f *testing.F) {
	f.Add("entry+12345678+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("a+b")
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := NoteKey(text); err == nil && key.Type() != ssh.KeyAlgoED25519 {
			t.Fatalf("%q gave a %s", text, key.Type())
		}
	})
}
