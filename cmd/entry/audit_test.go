//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity/secret"
	"entry/bastion/site"
	"entry/e2e/testkit"
)

// auditLog makes a log with three events, one of them with what a hostile peer
// could send, and returns the flags that name it.
func auditLog(t *testing.T) (dir string, tail, verify []string) {
	t.Helper()
	top := t.TempDir()
	signer, verifier, err := audit.GenerateKey("entry.test")
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(top, "audit")
	witness, key := filepath.Join(top, "witness"), filepath.Join(top, "audit.pub")
	if err := os.WriteFile(key, []byte(verifier+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	l, err := audit.Open(dir, audit.Options{Key: signer, Witness: witness, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	exit := 7
	if err := l.Append(context.Background(),
		audit.Event{Type: audit.LoginSucceeded, User: "alice", Source: "192.0.2.7:50122", Ref: "K7Q2MX"},
		audit.Event{Type: audit.JumpRefused, User: "alice", AskedLogin: "\x1b]0;x\a\u009b\u202eØde", Rule: "tinker-home (tinker.yaml:12)"},
		audit.Event{Type: audit.SessionEnded, User: "alice", Target: "home.tinker", Exit: &exit, Recording: &audit.Recording{ID: "01J", Segments: 3}, Actor: &audit.Actor{UID: 0, LoginUID: 1000}},
	); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, []string{"--log", dir}, []string{"--log", dir, "--witness", witness, "--public-key", key}
}

func runAudit(args ...string) (stdout, stderr string, err error) { return execute(auditCmd(), args...) }

func TestAuditListing(t *testing.T) {
	_, flags, _ := auditLog(t)
	out, _, err := runAudit(append([]string{"tail"}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	want := `2026-03-01T09:00:00Z       1 login.succeeded        ref=K7Q2MX user=alice source=192.0.2.7:50122
2026-03-01T09:00:00Z       2 jump.refused           user=alice asked_login="\x1b]0;x\a\u009b\u202eØde" rule="tinker-home (tinker.yaml:12)"
2026-03-01T09:00:00Z       3 session.ended          user=alice target=home.tinker actor.uid=0 actor.login_uid=1000 recording.id=01J recording.segments=3 exit=7
`
	if out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	out, _, err = runAudit(append([]string{"tail", "-n", "1", "--json"}, flags...)...)
	if err != nil || !strings.HasPrefix(out, `{"schema":"entry.audit/v1","seq":3,`) || strings.Count(out, "\n") != 1 {
		t.Errorf("%q, %v", out, err)
	}
	if _, _, err := runAudit("tail", "--log", t.TempDir()); exitCode(err) != exitNotFound {
		t.Errorf("no log: %v", err)
	}
}

func TestAuditSearch(t *testing.T) {
	dir, flags, _ := auditLog(t)
	for name, c := range map[string]struct {
		args []string
		code int
		n    int
	}{
		"ref":          {[]string{"--ref", "k7q2mx"}, exitOK, 1},
		"user":         {[]string{"--user", "alice"}, exitOK, 3},
		"several":      {[]string{"--user", "alice", "--type", "session", "--target", "home"}, exitOK, 1},
		"network":      {[]string{"--source", "192.0.2.0/24"}, exitOK, 1},
		"day":          {[]string{"--since", "2026-03-01", "--until", "2026-03-02"}, exitOK, 3},
		"none":         {[]string{"--user", "bob"}, exitNotFound, 0},
		"before":       {[]string{"--until", "2026-03-01"}, exitNotFound, 0},
		"bad type":     {[]string{"--type", "logins"}, exitUsage, 0},
		"bad source":   {[]string{"--source", "home"}, exitUsage, 0},
		"bad time":     {[]string{"--since", "yesterday"}, exitUsage, 0},
		"bad argument": {[]string{"alice"}, exitUsage, 0},
	} {
		out, _, err := runAudit(append(append([]string{"search"}, c.args...), flags...)...)
		code := exitOK
		if err != nil {
			code = exitCode(err)
		}
		if code != c.code || strings.Count(out, "\n") != c.n {
			t.Errorf("%s: exit %d (%v), %d lines; want %d, %d", name, code, err, strings.Count(out, "\n"), c.code, c.n)
		}
	}
	// A damaged line is told, the others still shown.
	file := filepath.Join(dir, "events.jsonl")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte(`"jump.refused"`), []byte(`"jump.`+"\x1b"+`efused"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err := runAudit(append([]string{"search", "--user", "alice"}, flags...)...)
	if exitCode(err) != exitFailure || strings.Count(out, "\n") != 2 || !strings.Contains(errs, "line 2 (seq 2)") || strings.Contains(out+errs+err.Error(), "\x1b") {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
}

// What was typed where no account has that name is in the log as a hash by the
// server's secret: who can read that finds it, and who can't is told.
func TestAuditSearchUnknownNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	testkit.Check(t, site.Init(dir, "127.0.0.1:2222", ""))
	keys := testkit.Must(secret.DeriveKeys([]byte(testkit.ReadFile(t, filepath.Join(dir, "keys", "secret")))))(t)
	key := testkit.Must(audit.ReadKey(filepath.Join(dir, "keys", "audit.key")))(t)
	log := testkit.Must(audit.Open(filepath.Join(dir, "audit"), audit.Options{Key: key, Witness: filepath.Join(dir, "witness")}))(t)
	testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.LoginFailed, UserHash: keys.HashName("mallory")}, audit.Event{Type: audit.LoginFailed, UserHash: keys.HashName("Mallory")}))
	testkit.Check(t, log.Close())

	search := func(name ...string) (string, string, error) {
		var out, errs bytes.Buffer
		cmd := rootCmd()
		cmd.SetOut(&out)
		cmd.SetErr(&errs)
		cmd.SetArgs(append([]string{"audit", "search", "--dir", dir}, name...))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), errs.String(), err
	}
	out, errs, err := search("--user", "mallory")
	if err != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "user_hash="+keys.HashName("mallory")) || errs != "" {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	testkit.Check(t, os.Remove(filepath.Join(dir, "keys", "secret")))
	out, errs, err = search("--user", "mallory")
	if exitCode(err) != exitNotFound || out != "" || !strings.HasPrefix(errs, "entry: note: without the server's secret nobody can tell which names that no account has were mallory, so those aren't searched: ") {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	if out, _, err = search("--user", keys.HashName("mallory")); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("%q, %v", out, err)
	}
}

func TestAuditVerify(t *testing.T) {
	dir, _, flags := auditLog(t)
	out, _, err := runAudit(append([]string{"verify"}, flags...)...)
	if err != nil || out != "3 events consistent; witnessed up to seq 3 (2026-03-01T09:00:00Z)\nno recordings were held against it\n" {
		t.Fatalf("%q, %v", out, err)
	}
	var v map[string]any
	out, _, err = runAudit(append([]string{"verify", "--json"}, flags...)...)
	if err != nil || json.Unmarshal([]byte(out), &v) != nil || v["consistent"] != true || v["witnessed"] != 3.0 {
		t.Errorf("%q, %v", out, err)
	}
	for name, args := range map[string][]string{
		"no key":       {"verify", "--log", dir},
		"no log":       {"verify", "--public-key", "x"},
		"no such file": {"verify", "--log", dir, "--public-key", filepath.Join(dir, "none")},
	} {
		if _, _, err := runAudit(args...); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(dir, "events.jsonl")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte("home.tinker"), []byte("home.tonker"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err = runAudit(append([]string{"verify", "--json"}, flags...)...)
	if exitCode(err) != exitFailure || !strings.Contains(err.Error(), "line 3 (seq 3)") {
		t.Errorf("%v", err)
	}
	clear(v)
	if json.Unmarshal([]byte(out), &v) != nil || v["consistent"] != false || v["line"] != 3.0 {
		t.Errorf("%q", out)
	}
}
