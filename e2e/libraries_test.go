package e2e

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// What jumps by a library gives whatever originator it likes for the channel, so
// that entry can't know which program is behind it: a key of the account that was
// proven there too, or the passphrase, has to come with the inner connection.

// unattended runs a program that has a remembered key and nobody to ask, and then
// with a key that another account has.
func unattended(t *testing.T, name string, args ...string) {
	t.Helper()
	s, alice, c := otherSite(t)
	key, file := filepath.Join(c.dir, "id"), filepath.Join(testkit.ShortDir(t), "file")
	s.remembered(alice, key)
	alice.asked()
	run := func(key string) testkit.Result {
		return testkit.Run(t, c.command(args[0], append(args[1:len(args):len(args)], strconv.Itoa(s.port), "alice", key, testkit.Me(t), file)...))
	}
	want := "stdout: from " + name + "\nstderr: problem\nstatus: 11\nsftp: True\n"
	if r := run(key); r.Code != 0 || !strings.EqualFold(r.Stdout, want) {
		t.Errorf("%s", r)
	}
	if asked := alice.asked(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
	s.awaitSessions(1) // one connection has both channels
	foreign := filepath.Join(c.dir, "foreign")
	testkit.NewKeyFile(t, foreign)
	if r := run(foreign); r.Code == 0 || strings.Contains(r.Stdout, "from") {
		t.Errorf("with a key that isn't alice's: %s", r)
	}
}

func TestFabric(t *testing.T) {
	beside(t)
	unattended(t, "fabric", python, "testdata/fabric_jump.py")
}

func TestNodeSSH2(t *testing.T) {
	beside(t)
	t.Run("unattended", func(t *testing.T) { unattended(t, "node", "node", "testdata/node/jump.js") })
	t.Run("by prompts", func(t *testing.T) {
		s, alice, c := otherSite(t)
		file := filepath.Join(testkit.ShortDir(t), "file")
		r := testkit.Run(t, c.command("node", "testdata/node/jump.js", strconv.Itoa(s.port), "alice", "", testkit.Me(t), file, askpassSocket(c.env)))
		if r.Code != 0 || r.Stdout != "stdout: from node\nstderr: problem\nstatus: 11\nsftp: true\n" {
			t.Errorf("%s", r)
		}
		if asked := strings.Join(alice.asked(), "|"); strings.Count(asked, "passphrase") != 2 || strings.Count(asked, "code") != 1 {
			t.Errorf("asked %q, want passphrase and code outside, passphrase inside", asked)
		}
	})
}
