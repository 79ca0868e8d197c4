package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// What somebody has on the machine that they come from.
const (
	oldPhrase = "the passphrase of the old machine"
	// As `openssl passwd -6` makes it of that passphrase.
	oldHash = "$6$entryimport$6TiRO6eKt5C9nypTxk.kHpNENjOvZiVSLUMWSdCvbo8fKQ6R1bBudrsuxJMkR3BgYpeiUdwH1vKPyE0lDOyuy0"
	oldSeed = "KRSXG5CTMVRXEZLUKRSXG5CTMV" // 16 bytes, as google-authenticator's
)

// TestImportedLogin: who comes from another system logs in with the old
// passphrase and the old authenticator, and with their old key.
func TestImportedLogin(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	homes := testkit.ShortDir(t)
	if err := os.MkdirAll(filepath.Join(homes, "alice", ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, filepath.Join(homes, "shadow"), "alice:"+oldHash+":19000:0:99999:7:::\n")
	testkit.WriteFile(t, filepath.Join(homes, "alice", ".google_authenticator"), oldSeed+"\n\" RATE_LIMIT 3 30\n\" TOTP_AUTH\n12345678\n")
	key := testkit.NewKeyFile(t, filepath.Join(homes, "id"))
	testkit.WriteFile(t, filepath.Join(homes, "alice", ".ssh", "authorized_keys"), testkit.Authorized(key.PublicKey())+" old laptop\n")
	if r := s.entry("user", "import", homes, "--shadow", filepath.Join(homes, "shadow")); r.Code != 0 || !strings.HasPrefix(r.Stdout, "alice: added\n") {
		t.Fatalf("%s", r)
	}
	alice := &person{t: t, name: "alice", passphrase: oldPhrase, phone: newAuthenticator(oldSeed)}
	// What was spent at the old machine isn't known, so the codes of the present
	// don't count here: the next one does.
	var c interface{ Close() error }
	testkit.EventuallyWithin(t, 2*time.Minute, "a code counts", func() bool {
		conn, err := s.dial(alice)
		if err == nil {
			c = conn
		}
		return err == nil
	})
	if asked := alice.asked(); len(recoveryCode.FindAllString(strings.Join(asked, " "), -1)) != 0 || strings.Contains(strings.Join(asked, " "), "New entry passphrase") {
		t.Errorf("asked %q", asked)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s.awaitEvent("passphrase.changed", func(e event) bool {
		return e.User == "alice" && strings.Contains(e.Detail, "imported hash was replaced")
	})
	if log := testkit.ReadFile(t, s.path("audit", "events.jsonl")); strings.Contains(log, "$6$") || strings.Contains(log, oldSeed) {
		t.Error("a hash or a seed is in the audit log")
	}
}

// TestLifeOfAnAccount: what operators do to an account reaches its user: the end
// is warned of and then kept, and every change is a notice and an event with who
// did it.
func TestLifeOfAnAccount(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	told := filepath.Join(testkit.ShortDir(t), "told")
	s.configure(func(c map[string]any) {
		c["notices"] = map[string]any{"command": []any{"/bin/sh", "-c", fmt.Sprintf("cat >>%s", told)}}
	})
	s.serve()
	alice := s.enrolled("alice")
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	s.mustEntry("user", "end", "alice", tomorrow)
	e := s.awaitEvent("user.changed", func(e event) bool { return e.User == "alice" })
	if !strings.Contains(e.line, `"actor":{"uid":`) || !strings.Contains(e.Detail, "ends on "+tomorrow+" 23:59 UTC") {
		t.Errorf("event %s", e.line)
	}
	w := onTerminal(t, s.client(alice).byHand().home([]string{"-tt"}))
	answerLogin(w, alice)
	w.expect("Your account ends on " + tomorrow)
	shellAfterPrompts(w)
	s.mustEntry("user", "disable", "alice")
	if code := w.wait(); code == 0 {
		t.Errorf("a disabled user's session ended with 0: %q", w.text())
	}
	s.mustEntry("user", "enable", "alice")
	// One after the other, in order, by the time the server has ended.
	s.stop()
	var kinds []string
	for _, n := range decodeLines[struct{ User, Kind, At, Detail string }](t, testkit.ReadFile(t, told)) {
		if n.User != "alice" || n.At == "" {
			t.Errorf("notice %+v", n)
		}
		kinds = append(kinds, n.Kind)
	}
	if got, want := strings.Join(kinds, " "), "invited passphrase-changed authenticator-added end-changed disabled enabled"; got != want && got != strings.Replace(want, "passphrase-changed authenticator-added", "authenticator-added passphrase-changed", 1) {
		t.Errorf("told of %q, want %q", got, want)
	}
}
