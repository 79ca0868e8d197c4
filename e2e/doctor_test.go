package e2e

import (
	"strconv"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestOperatorsDoctor: one verb tells an operator, in one screen, what stands in
// a user's way: their account, what went wrong lately, each target and why not,
// and whether the machines answer with the host key on record.
func TestOperatorsDoctor(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	target := func(name, address string) string {
		return strings.NewReplacer("home:", name+":", "127.0.0.1:"+strconv.Itoa(home.Port), address).Replace(home.Target(t, "home"))
	}
	other := testkit.Authorized(testkit.NewSigner(t).PublicKey())
	moved := target("moved", "127.0.0.1:"+strconv.Itoa(home.Port))
	key := strings.Index(moved, "ssh-ed25519 ")
	end := strings.IndexAny(moved[key:], `"]`)
	moved = moved[:key] + strings.TrimSpace(other) + moved[key+end:]
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home"), moved, target("asleep", "127.0.0.1:1"), target("vault", "127.0.0.1:2")},
		strings.Replace(recordAll(), "where: {labs: [tinker]}", "where: {targets: [home.tinker, moved.tinker, asleep.tinker]}\n    from: [127.0.0.0/8]", 1))
	s.serve()
	alice := s.enrolled("alice")
	alice.mistakes("not it", "000000", "nor that", "000000", "", "")
	if c, err := s.dial(alice); err == nil {
		c.Close()
		t.Fatal("let in")
	}

	r := s.entry("doctor", "alice", "--from", "127.0.0.1")
	for _, want := range []string{
		"account: active, last login 20",
		" from 127.0.0.1 with temporary+enrolment\n",
		"login.failed: wrong-code from 127.0.0.1:",
		"; 2 times since 20",
		"targets, from 127.0.0.1:",
		"home.tinker: opens by rule all (tinker.yaml:",
		"it answers with its host key",
		"vault.tinker: denied: no rule allows alice on vault.tinker (default deny)",
		"asleep.tinker: problem: it does not answer: connection refused\n",
		"moved.tinker: problem: host key of moved.tinker is ",
	} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("nothing says %q:\n%s", want, r.Stdout)
		}
	}
	if r.Code != 1 || !strings.Contains(r.Stderr, "something stands in alice's way") {
		t.Errorf("%s", r)
	}
	if lines := strings.Count(r.Stdout, "\n"); lines > 24 {
		t.Errorf("%d lines are no screen", lines)
	}
	// Nobody has logged in at home for that, and from elsewhere it reads otherwise.
	if n := strings.Count(home.LogNow(home.Addr()), "Accepted"); n != 0 {
		t.Errorf("%d logins at home", n)
	}
	if far := s.entry("doctor", "alice", "--from", "192.0.2.7"); strings.Count(far.Stdout, "denied: ") != 4 || far.Code != 3 || !strings.Contains(far.Stderr, "no target opens for alice from 192.0.2.7") {
		t.Errorf("%s", far)
	}
	if none := s.entry("doctor", "nobody"); none.Code != 4 || !strings.Contains(none.Stderr, "no such user") {
		t.Errorf("%s", none)
	}
	if wrong := s.entry("doctor", "alice", "--from", "home"); wrong.Code != 2 || !strings.Contains(wrong.Stderr, "192.0.2.7") {
		t.Errorf("%s", wrong)
	}

	s.mustEntry("user", "disable", "alice")
	if r := s.entry("doctor", "alice"); r.Code != 1 || !strings.Contains(r.Stdout, "problem: the account is disabled: entry user enable alice") {
		t.Errorf("%s", r)
	}
	// With no server running the account and the policy are still told.
	s.stop()
	if r := s.entry("doctor", "alice", "--from", "127.0.0.1"); r.Code != 1 || !strings.Contains(r.Stdout, "home.tinker: opens by rule all") || strings.Contains(r.Stdout, "answers") {
		t.Errorf("%s", r)
	}
}
