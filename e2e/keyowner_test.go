package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

var challenge = regexp.MustCompile(`(?s)echo (\S+) \| ssh-keygen -Y sign -n (keys@entry) -f .*Signature: $`)

// TestKeyBelongsToOne: ssh-keygen's signature over what `keys add` prints makes a key
// its owner's, takes it from whoever pasted it before, and nobody else gets it, but by
// an operator who says why; check and import tell of such keys.
func TestKeyBelongsToOne(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	ac, bc := s.client(alice), s.client(bob)
	ac.master()
	bc.master()
	signer := testkit.NewKeyFile(t, ac.path("id"))
	line, print := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), ssh.FingerprintSHA256(signer.PublicKey())
	testkit.WriteFile(t, ac.path("id.pub"), line+"\n")

	// Ctrl-C is no claim.
	w := bc.portal("keys", "add", line)
	w.giveCode(bob)
	w.expect(`Signature: $`)
	w.send("\x03")
	w.expect("nothing was changed")
	if code := w.wait(); code != 1 || strings.Contains(w.text(), "Added") {
		t.Fatalf("exit status %d: %q", code, w.text())
	}
	// Bob pastes what alice has published.
	w = bc.portal("keys", "add", line)
	w.giveCode(bob)
	w.expect(`Signature: $`)
	w.sendLine("")
	w.expect(regexp.QuoteMeta("Added: " + print))
	if code := w.wait(); code != 0 || !strings.Contains(w.text(), "not shown to be yours") {
		t.Fatalf("exit status %d: %q", code, w.text())
	}
	// Alice shows it.
	w = ac.portal("keys", "add", line)
	w.giveCode(alice)
	m := w.expect(challenge.String())
	sign := ac.command("ssh-keygen", "-Y", "sign", "-n", m[2], "-f", ac.path("id"))
	sign.Stdin = strings.NewReader(m[1] + "\n")
	w.send(strings.ReplaceAll(testkit.MustRun(t, sign).Stdout, "\n", "\r"))
	w.expect(regexp.QuoteMeta("Added: " + print))
	if code := w.wait(); code != 0 || strings.Contains(w.text(), "not shown to be yours") {
		t.Fatalf("exit status %d: %q", code, w.text())
	}
	s.awaitEvent("key.proven", func(e event) bool { return e.User == "alice" })
	s.awaitEvent("key.removed", func(e event) bool { return e.User == "bob" })
	if r := testkit.MustRun(t, bc.ssh("entry", "keys")); strings.Contains(r.Stdout, print) {
		t.Errorf("bob still has it: %s", r)
	}
	// Nobody else gets it now, and nobody is told whose it is.
	carol := s.enrolled("carol")
	cc := s.client(carol)
	cc.master()
	w = cc.portal("keys", "add", line)
	w.giveCode(carol)
	w.expect(`in use by another account`)
	if code := w.wait(); code == 0 || strings.Contains(w.text(), "alice") {
		t.Errorf("exit status %d: %q", code, w.text())
	}
	s.awaitEvent("key.refused", func(e event) bool { return e.User == "carol" })

	// Operators.
	if r := s.entry("user", "key", "add", "bob", ac.path("id.pub")); r.Code != 2 || !strings.Contains(r.Stderr, print+" is the key of alice") || !strings.Contains(r.Stderr, "--shared --reason") {
		t.Errorf("%s", r)
	}
	if r := s.entry("user", "key", "add", "bob", ac.path("id.pub"), "--shared"); r.Code != 2 {
		t.Errorf("without a reason: %s", r)
	}
	// Another system's account of the same key.
	from := testkit.ShortDir(t)
	if err := os.MkdirAll(from+"/dave", 0o755); err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, from+"/dave/authorized_keys", line+"\n")
	if r := s.entry("user", "import", from, "--dry-run"); !strings.Contains(r.Stdout+r.Stderr, print+" is the key of alice") {
		t.Errorf("%s", r)
	}
	if r := s.entry("check"); strings.Contains(r.Stderr, "is shared by") {
		t.Errorf("%s", r)
	}
	s.mustEntry("user", "key", "add", "bob", ac.path("id.pub"), "--shared", "--reason", "one person, two accounts")
	if r := s.entry("check"); r.Code != 0 || !strings.Contains(r.Stderr, "the key "+print+" is shared by alice, bob: one person, two accounts") {
		t.Errorf("%s", r)
	}
	// Whose holders all share it is nobody else's either.
	s.mustEntry("user", "key", "rm", "alice", print)
	s.mustEntry("user", "key", "add", "alice", ac.path("id.pub"), "--shared", "--reason", "the other account")
	w = cc.portal("keys", "add", line)
	w.giveCode(carol)
	w.expect(`in use by another account`)
	if code := w.wait(); code == 0 || strings.Contains(w.text(), "alice") || strings.Contains(w.text(), "bob") {
		t.Errorf("exit status %d: %q", code, w.text())
	}
	if r := s.entry("user", "key", "add", "carol", ac.path("id.pub")); r.Code != 2 || !strings.Contains(r.Stderr, print+" is the key of alice, bob, who share it") || !strings.Contains(r.Stderr, "--shared --reason lets carol have it, too") {
		t.Errorf("%s", r)
	}
	if r := s.entry("check"); r.Code != 0 || !strings.Contains(r.Stderr, "the key "+print+" is shared by bob: one person, two accounts; alice: the other account\n") {
		t.Errorf("%s", r)
	}
}
