package e2e

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// dialWith is dialFrom with other methods than the keyboard alone.
func (s *site) dialWith(source string, p *person, methods ...ssh.AuthMethod) (*ssh.Client, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	tcp, err := d.Dial("tcp", s.addr())
	if err != nil {
		return nil, err
	}
	return s.handshake(tcp, p.name, methods...)
}

// TestSoakStolenKeyGuesses: 540 wrong codes from 60 addresses (20 in short), behind the
// signature of a stolen key, reach nothing: ten of them suspend it. Its owner gets in by
// the passphrase, reads of it, and uses the key again with one command.
func TestSoakStolenKeyGuesses(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	signer := testkit.NewKeyFile(t, s.path("id"))
	s.mustEntry("user", "key", "add", "alice", s.path("id.pub"))
	fingerprint := ssh.FingerprintSHA256(signer.PublicKey())

	codes := 0
	for i := range testkit.Long(20, 60) {
		for range 3 {
			thief := &person{t: t, name: "alice"}
			thief.answering(func(prompt string) (string, bool) {
				if !askCode.MatchString(prompt) {
					return "", false // it has no passphrase
				}
				codes++
				return alice.phone.wrong(t), true
			})
			if c, err := s.dialWith(source(i), thief, ssh.PublicKeys(signer), thief.keyboard()); err == nil {
				c.Close()
				t.Fatal("the thief is in")
			}
		}
	}
	if codes != 10 {
		t.Errorf("%d codes were asked for behind the key", codes)
	}
	s.awaitEvent("login.locked", func(e event) bool { return e.User == "alice" && e.Reason == "key-suspended" })
	if shown := s.mustEntry("user", "show", "alice"); !strings.Contains(shown, fingerprint) || !strings.Contains(shown, ", suspended 20") {
		t.Errorf("user show prints %q", shown)
	}

	laptop := s.client(alice)
	laptop.master()
	if r := testkit.MustRun(t, laptop.ssh("entry", "keys")); !strings.Contains(r.Stdout, ", suspended ") {
		t.Errorf("keys: %s", r)
	}
	w := laptop.portal("keys", "enable", fingerprint)
	w.giveCode(alice)
	w.expect("Enabled: " + regexp.QuoteMeta(fingerprint))
	alice.asked()
	c, err := s.dial(alice, ssh.PublicKeys(signer), alice.keyboard())
	if err != nil {
		t.Fatalf("the key opens nothing after keys enable: %v (asked %q)", err, alice.asked())
	}
	c.Close()
	if asked := alice.asked(); len(asked) != 1 || !askCode.MatchString(asked[0]) {
		t.Errorf("with the key again, asked %q", asked)
	}
}

// TestSoakStolenPassphraseGuesses: 540 wrong codes from 60 addresses (20 in short) behind a right
// passphrase reach nothing, and look like those behind a wrong one. A right code is
// then told of the limit; the owner gets in where she did before.
func TestSoakStolenPassphraseGuesses(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	for i := range testkit.Long(20, 60) {
		for range 3 {
			wrong := alice.phone.wrong(t)
			thief := &person{t: t, name: "alice"}
			thief.mistakes(alice.passphrase, wrong, alice.passphrase, wrong, alice.passphrase, wrong)
			if c, err := s.dialFrom(source(i), thief); err == nil {
				c.Close()
				t.Fatal("the thief is in")
			}
			for n, prompt := range thief.asked() {
				verdict := "Not accepted. "
				if n == 0 {
					verdict = ""
				}
				if n%2 == 0 && n < 6 && !strings.HasSuffix(prompt, verdict+"entry passphrase: ") || strings.Contains(prompt, "limit") {
					t.Fatalf("prompt %d is %q", n, prompt)
				}
			}
		}
	}
	s.awaitEvent("login.locked", func(e event) bool { return e.User == "alice" && e.Reason == "too-many-codes-guessed" })
	if shown := s.mustEntry("user", "show", "alice"); !regexp.MustCompile(`wrong codes +[1-9]\d+ behind the right passphrase, in 30 days; from networks without a login before it opens nothing until `).MatchString(shown) {
		t.Errorf("user show prints %q", shown)
	}
	lucky := &person{t: t, name: "alice"}
	lucky.mistakes(alice.passphrase, alice.phone.code(t))
	if c, err := s.dialFrom("127.9.9.9", lucky); err == nil {
		c.Close()
		t.Error("a right code from an unknown network is let in")
	}
	if asked := lucky.asked(); len(asked) != 3 || !strings.HasPrefix(unbroken(asked[2:]), "Right, but refused: after many wrong codes behind your passphrase") {
		t.Errorf("with right answers, asked %q", asked)
	}
	alice.asked()
	c, err := s.dial(alice)
	if err != nil {
		t.Fatalf("the owner is kept out: %v (asked %q)", err, alice.asked())
	}
	c.Close()
	laptop := s.client(alice)
	laptop.master()
	if r := testkit.Run(t, laptop.ssh("entry", "doctor")); r.Code != 1 || !regexp.MustCompile(`problem: [1-9]\d+ wrong codes came behind your right passphrase since `).MatchString(r.Stdout) || !strings.Contains(r.Stdout, "somebody has your passphrase. A new one: ssh entry passwd") {
		t.Errorf("the owner's doctor: %s", r)
	}
	if r := s.entry("doctor", "alice"); r.Code != 1 || !regexp.MustCompile(`problem: [1-9]\d+ wrong codes behind the right passphrase; from networks without a login before it opens nothing until `).MatchString(r.Stdout) ||
		!strings.Contains(r.Stdout, "If not, somebody has the passphrase: entry user reset --keep-authenticators alice gives another") {
		t.Errorf("the operator's doctor: %s", r)
	}
}

// TestOwnerBehindTheSameAddress: a stranger's wrong dialogues lock the name from the
// address that both have, again and again. A remembered key gets in without a word,
// and so do a right passphrase and code; OpenSSH shows the lock to everybody else,
// after both answers.
func TestOwnerBehindTheSameAddress(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	signer := testkit.NewKeyFile(t, s.path("id"))
	s.mustEntry("user", "key", "add", "alice", s.path("id.pub"))
	if c, err := s.dial(alice, ssh.PublicKeys(signer), alice.keyboard()); err != nil {
		t.Fatal(err)
	} else {
		c.Close()
	}
	guess := func(name string) []string {
		p := &person{t: t, name: name}
		p.mistakes("guess 1", "000000", "guess 2", "000001", "guess 3", "000002")
		if c, err := s.dial(p); err == nil {
			c.Close()
			t.Fatal("let in")
		}
		return p.asked()
	}
	for range 3 {
		guess("alice")
		guess("mallory")
	}
	known, unknown := guess("alice"), guess("mallory")
	if len(known) != 3 || !strings.HasPrefix(known[2], "Too many failed logins") || fmt.Sprint(known) != fmt.Sprint(unknown) {
		t.Errorf("a known name is told %q, an unknown one %q", known, unknown)
	}
	alice.asked()
	c, err := s.dial(alice, ssh.PublicKeys(signer), alice.keyboard())
	if err != nil {
		t.Fatalf("the remembered key is kept out: %v (asked %q)", err, alice.asked())
	}
	c.Close()
	if asked := alice.asked(); len(asked) != 0 {
		t.Errorf("the remembered key is asked %q", asked)
	}
	if r := testkit.MustRun(t, s.client(alice).exec("echo in")); r.Stdout != "in\n" {
		t.Errorf("passphrase and code: %s", r)
	}
	if asked := alice.asked(); len(asked) != 2 {
		t.Errorf("asked %q", asked)
	}
}
