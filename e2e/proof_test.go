package e2e

import (
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// liar offers one key and signs with another.
type liar struct {
	offered ssh.PublicKey
	ssh.Signer
}

func (l liar) PublicKey() ssh.PublicKey { return l.offered }

func (l liar) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	sig, err := l.Signer.Sign(rand, data)
	if err == nil {
		sig.Format = l.offered.Type()
	}
	return sig, err
}

// TestKeyAsFirstFactor registers a key and logs in with it: the code is still
// asked, the passphrase isn't.
func TestKeyAsFirstFactor(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	dir := testkit.ShortDir(t)
	key := testkit.NewKeyFile(t, filepath.Join(dir, "id"))
	out := s.mustEntry("user", "key", "add", "alice", filepath.Join(dir, "id.pub"))
	fingerprint := ssh.FingerprintSHA256(key.PublicKey())
	if strings.TrimSpace(out) != fingerprint {
		t.Errorf("key add prints %q", out)
	}

	t.Run("key alone", func(t *testing.T) {
		// Only a key that has been through a login with a code is remembered.
		if c, err := s.dialAs("alice", ssh.PublicKeys(key)); err == nil {
			c.Close()
			t.Error("a key alone got in")
		}
	})
	t.Run("key, then code", func(t *testing.T) {
		c := s.client(alice, "IdentityFile "+filepath.Join(dir, "id"))
		if r := testkit.Run(t, c.exec("echo in")); r.Code != 0 || r.Stdout != "in\n" {
			t.Fatalf("%s", r)
		}
		if asked := alice.asked(); len(asked) != 1 || !askCode.MatchString(asked[0]) {
			t.Errorf("asked %q", asked)
		}
		e := s.awaitEvent("login.succeeded", func(e event) bool { return e.Method == "publickey+otp" })
		if e.Key != fingerprint || e.User != "alice" {
			t.Errorf("%s", e.line)
		}
	})
	t.Run("offered, not proven", func(t *testing.T) {
		// OpenSSH offers a key of which it has the public half only, hears that
		// it would do, and can't sign. Then it goes on to what it can prove.
		half := filepath.Join(testkit.ShortDir(t), "half")
		testkit.WriteFile(t, half+".pub", testkit.Authorized(key.PublicKey())+"\n")
		mallory := unknownKey(t)
		alice.mistakes() // gives up at the first prompt
		for name, options := range map[string][]string{
			"alice's key":                       {"IdentityFile " + half},
			"alice's key, then mallory's":       {"IdentityFile " + half, "IdentityFile " + mallory},
			"mallory's key first, then alice's": {"IdentityFile " + mallory, "IdentityFile " + half},
		} {
			alice.asked()
			r := testkit.Run(t, s.client(alice, options...).ssh("-v", "entry"))
			if !strings.Contains(r.Stderr, "Server accepts key: "+half) {
				t.Fatalf("%s was never offered: %s", name, r)
			}
			if asked := alice.asked(); r.Code != 255 || len(asked) == 0 || !askPassphrase.MatchString(asked[0]) {
				t.Errorf("%s: asked %q, want the passphrase first", name, asked)
			}
		}
		alice.answering(nil)
	})
	t.Run("a signature by another key", func(t *testing.T) {
		alice.asked()
		if c, err := s.dialAs("alice", ssh.PublicKeys(liar{key.PublicKey(), testkit.NewSigner(t)}), alice.keyboard()); err == nil {
			c.Close()
			t.Error("let in")
		}
		for _, prompt := range alice.asked() {
			if !askPassphrase.MatchString(prompt) {
				t.Errorf("asked %q", prompt)
			}
		}
	})
	t.Run("the victim's key, finished by another method", func(t *testing.T) {
		bob.asked()
		c, err := s.dialAs("bob", ssh.PublicKeys(liar{key.PublicKey(), testkit.NewSigner(t)}, key), bob.keyboard())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if asked := bob.asked(); len(asked) != 2 {
			t.Errorf("asked %q", asked)
		}
		e := s.awaitEvent("login.succeeded", func(e event) bool { return e.User == "bob" && e.Method == "passphrase+otp" })
		if e.Key != "" {
			t.Errorf("bob's login carries alice's key: %s", e.line)
		}
		for _, e := range s.events("login.succeeded") {
			if e.User == "alice" && e.Method == "passphrase+otp" {
				t.Errorf("bob became alice: %s", e.line)
			}
		}
	})
	t.Run("removed", func(t *testing.T) {
		s.mustEntry("user", "key", "rm", "alice", fingerprint)
		alice.asked()
		alice.mistakes()
		if c, err := s.dialAs("alice", ssh.PublicKeys(key), alice.keyboard()); err == nil {
			c.Close()
			t.Error("let in")
		}
		if asked := alice.asked(); len(asked) != 1 || !askPassphrase.MatchString(asked[0]) {
			t.Errorf("asked %q", asked)
		}
	})
}

// TestUserSwitched changes the name in the middle of a login.
func TestUserSwitched(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	dir := testkit.ShortDir(t)
	testkit.NewKeyFile(t, filepath.Join(dir, "id"))
	s.mustEntry("user", "key", "add", "alice", filepath.Join(dir, "id.pub"))
	for name, args := range map[string][]string{
		"after an unfinished dialogue": {"alice", "bob", askpassSocket(bob.askpass())},
		"after a proven key":           {"alice", "bob", askpassSocket(bob.askpass()), filepath.Join(dir, "id")},
		"to an account and a target":   {"bob", "alice+home", askpassSocket(alice.askpass())},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := s.client(bob).command(python, slices.Concat([]string{"testdata/paramiko_switch.py", strconv.Itoa(s.port)}, args)...)
			r := testkit.Run(t, cmd)
			if r.Code != 0 || !strings.Contains(r.Stdout, "authenticated: False") {
				t.Errorf("%s", r)
			}
		})
	}
	for _, e := range s.events("login.succeeded") {
		if e.Method == "publickey+otp" || e.User == "alice" && e.Method != "temporary+enrolment" {
			t.Errorf("somebody got in: %s", e.line)
		}
	}
}

// TestRevoked: disabling or resetting an account ends what it has open and
// keeps it out.
func TestRevoked(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	for verb, name := range map[string]string{"disable": "alice", "reset": "bob"} {
		p := s.enrolled(name)
		c := s.client(p)
		w := onTerminal(t, c.home(nil))
		shellAnswers(w)
		s.mustEntry("user", verb, name)
		w.expect(`entry: [^\r\n]+`)
		if code := w.wait(); code == 0 {
			t.Errorf("%s: exit status 0", verb)
		}
		p.mistakes(p.passphrase, p.phone.code(t))
		if c, err := s.dial(p); err == nil {
			c.Close()
			t.Errorf("%s: got in again", verb)
		}
	}
	s.awaitEvent("user.disabled", nil)
	s.awaitEvent("user.reset", nil)
	s.awaitSessions(2)
}
