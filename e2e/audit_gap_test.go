package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"entry/audit"
	"entry/e2e/testkit"
)

// TestLostLogBeginsAnew: a log that is older than its witness and its database
// starts nothing, and says what to do. With an auditor's key it begins anew; the
// gap is shown by every verification, which fails unless the gap is named.
func TestLostLogBeginsAnew(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	c := s.client(alice)
	if r := testkit.Run(t, c.exec("echo recorded")); r.Code != 0 {
		t.Fatalf("%s", r)
	}
	s.awaitSessions(1)
	s.stop()
	key := s.path("ada.key")
	public := s.mustEntry("audit", "auditor-key", key)
	if !strings.HasPrefix(public, "ada+") {
		t.Errorf("%q", public)
	}
	accept := func() testkit.Result {
		return s.entry("audit", "accept-gap", "--key", key, "--reason", "the disk was lost")
	}
	if r := accept(); r.Code == 0 || !strings.Contains(r.Stderr, "the log can go on") {
		t.Errorf("a gap in a whole log: %s", r)
	}
	if err := os.CopyFS(s.path("copy"), os.DirFS(s.path("audit"))); err != nil {
		t.Fatal(err)
	}
	s.mustEntry("user", "add", "bob")
	s.mustEntry("user", "disable", "bob")
	if err := os.RemoveAll(s.path("audit")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path("copy"), s.path("audit")); err != nil {
		t.Fatal(err)
	}
	if r := s.entry("serve"); r.Code == 0 || !strings.Contains(r.Stderr, "the log was put back to an older state") || !strings.Contains(r.Stderr, "entry audit accept-gap") {
		t.Errorf("an older log: %s", r)
	}
	if r := accept(); r.Code != 0 || !strings.Contains(r.Stdout, "compare entry user ls with what you know") {
		t.Fatalf("%s", r)
	}
	s.serve()
	if r := s.entry("user", "show", "bob"); !strings.Contains(r.Stdout, "disabled") {
		t.Errorf("the database is older now: %s", r)
	}
	s.mustEntry("user", "disable", "alice")
	s.stop()
	s.serve() // and again
	s.stop()

	r := s.entry("audit", "verify")
	m := regexp.MustCompile(`(?m)^gap ([0-9a-f]{16}): the log begins anew at .*, after \d+ records of the log entry; accepted by the key ada\+[0-9a-f]{8}: the disk was lost$`).FindStringSubmatch(r.Stdout)
	if r.Code != 1 || m == nil || !strings.Contains(r.Stderr, "the log has a gap") {
		t.Fatalf("%s", r)
	}
	if r := s.entry("audit", "verify", "--gap", strings.Repeat("0", 16)); r.Code != 1 {
		t.Errorf("another gap: %s", r)
	}
	if r := s.entry("audit", "verify", "--gap", m[1]); r.Code != 0 || !strings.Contains(r.Stdout, m[0]) || !strings.Contains(r.Stdout, "1 recording") {
		t.Errorf("the gap is named: %s", r)
	}
	old := []string{"audit", "verify", "--log", s.path("audit", "before"), "--public-key", s.path("audit", "before", "audit.pub")}
	if r := testkit.Run(t, command(built, old...)); r.Code != 0 {
		t.Errorf("the log before: %s", r)
	}
}

// TestLostLogAndOlderDatabase: the disk is lost, the log begins anew from its copy, and
// the database is older than that: nobody whom the log before had disabled gets in.
func TestLostLogAndOlderDatabase(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	bob := s.enrolled("bob")
	key := s.path("ada.key")
	s.mustEntry("audit", "auditor-key", key)
	s.stop()
	s.keepDatabase("backup")
	s.serve()
	s.mustEntry("user", "disable", "bob")
	s.stop()
	testkit.MustRun(t, command("cp", "-a", s.path("audit"), s.path("copy")))
	s.mustEntry("user", "add", "late")
	testkit.MustRun(t, command("rm", "-r", s.path("audit")))
	testkit.MustRun(t, command("mv", s.path("copy"), s.path("audit")))
	s.putBack("backup")
	s.mustEntry("audit", "accept-gap", "--key", key, "--reason", "the disk was lost")
	for _, when := range []string{"put back before the gap", "put back after it"} {
		s.serve()
		if c, err := s.dial(bob); err == nil {
			c.Close()
			t.Errorf("%s: bob is back", when)
		}
		s.logs(`ALARM: bob: any login \(disabled\)`)
		s.stop()
		s.putBack("backup")
	}
}

