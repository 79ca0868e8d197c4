//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
)

const policyLabs = `labs:
  tinker:
    members: [alice, bob]
    admins: [carol]
    targets:
      home: {address: 10.0.0.5, host_keys: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN"}
rules:
  - {name: home, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell, upload], because: daily work}
`

func policyFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func runPolicy(args ...string) (stdout, stderr string, err error) {
	return execute(policyCmd(), args...)
}

func TestPolicyVerbs(t *testing.T) {
	good := policyFile(t, "good.yaml", policyLabs+"tests:\n  - {user: alice, target: home.tinker, may: [shell]}\n")
	waits := policyFile(t, "waits.yaml", strings.Replace(policyLabs, "upload]", "upload], approval: {approvers: [carol], for: 1h}", 1))
	broken := policyFile(t, "broken.yaml", policyLabs+"nonsense: 1\n")
	failing := policyFile(t, "failing.yaml", policyLabs+"tests:\n  - {user: alice, target: home.tinker, denied: true}\n")
	over := policyFile(t, "over.yaml", policyLabs+"  - {name: beamtime, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [agent], valid: {until: 2020-01-01, zone: UTC}}\n")
	for _, tc := range []struct {
		args           string
		code           int
		stdout, stderr string // parts
	}{
		{"validate " + good, exitOK, "ok: 1 rule, 1 target, 1 test, policy sha256:", ""},
		{"validate " + broken, exitUsage, "", ""},
		{"validate --json " + broken, exitUsage, `"line":9,"col":1,"code":"Y009","message":"unknown key \"nonsense\"`, ""},
		{"validate " + failing, exitDenied, "", ""},
		{"validate " + over, exitOK, "ok:", "warning: rule beamtime is over since 2020-01-02 00:00 UTC [P109]"},
		{"validate " + filepath.Join(t.TempDir(), "none.yaml"), exitUsage, "", ""},
		{"validate " + t.TempDir(), exitOK, "ok: 0 rules", ""},
		{"validate " + t.TempDir() + " " + good, exitUsage, "", ""},
		{"test " + good, exitOK, "ok: 1 test passed", ""},
		{"test " + waits, exitOK, "ok: there are no tests", ""},
		{"test " + failing, exitDenied, "", ""},
		{"explain --policy " + good + " alice home", exitOK, "shell           allowed by home (good.yaml:8): daily work", ""},
		{"explain --policy " + good + " alice home --may download", exitOK, "home (good.yaml:8) allows shell, upload, download: matches", ""},
		{"explain --policy " + good + " alice home --may agent", exitDenied, "agent           no rule gives it", ""},
		{"explain --policy " + good + " eve home --all", exitDenied, "no: who: is for lab tinker", `note: the policy names no user "eve"`},
		{"explain --policy " + good + " eve home", exitDenied, "1 rule is for other people or targets", `note: the policy names no user "eve"`},
		{"explain --policy " + good + " alice house", exitNotFound, "", ""},
		{"explain --policy " + good + " Alice home", exitUsage, "", ""},
		{"explain --policy " + good + " alice home --from nowhere", exitUsage, "", ""},
		{"explain --policy " + good + " alice home --at tomorrow", exitUsage, "", ""},
		{"explain --policy " + good + " alice home --json", exitOK, `{"capability":"shell","allowed":true,"rule":"home (good.yaml:8)","because":"daily work"}`, ""},
		{"explain --policy " + waits + " alice home", exitDenied, "home (waits.yaml:8) gives it with the approval of carol", ""},
		{"explain --policy " + waits + " alice home --approved-by carol --at 2026-03-02T09:00:00Z", exitOK, "shell           allowed by home (waits.yaml:8) until 2026-03-02 10:00 UTC", ""},
		{"explain --policy " + waits + " alice home --approved-by alice", exitDenied, "needs the approval of carol; given by nobody yet", ""},
		{"who-can --policy " + good + " home download", exitOK, "alice by home (good.yaml:8)\nbob by home (good.yaml:8)\n", ""},
		{"who-can --policy " + waits + " home download --json", exitOK, `{"user":"alice","rule":"home (waits.yaml:8)","approval":"carol"}`, ""},
		{"who-can --policy " + good + " home agent", exitDenied, "", ""},
		{"who-can --policy " + good + " home sudo", exitUsage, "", ""},
		{"diff " + good + " " + good, exitOK, "nothing changes for anybody", ""},
		{"diff " + good + " " + over, exitOK, "alice, bob gain agent on home.tinker (until 2020-01-02 00:00 UTC)\n", ""},
		{"diff " + good + " " + waits + " --json", exitOK, `{"aspect":"narrows","users":["alice","bob"],"targets":["home.tinker"],"capability":"shell","old":"always","new":"approved for 1h by 1 of carol, waiting 15m"}`, ""},
		{"diff " + good + " " + broken, exitUsage, "", ""},
		{"codes", exitOK, "P109  The rule's period is over.", ""},
		{"codes P999", exitNotFound, "", ""},
	} {
		t.Run(tc.args, func(t *testing.T) {
			stdout, stderr, err := runPolicy(strings.Fields(tc.args)...)
			if got := exitCode(err); err == nil && tc.code != exitOK || err != nil && got != tc.code {
				t.Errorf("exit code %d (%v), want %d", got, err, tc.code)
			}
			if !strings.Contains(stdout, tc.stdout) || tc.stdout == "" && err != nil && tc.code != exitDenied && stdout != "" {
				t.Errorf("stdout %q, want %q in it", stdout, tc.stdout)
			}
			if !strings.Contains(stderr, tc.stderr) || tc.stderr == "" && stderr != "" {
				t.Errorf("stderr %q, want %q", stderr, tc.stderr)
			}
			if strings.Contains(tc.args, "--json") {
				for line := range strings.Lines(stdout) {
					if !json.Valid([]byte(line)) {
						t.Errorf("not JSON: %s", line)
					}
				}
			}
		})
	}
}

