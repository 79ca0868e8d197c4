package e2e

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// TestOneCodeForTwentyRuns is a working day: a key and one code, then 20 runs of
// rsync and scp that ask nothing, whose every file arrives; and none after the
// user has ended it in the portal.
func TestOneCodeForTwentyRuns(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	laptop := s.client(alice)
	signer := testkit.NewKeyFile(t, laptop.path("id"))
	if out := s.mustEntry("user", "key", "add", "alice", laptop.path("id.pub")); strings.TrimSpace(out) != ssh.FingerprintSHA256(signer.PublicKey()) {
		t.Fatalf("key add printed %q", out)
	}
	laptop.appendConfig("Match all", "    IdentitiesOnly yes") // and no agent of whoever runs the tests
	key := strings.Replace(testkit.ReadFile(t, laptop.config), "IdentityFile none", "IdentityFile "+laptop.path("id"), 1)
	testkit.WriteFile(t, laptop.config, key)
	if r := testkit.MustRun(t, laptop.exec("echo in")); r.Stdout != "in\n" {
		t.Errorf("%s", r)
	}
	if asked := alice.asked(); len(asked) != 1 || !askCode.MatchString(asked[0]) {
		t.Fatalf("key and code asked %q", asked)
	}
	s.awaitEvent("key.remembered", func(e event) bool { return e.User == "alice" })

	rsync := func(i int) testkit.Result {
		from, to := laptop.path(fmt.Sprint("data", i)), laptop.path(fmt.Sprint("copy", i))
		testkit.WriteFile(t, from, fmt.Sprint("figures ", i))
		return testkit.Run(t, laptop.command("rsync", "-e", "ssh -F "+laptop.config+" -J entry", from, "home:"+to))
	}
	scp := func(i int) testkit.Result {
		from, to := laptop.path(fmt.Sprint("data", i)), laptop.path(fmt.Sprint("copy", i))
		testkit.WriteFile(t, from, fmt.Sprint("figures ", i))
		return testkit.Run(t, laptop.command("scp", "-F", laptop.config, "-J", "entry", from, "home:"+to))
	}
	before := len(s.events("login.succeeded"))
	for i := range 20 {
		copyFile := rsync
		if i%2 == 1 {
			copyFile = scp
		}
		if r := copyFile(i); r.Code != 0 {
			t.Fatalf("run %d: %s", i, r)
		}
		if got := testkit.ReadFile(t, laptop.path(fmt.Sprint("copy", i))); got != fmt.Sprint("figures ", i) {
			t.Errorf("run %d brought %q", i, got)
		}
	}
	if asked := alice.asked(); len(asked) != 0 {
		t.Errorf("the 20 runs asked %q", asked)
	}
	logins := s.events("login.succeeded")[before:]
	for _, e := range logins {
		if e.Method != "publickey+remembered" {
			t.Errorf("a run logged in with %s", e.Method)
		}
	}
	if len(logins) != 20 {
		t.Errorf("%d logins in the log, want 20", len(logins))
	}

	// The portal takes it away at once, without a question.
	if r := testkit.MustRun(t, laptop.ssh("entry", "keys", "forget", "all")); len(alice.asked()) != 0 {
		t.Errorf("keys forget asked: %s", r)
	}
	s.awaitEvent("key.forgotten", func(e event) bool { return e.User == "alice" })
	alice.mistakes() // gives no answer
	for name, copyFile := range map[string]func(int) testkit.Result{"rsync": rsync, "scp": scp} {
		if r := copyFile(99); r.Code == 0 || fileExists(laptop.path("copy99")) {
			t.Errorf("%s after keys forget: %s", name, r)
		}
	}
	if asked := alice.asked(); len(asked) == 0 || !askCode.MatchString(asked[0]) {
		t.Errorf("afterwards asked %q, want a code", asked)
	}
}
