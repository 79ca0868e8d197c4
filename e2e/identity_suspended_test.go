package e2e

import (
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestSuspendedKeyOpensNothingNew: a connection that a remembered key opened without a
// code, by a thief or by its owner, has its key suspended under it. What runs goes on;
// no jump, no command of entry's and no session on the open jump begins. `keys` names
// the key no more among those that need no code.
func TestSuspendedKeyOpensNothingNew(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	key := s.remembered(alice, s.path("id"))
	c, err := s.dial(alice, ssh.PublicKeys(key))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	running, err := s.jump(c, "home", "cat")
	if err == nil {
		err = running.echoes()
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		wrong := alice.phone.wrong(t)
		thief := &person{t: t, name: "alice"}
		thief.mistakes(wrong, wrong, wrong, "")
		if c, err := s.dialWith(source(i), thief, ssh.PublicKeys(key), thief.keyboard()); err == nil {
			c.Close()
			t.Fatal("the thief is in")
		}
	}
	s.awaitEvent("login.locked", func(e event) bool { return e.Reason == "key-suspended" })

	const told = "the key that opened this connection was suspended since"
	if p, err := s.jump(c, "home", "true"); err == nil || !strings.Contains(err.Error(), told) {
		t.Errorf("a jump: %v %v", p, err)
	}
	portal, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := portal.CombinedOutput("targets"); err == nil || !strings.Contains(string(out), told) {
		t.Errorf("a command: %q, %v", out, err)
	}
	if ch, _, err := running.inner.OpenChannel("session", nil); err == nil {
		t.Errorf("a session on the open jump: %v", ch)
	}
	if err := running.echoes(); err != nil {
		t.Errorf("what runs: %v", err)
	}
	owner, err := s.dial(alice)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	portal, err = owner.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := portal.CombinedOutput("keys"); err != nil || !strings.Contains(string(out), ", suspended ") || !strings.Contains(string(out), "No key is remembered") {
		t.Errorf("keys: %q, %v", out, err)
	}
}