func TestPolicyReplay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	l, err := audit.Open(dir, audit.Options{Key: signer, Now: func() time.Time { return at }})
	testkit.Check(t, err)
	until := at.Add(time.Hour)
	started := func(user, conn string) audit.Event {
		return audit.Event{Type: audit.SessionStarted, Conn: conn, Session: "S" + conn, User: user, Source: "192.0.2.7:50122", Target: "home.tinker", Capability: "shell, upload, download"}
	}
	testkit.Check(t, l.Append(t.Context(),
		audit.Event{Type: audit.LoginSucceeded, Conn: "1", User: "alice", Method: "publickey+otp"},
		started("alice", "1"), started("alice", "1"),
		audit.Event{Type: audit.LoginSucceeded, Conn: "2", User: "alice", Method: "publickey+remembered"},
		started("alice", "2"),
		started("bob", "3"),
		audit.Event{Type: audit.ApprovalGiven, User: "dan", Target: "home.tinker", Approver: "carol", Rule: "guests (x.yaml:1)", Until: &until},
		started("dan", "4"), started("eve", "5"),
		audit.Event{Type: audit.AccessRefused, User: "carol", Source: "192.0.2.7:1", Target: "home.tinker", Reason: "denied"},
		audit.Event{Type: audit.AccessRefused, User: "carol", Source: "192.0.2.7:1", Target: "home.tinker", Reason: "concurrent"},
		audit.Event{Type: audit.SessionStarted, User: "bob", Target: "gone.tinker"},
	))
	testkit.Check(t, l.Close())
	now := policyFile(t, "new.yaml", strings.Replace(policyLabs, "may: [shell, upload]", "may: [shell], mfa: {methods: [otp]}", 1)+`
  - {name: guests, who: {users: [dan, eve]}, where: {labs: [tinker]}, may: [shell, upload], approval: {approvers: [carol], for: 2h}}
  - {name: admins, who: {users: [carol]}, where: {labs: [tinker]}, may: [agent]}
`)
	out, _, err := runPolicy("replay", "--since", "2026-03-01", "--log", dir, now)
	testkit.Check(t, err)
	want := `      2 × alice on home.tinker would be without upload: rule home (new.yaml:8) (last 2026-03-02T09:00:00Z)
      1 × alice on home.tinker would be refused: no rule allows alice on home.tinker (default deny); rule home (new.yaml:8) would after a fresh login with what it asks for (last 2026-03-02T09:00:00Z)
      1 × bob on gone.tinker would be refused: the policy has no target gone.tinker (last 2026-03-02T09:00:00Z)
      1 × bob on home.tinker would be without upload: rule home (new.yaml:8) (last 2026-03-02T09:00:00Z)
      1 × carol on home.tinker would be allowed: rule admins (new.yaml:11) (last 2026-03-02T09:00:00Z)
      1 × eve on home.tinker would wait for approval: rule guests (new.yaml:10) needs the approval of carol (last 2026-03-02T09:00:00Z)
8 accesses since 2026-03-01T00:00:00Z, 7 of them different
`
	if out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	out, _, err = runPolicy("replay", "--since", "2026-03-03", "--log", dir, now, "--json")
	if err != nil || out != `{"accesses":0,"different":0}`+"\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, _, err := runPolicy("replay", "--log", t.TempDir(), now); exitCode(err) != exitNotFound {
		t.Errorf("no log: %v", err)
	}
	if _, _, err := runPolicy("replay", "--log", dir, "--since", "whenever", now); exitCode(err) != exitUsage {
		t.Errorf("no time: %v", err)
	}
}