// TestGapsUnderAttack: no gap hides another one or what was lost, and none is accepted
// for another log, with the log's own key, or while its witness isn't there.
func TestGapsUnderAttack(t *testing.T) {
	beside(t)
	s := initSite(t)
	s.setPolicy([]string{"alice"}, []string{`      home: {address: "127.0.0.1:1", host_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"], default_login: w}`}, recordAll())
	s.mustEntry("user", "add", "alice")
	key := s.path("ada.key")
	s.mustEntry("audit", "auditor-key", key)
	sh := func(script string) {
		t.Helper()
		testkit.MustRun(t, command("env", "-C", s.dir, "sh", "-ec", script))
	}
	lose := func(name string) {
		t.Helper()
		sh("rm -rf old && cp -a audit old")
		s.mustEntry("user", "add", name)
		s.mustEntry("user", "disable", name)
		sh("rm -r audit && mv old audit")
	}
	accept := func(more ...string) testkit.Result {
		return s.entry(append([]string{"audit", "accept-gap", "--reason", "lost"}, more...)...)
	}
	refused := func(r testkit.Result, want string) {
		t.Helper()
		if r.Code == 0 || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s\nwant %q", r, want)
		}
	}
	lose("evil1")
	refused(accept("--key", s.path("keys", "audit.key")), "an auditor signs with a key of their own")
	sh("mv witness away && mkdir witness")
	refused(accept("--key", key), "hint: mount it and try again")
	if r := accept("--key", key, "--without-witness"); r.Code != 0 {
		t.Fatalf("%s", r)
	}
	gaps := func(more ...string) (ids []string, r testkit.Result) {
		t.Helper()
		r = s.entry(append([]string{"audit", "verify"}, more...)...)
		for _, m := range regexp.MustCompile(`(?m)^gap ([0-9a-f]{16}): `).FindAllStringSubmatch(r.Stdout, -1) {
			ids = append(ids, m[1])
		}
		return ids, r
	}
	// At once, before any start; and the database knew more than the copy has.
	first, r := gaps()
	if len(first) != 1 || r.Code != 1 || !regexp.MustCompile(`after 3 records of the log entry; .*: lost\n1 events? consistent; no witness: .*; its checkpoints agree up to seq 1 `).MatchString(r.Stdout) {
		t.Fatalf("%s", r)
	}
	s.serve()
	s.stop()
	sh("mv witness under && mv away witness")
	refused(s.entry("serve"), "hint: if the log began anew and its old witness came back: entry audit set-witness-aside")
	refused(accept("--key", key), "entry audit set-witness-aside")
	if out := s.mustEntry("audit", "set-witness-aside"); !regexp.MustCompile(`^the witness directory had checkpoints of the log before, entry\+[0-9a-f]{8}, up to record \d+; they are in checkpoints\.[0-9a-f]{8} now\n$`).MatchString(out) {
		t.Errorf("%q", out)
	}
	s.serve()
	s.stop()
	lose("evil2")
	if r := accept("--key", key); r.Code != 0 {
		t.Fatalf("%s", r)
	}
	s.serve()
	s.stop()
	all, r := gaps("--gap", first[0])
	if len(all) != 2 || all[0] != first[0] || r.Code != 1 {
		t.Errorf("two gaps, the first named: %s", r)
	}
	if _, r := gaps("--gap", all[1]); r.Code != 1 || !strings.HasSuffix(strings.TrimSpace(r.Stderr), "name it: --gap "+first[0]) {
		t.Errorf("the second named: %s", r)
	}
	if _, r := gaps("--gap", all[1], "--gap", all[0]); r.Code != 0 {
		t.Errorf("both named: %s", r)
	}
	sh("mv audit/before moved")
	left, r := gaps("--gap", all[0], "--gap", all[1])
	if len(left) != 3 || left[0] != all[0] || r.Code != 1 || !strings.Contains(r.Stdout, "the log before, entry/2, isn't in ") {
		t.Errorf("without the logs before: %s", r)
	}
	// Another log and key on this database: said at its first start.
	sh("rm -r audit witness && mkdir witness")
	signer, public, err := audit.GenerateKey("entry")
	if err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, s.path("keys", "audit.key"), signer)
	testkit.WriteFile(t, s.path("keys", "audit.pub"), public)
	s.serve()
	s.logs(`ALARM: this log is new to the database, which knows the log entry(/2)?\+`)
	if e := s.events("alarm.database-behind"); len(e) != 1 {
		t.Errorf("%+v", e)
	}
	s.stop()
}

// TestLostKeyBeginsAnew: a log whose signing key is lost, with nothing else, can't be signed
// any more. An auditor begins it anew; a key that is there isn't lost.
func TestLostKeyBeginsAnew(t *testing.T) {
	beside(t)
	s := initSite(t)
	s.mustEntry("user", "add", "bob")
	key := s.path("ada.key")
	s.mustEntry("audit", "auditor-key", key)
	accept := func() testkit.Result {
		return s.entry("audit", "accept-gap", "--key", key, "--key-lost", "--reason", "the key's disk was lost")
	}
	if r := accept(); r.Code == 0 || !strings.Contains(r.Stderr, "the log's signing key isn't lost") || !strings.Contains(r.Stderr, "entry keys rotate audit") {
		t.Errorf("with the key: %s", r)
	}
	testkit.Check(t, os.Remove(s.path("keys", "audit.key")))
	if r := s.entry("user", "disable", "bob"); r.Code == 0 {
		t.Errorf("without the key: %s", r)
	}
	if r := accept(); r.Code != 0 {
		t.Fatalf("%s", r)
	}
	s.mustEntry("user", "disable", "bob")
	if r := s.entry("audit", "verify"); r.Code != 1 || !strings.Contains(r.Stdout, "the log begins anew") {
		t.Errorf("%s", r)
	}
}
