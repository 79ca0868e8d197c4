package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"entry/e2e/testkit"
)

// TestRotateUserCA changes the CA that targets trust while users work: none of them notices,
// whatever order the targets' files are changed in. The present CA isn't given up while a
// target takes nothing else, or nobody has looked, unless that is meant; what was seen
// outlasts a kill.
func TestRotateUserCA(t *testing.T) {
	beside(t)
	s := initSite(t)
	trusts := func(name string, lines ...string) string {
		path := s.path(name + ".ca")
		testkit.WriteFile(t, path, strings.Join(lines, "\n")+"\n")
		return path
	}
	old := strings.TrimSpace(testkit.ReadFile(t, s.path("keys", "user_ca.pub")))
	// One try for the next CA's certificate, one for the present one's.
	home := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: trusts("home", old), Extra: []string{"MaxAuthTries 2"}})
	desk := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: trusts("desk", old)})
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home"), desk.Target(t, "desk")}, recordAll())
	s.serve()
	alice := s.enrolled("alice")
	at := func() (toHome, toDesk *client) {
		c := s.client(alice)
		c.master()
		d := *c
		d.target = "desk.tinker" // as the known_hosts line has it
		return c, &d
	}
	onHome, _ := at()
	works := func(c *client, what string) {
		t.Helper()
		if r := testkit.Run(t, c.exec("echo here")); r.Code != 0 || r.Stdout != "here\n" {
			t.Fatalf("%s, %s: %s", c.target, what, r)
		}
	}
	status := func(want ...string) {
		t.Helper()
		testkit.Eventually(t, "the status says "+strings.Join(want, ", "), func() bool {
			out := s.mustEntry("keys", "rotate", "user-ca", "--status")
			for _, w := range want {
				if !regexp.MustCompile(`(?m)^` + w).MatchString(out) {
					return false
				}
			}
			return true
		})
	}
	works(onHome, "before")

	out := s.mustEntry("keys", "rotate", "user-ca", "--reason", "yearly")
	next := strings.TrimSpace(testkit.ReadFile(t, s.path("keys", "user_ca.next.pub")))
	oldKey, nextKey := strings.Join(strings.Fields(old)[:2], " "), strings.Join(strings.Fields(next)[:2], " ")
	if !strings.Contains(out, oldKey+"\n"+nextKey+"\n") {
		t.Errorf("it doesn't say what the targets need: %s", out)
	}
	s.mustEntry("keys", "rotate", "user-ca") // again, which changes nothing
	if again := strings.TrimSpace(testkit.ReadFile(t, s.path("keys", "user_ca.next.pub"))); again != next {
		t.Error("begun again, it made another key")
	}
	status(`desk\.tinker +nobody went there yet +- +-$`, `home\.tinker +nobody went there yet`)
	works(onHome, "which takes only the present CA")
	status(`home\.tinker +only the present CA +\S+Z +127\.0\.0\.1:\d+$`, `desk\.tinker +nobody went there yet`)
	if r := s.entry("keys", "rotate", "user-ca", "--finish"); r.Code != 1 ||
		!regexp.MustCompile(`desk\.tinker \(nobody went there since\), home\.tinker \(takes only the present one, at 127\.0\.0\.1:\d+\)`).MatchString(r.Stderr) {
		t.Errorf("finished, though nobody takes it: %s", r)
	}
	trusts("home", old, next)
	works(onHome, "which takes both")
	status(`home\.tinker +the next CA`)
	if r := s.entry("check"); !regexp.MustCompile(`(?m)^warning: the change of the user CA was begun at \S+Z and isn't finished: entry keys rotate user-ca --status`).MatchString(r.Stderr) {
		t.Errorf("check: %s", r)
	}
	s.proc.Signal(syscall.SIGKILL)
	s.proc.Wait()
	status(`home\.tinker +the next CA`, `desk\.tinker +nobody went there yet`) // while no server runs
	s.serve()
	onHome, onDesk := at()
	works(onDesk, "which takes only the present CA, after a kill")
	status(`home\.tinker +the next CA`, `desk\.tinker +only the present CA`)
	if r := s.entry("keys", "rotate", "user-ca", "--finish"); r.Code != 1 || !strings.Contains(r.Stderr, ": desk.tinker (takes only the present one, at ") {
		t.Errorf("finished, though one doesn't take it: %s", r)
	}
	if r := s.entry("keys", "rotate", "user-ca", "--finish", "--force"); r.Code != 2 || !strings.Contains(r.Stderr, "say why with --reason TEXT") {
		t.Errorf("forced without a reason: %s", r)
	}
	trusts("desk", next) // at once, without a time of both
	works(onDesk, "which takes only the next CA")
	status(`desk\.tinker +the next CA`)
	s.mustEntry("keys", "rotate", "user-ca", "--finish", "--reason", "yearly")
	trusts("home", next)
	works(onHome, "after the present CA was given up")
	works(onDesk, "after the present CA was given up")
	if got := strings.Join(strings.Fields(testkit.ReadFile(t, s.path("keys", "user_ca.pub")))[:2], " "); got != nextKey {
		t.Errorf("user_ca.pub is %s", got)
	}
	trusts("desk", old)
	if r := testkit.Run(t, onDesk.exec("true")); r.Code == 0 {
		t.Error("the CA of before is still used")
	}
	if left, err := filepath.Glob(s.path("keys", "*next*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}

	// Force, and giving up, which a log in between shows.
	s.stop()
	s.mustEntry("keys", "rotate", "user-ca")
	s.mustEntry("keys", "rotate", "user-ca", "--abort", "--reason", "not today")
	if r := s.entry("check"); strings.Contains(r.Stderr, "isn't finished") {
		t.Errorf("check, after it was given up: %s", r)
	}
	s.mustEntry("keys", "rotate", "user-ca")
	s.mustEntry("keys", "rotate", "user-ca", "--finish", "--force", "--reason", "the CA was stolen")
	var told []string
	for _, e := range s.events("rotation.begun", "rotation.finished", "rotation.aborted") {
		if !strings.Contains(e.line, `"reason":"user-ca"`) || !strings.Contains(e.line, `"actor":{"uid":`) || !strings.Contains(e.line, `"key":"SHA256:`) {
			t.Errorf("on record: %s", e.line)
		}
		told = append(told, e.Type)
	}
	if got := strings.Join(told, " "); got != "rotation.begun rotation.finished rotation.begun rotation.aborted rotation.begun rotation.finished" {
		t.Errorf("on record: %s", got)
	}
	if e := s.awaitEvent("rotation.finished", func(e event) bool { return strings.Contains(e.line, "stolen") }); !strings.Contains(e.line, "forced, though these targets may not take it yet: desk.tinker (nobody went there since), home.tinker") {
		t.Errorf("what was forced: %s", e.line)
	}
	if n := len(s.events("rotation.seen")); n != 4 {
		t.Errorf("%d events of what was seen, want one for each change", n)
	}
	s.mustEntry("audit", "verify")
}

// TestRotateHostCA changes the CA by which clients know the server and its targets. Users are
// given both lines from the first step on; who has both, or pins keys, notices nothing, and
// who has the line of before alone is told of an unknown key, never of a changed one.
func TestRotateHostCA(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	before := s.client(alice) // has the line of before
	lines := func(out string) []string {
		return regexp.MustCompile(`(?m)^@cert-authority .*$`).FindAllString(out, -1)
	}
	s.mustEntry("keys", "rotate", "host-ca", "--reason", "yearly")
	guides := testkit.ShortDir(t)
	s.mustEntry("user", "invite", "bob", "--guide", guides)
	pages := testkit.Must(filepath.Glob(filepath.Join(guides, "*.txt")))(t)
	if len(pages) != 1 {
		t.Fatalf("guides: %q", pages)
	}
	for what, out := range map[string]string{"check": s.mustEntry("check"), "--status": s.mustEntry("keys", "rotate", "host-ca", "--status"), "a guide": testkit.ReadFile(t, pages[0])} {
		if n := len(lines(out)); n != 2 && (what != "a guide" || n != 3) { // a guide has a command with both, too
			t.Errorf("%s has %d lines for known_hosts: %s", what, n, out)
		}
	}
	before.master()
	both := testkit.Run(t, before.ssh("entry", "config", "known_hosts"))
	if len(lines(both.Stdout)) != 2 {
		t.Fatalf("the portal's config known_hosts: %s", both)
	}
	after := s.client(alice)
	testkit.WriteFile(t, after.path("known_hosts"), both.Stdout)
	works := func(what string, c *client) {
		t.Helper()
		if r := testkit.Run(t, c.exec("echo here")); r.Code != 0 || r.Stdout != "here\n" || strings.Contains(r.Stderr, "host key") || strings.Contains(r.Stderr, "REMOTE HOST") {
			t.Errorf("%s: %s", what, r)
		}
	}
	works("with both lines, before", after)
	pins := s.client(alice)
	testkit.WriteFile(t, pins.path("known_hosts"), "")
	for _, name := range []string{"entry", "home.tinker"} {
		key := strings.Join(strings.Fields(testkit.ReadFile(t, s.path("keys", "hosts", name+".pub")))[:2], " ")
		testkit.WriteFile(t, pins.path("known_hosts"), testkit.ReadFile(t, pins.path("known_hosts"))+strings.TrimSuffix(name, ".tinker")+" "+key+"\n")
	}
	works("who pins keys, before", pins)
	if r := s.entry("keys", "rotate", "host-ca", "--finish"); r.Code != 1 || !strings.Contains(r.Stderr, "users have been given both lines since") {
		t.Errorf("finished at once: %s", r)
	}
	s.mustEntry("keys", "rotate", "host-ca", "--finish", "--force", "--reason", "all have them")
	for range 2 {
		works("with both lines, after", after)
		works("who pins keys, after", pins)
		fresh := s.client(alice) // with host_ca.pub as it is now
		works("with the line of now alone", fresh)
		late := s.client(alice)
		testkit.WriteFile(t, late.path("known_hosts"), testkit.ReadFile(t, before.path("known_hosts")))
		if r := testkit.Run(t, late.exec("true")); r.Code == 0 || strings.Contains(r.Stderr, "REMOTE HOST IDENTIFICATION HAS CHANGED") || !strings.Contains(r.Stderr, "No ED25519 host key is known for") {
			t.Errorf("with the line of before alone: %s", r)
		}
		s.stop()
		s.serve()
	}
	if out := s.mustEntry("check"); len(lines(out)) != 1 {
		t.Errorf("check: %s", out)
	}
	if e := s.awaitEvent("rotation.finished", nil); !strings.Contains(e.line, `"reason":"host-ca"`) || !strings.Contains(e.line, "all have them; forced, ") {
		t.Errorf("on record: %s", e.line)
	}
}

// TestRotateAuditKey changes the key that signs the log while a witness elsewhere cosigns
// it. It isn't done before the witness knows the next key; whoever has the old one verifies
// all, bundles too; a kill between the log and the key's file is made good by the next start,
// and so is a file of changes that was taken away.
func TestRotateAuditKey(t *testing.T) {
	beside(t)
	s := initSite(t)
	w := s.newWitness("w1")
	s.configure(func(c map[string]any) {
		a := section(c, "audit")
		a["witnesses"] = []any{map[string]any{"url": w.url(), "key": w.key}}
		a["within"], a["need"] = "200ms", 1
	})
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	alice := s.enrolled("alice")
	c := s.client(alice)
	c.master()
	session := func() {
		t.Helper()
		if r := testkit.Run(t, c.exec("echo recorded")); r.Code != 0 {
			t.Fatalf("a session: %s", r)
		}
	}
	session()
	older := s.path("older.pub")
	testkit.WriteFile(t, older, testkit.ReadFile(t, s.path("keys", "audit.pub")))
	keys := filepath.Join(testkit.ShortDir(t), "keys")

	s.mustEntry("keys", "rotate", "audit", "--reason", "yearly")
	if r := s.entry("check"); !regexp.MustCompile(`(?m)^warning: the change of the audit log's key was begun at \S+Z and isn't finished`).MatchString(r.Stderr) {
		t.Errorf("check: %s", r)
	}
	if r := s.entry("keys", "rotate", "audit", "--finish"); r.Code != 1 || !strings.Contains(r.Stderr, "these witnesses don't take the next key yet: w1.example (doesn't know the next key yet)") {
		t.Errorf("finished, though the witness doesn't know the key: %s", r)
	}
	logs := filepath.Join(w.dir, "logs")
	testkit.WriteFile(t, logs, testkit.ReadFile(t, logs)+testkit.ReadFile(t, s.path("keys", "audit.pub.next")))
	w.proc.Signal(syscall.SIGHUP)
	testkit.Eventually(t, "the witness takes the next key", func() bool {
		return !strings.Contains(s.mustEntry("keys", "rotate", "audit", "--status"), "doesn't take the next one")
	})
	testkit.MustRun(t, command("cp", "-a", s.path("keys"), keys))
	s.mustEntry("keys", "rotate", "audit", "--finish", "--reason", "yearly")
	session()
	s.awaitSessions(2)
	covered := func() bool { // as who has the old key sees it
		r := testkit.Run(t, command(built, "audit", "verify", "--log", s.path("audit"), "--witness", s.path("witness"), "--public-key", older, "--witness", w.key, "--json"))
		m := regexp.MustCompile(`"events":(\d+).*"name":"w1\.example","size":(\d+).*"key_changes":\[\{"seq":\d+,"from":"entry\+`).FindStringSubmatch(r.Stdout)
		return r.Code == 0 && m != nil && m[1] == m[2]
	}
	testkit.Eventually(t, "the witness cosigns what the new key signs", covered)
	if n := len(s.events("alarm.witness")); n != 0 {
		t.Errorf("%d alarms of the witness", n)
	}
	for i, r := range s.sessions() {
		b := s.path(r.ID + ".tar")
		s.mustEntry("sessions", "bundle", r.ID, "-o", b)
		for _, key := range []string{older, s.path("keys", "audit.pub")} {
			if v := testkit.Run(t, command(built, "verify-bundle", b, "--log-key", key, "--witness", w.key)); v.Code != 0 {
				t.Errorf("session %d, with %s: %s", i, key, v)
			}
			if v := testkit.Run(t, command("python3", "-I", filepath.Join("..", "audit", "bundle", "verify_bundle.py"), b, "--log-key", key, "--witness", w.key)); v.Code != 0 {
				t.Errorf("session %d, with %s, by the script: %s", i, key, v)
			}
		}
	}
	s.stop()

	// What a kill leaves between the record and the key's file.
	testkit.MustRun(t, command("rm", "-r", s.path("keys")))
	testkit.MustRun(t, command("cp", "-a", keys, s.path("keys")))
	if r := s.entry("check"); r.Code != 0 {
		t.Errorf("check, where the key's file isn't in its place yet: %s", r)
	}
	s.serve()
	if exists(s.path("keys", "audit.pub.next")) || exists(s.path("keys", "audit.key.next")) {
		t.Error("a start hasn't finished it")
	}
	s.stop()
	if !covered() {
		t.Error("what is signed since isn't covered")
	}

	// The file of changes, which the database knows of.
	testkit.Check(t, os.Remove(s.path("audit", "keys")))
	if r := s.entry("audit", "verify"); r.Code != 1 || !strings.Contains(r.Stderr, "the file keys isn't there, or lacks a change of the log's key") {
		t.Errorf("verify, without the file of changes: %s", r)
	}
	s.serve()
	s.stop()
	if !covered() {
		t.Errorf("a start hasn't made the file of changes anew: %s", s.entry("audit", "verify"))
	}

	// The key of before is no use to anybody who has it still.
	testkit.WriteFile(t, s.path("keys", "audit.key"), testkit.ReadFile(t, filepath.Join(keys, "audit.key")))
	testkit.WriteFile(t, s.path("keys", "audit.pub"), testkit.ReadFile(t, older))
	if r := s.entry("serve"); r.Code != 1 || !strings.Contains(r.Stderr, "the log's key is entry+") {
		t.Errorf("serve with the key of before: %s", r)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
