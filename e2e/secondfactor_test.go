package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// The matrix of ways in which other jump hosts let a second factor be skipped
// (CVE-2023-45140, GHSA-c9v7): every way in,
// against every reason why it must not be open, or not unseen.

// matrixSite is a running site whose home also takes a key of its own, for the
// nested way.
func matrixSite(t *testing.T, rules func(echo, inner int) []string) (s *site, home *testkit.SSHD, w func(*client) *wayfarer) {
	t.Helper()
	s = initSite(t)
	key := filepath.Join(testkit.ShortDir(t), "id")
	public := testkit.Authorized(testkit.NewKeyFile(t, key).PublicKey())
	home = testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: s.path("keys", "user_ca.pub"), Keys: []string{public}})
	echo := echoServer(t)
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, rules(echo, home.Port)...)
	s.serve()
	return s, home, func(c *client) *wayfarer {
		w := newWayfarer(t, c, home, key)
		w.echo = echo
		return w
	}
}

// everything is a rule under which each way works, were it not for something
// else.
func everything(echo, inner int) []string {
	return []string{testkit.Rule("all", testkit.MayAll, fmt.Sprintf(`forward_local: ["127.0.0.1:%d", "127.0.0.1:%d"]`, echo, inner), "forward_remote: [0]", "record: metadata")}
}

// TestMatrixControl: with both factors and everything allowed, every way
// works. Without it the refusals below would prove nothing.
func TestMatrixControl(t *testing.T) {
	beside(t)
	s, home, wayfarer := matrixSite(t, everything)
	c := s.client(s.enrolled("alice"))
	c.master()
	w := wayfarer(c)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			if err := way.try(t, w); err != nil {
				t.Error(err)
			}
		})
	}
	if home.Logins() == 0 {
		t.Error("nobody was at home")
	}
}

// TestMatrixResetPending: an account whose passphrase was reset holds a right
// temporary passphrase and nothing more. No way in is open until the dialogue
// has ended.
func TestMatrixResetPending(t *testing.T) {
	beside(t)
	s, home, wayfarer := matrixSite(t, everything)
	alice := s.enrolled("alice")
	alice.passphrase, alice.temporary = "", strings.TrimSpace(s.mustEntry("user", "reset", "alice"))
	for _, code := range []string{"", alice.phone.code(t)} {
		alice.answering(func(prompt string) (string, bool) {
			switch {
			case askNew.MatchString(prompt):
				return "", true // an unattended client answers everything with nothing
			case askPassphrase.MatchString(prompt):
				return alice.temporary, true
			case askCode.MatchString(prompt):
				return code, true // an old authenticator's
			}
			return "", true
		})
		refusedEverywhere(t, s, home, wayfarer(s.client(alice)))
	}
}

// TestMatrixNoAuthenticator: a new account with its right temporary passphrase
// and a new passphrase, but no code.
func TestMatrixNoAuthenticator(t *testing.T) {
	beside(t)
	s, home, wayfarer := matrixSite(t, everything)
	alice := s.add("alice")
	alice.answering(func(prompt string) (string, bool) {
		switch {
		case groupedSecret.MatchString(prompt):
			return "", true
		case askNew.MatchString(prompt), askRepeat.MatchString(prompt):
			return alice.chosen(), true
		case askPassphrase.MatchString(prompt):
			return alice.temporary, true
		}
		return "", true
	})
	refusedEverywhere(t, s, home, wayfarer(s.client(alice)))
}

// refusedEverywhere tries every way with a login that must not succeed.
func refusedEverywhere(t *testing.T, s *site, home *testkit.SSHD, w *wayfarer) {
	t.Helper()
	before := len(s.events("login.succeeded"))
	for _, way := range ways {
		if err := way.try(t, w); err == nil {
			t.Errorf("%s worked", way.name)
		}
	}
	if n := home.Logins(); n != 0 {
		t.Errorf("%d logins at home", n)
	}
	if n := len(s.events("login.succeeded")); n != before {
		t.Errorf("%d logins", n-before)
	}
	if n := len(s.events("session.started")); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// TestMatrixDenied: both factors are right, but policy says no, to each way by
// itself: by a deny rule, and because no rule allows it. One machine stands
// behind many names.
func TestMatrixDenied(t *testing.T) {
	beside(t)
	all := []string{"shell", "exec", "upload", "download", "forward-local", "forward-remote", "agent", "x11"}
	s := initSite(t)
	key := filepath.Join(testkit.ShortDir(t), "id")
	home := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: s.path("keys", "user_ca.pub"), Keys: []string{testkit.Authorized(testkit.NewKeyFile(t, key).PublicKey())}})
	echo := echoServer(t)
	var targets, rules []string
	for _, capability := range all {
		targets = append(targets, home.Target(t, "deny-"+capability), home.Target(t, "without-"+capability))
		rules = append(rules,
			strings.Replace(everything(echo, home.Port)[0], "where: {labs: [tinker]}", testkit.On("deny-"+capability), 1),
			testkit.Rule("not-"+capability, testkit.On("deny-"+capability), "deny: true", "may: ["+capability+"]", `because: "house rules"`))
		fields := []string{testkit.On("without-" + capability), "may: [" + strings.Join(slices.DeleteFunc(slices.Clone(all), func(c string) bool { return c == capability }), ", ") + "]", "record: metadata"}
		if capability != "forward-local" {
			fields = append(fields, fmt.Sprintf(`forward_local: ["127.0.0.1:%d", "127.0.0.1:%d"]`, echo, home.Port))
		}
		if capability != "forward-remote" {
			fields = append(fields, "forward_remote: [0]")
		}
		rules = append(rules, testkit.Rule("most-"+capability, fields...))
	}
	for i := range rules {
		rules[i] = strings.Replace(rules[i], "name: all\n", fmt.Sprintf("name: all-%d\n", i), 1)
	}
	s.setPolicy([]string{"alice", "bob"}, targets, rules...)
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	base := newWayfarer(t, c, home, key)
	base.echo = echo
	for _, way := range ways {
		for _, how := range []string{"deny-", "without-"} {
			t.Run(how+way.capability+" "+way.name, func(t *testing.T) {
				w, there := *base, *base.client
				w.client = &there
				there.target = how + way.capability + ".tinker"
				err := way.try(t, &w)
				if err == nil {
					t.Fatalf("%s works", way.name)
				}
				e := s.awaitRefusal(way.capability, there.target)
				want := `^not-` + way.capability + ` \(.*tinker\.yaml:\d+\)$`
				if how == "without-" {
					want = `^most-` + way.capability + ` \(.*tinker\.yaml:\d+\)$`
				}
				if !regexp.MustCompile(want).MatchString(e.Rule) {
					t.Errorf("the refusal names rule %q: %s", e.Rule, e.line)
				}
			})
		}
	}
}

// awaitRefusal waits for the event of something refused on a target for lack
// of a capability.
func (s *site) awaitRefusal(capability, target string) event {
	s.t.Helper()
	match := func(e event) bool {
		if strings.HasPrefix(e.Type, "transfer.") && e.Reason != "refused" {
			return false
		}
		return e.Capability == capability && (target == "" || e.Target == target)
	}
	var found event
	ok := testkit.Within(testkit.Soon, func() bool {
		refusals := slices.DeleteFunc(s.events("channel.refused", "forward.refused", "transfer.file"), func(e event) bool { return !match(e) })
		if len(refusals) > 0 {
			found = refusals[0]
		}
		return len(refusals) > 0
	})
	if !ok {
		s.t.Fatalf("no refusal of %s on %s", capability, target)
	}
	return found
}

// TestMatrixRecorded: where recording is required, every way leaves a
// recording, or is refused.
func TestMatrixRecorded(t *testing.T) {
	beside(t)
	s, home, wayfarer := matrixSite(t, func(echo, inner int) []string {
		// The nested way's destination isn't listed.
		return []string{testkit.Rule("all", testkit.MayAll, fmt.Sprintf(`forward_local: ["127.0.0.1:%d"]`, echo), "forward_remote: [0]", "record: full")}
	})
	c := s.client(s.enrolled("alice"))
	c.master()
	w := wayfarer(c)
	recordings := 0
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			err := way.try(t, w)
			if way.name == "nested-jump" {
				if err == nil {
					t.Error("SSH inside a forward, past the recording")
				}
			} else if err != nil {
				t.Error(err)
			}
		})
		recordings++
		testkit.Within(testkit.Soon, func() bool {
			return len(s.events("session.ended")) >= recordings
		})
		all := s.awaitSessions(recordings)
		last := all[0]
		for _, r := range all {
			if r.Start.After(last.Start) {
				last = r
			}
		}
		if last.State != "complete" || last.User != "alice" || last.Target != "home.tinker" {
			t.Errorf("%s: recorded as %+v", way.name, last)
		}
		if slices.Contains([]string{"shell", "exec", "multiplexed"}, way.name) && !strings.Contains(s.export(last.ID, "text"), "way-42") {
			t.Errorf("%s: the recording lacks what was printed", way.name)
		}
	}
	for kind, n := range map[string]int{"forward.opened": 2, "listen.opened": 1, "exec.requested": 4} {
		if got := len(s.events(kind)); got < n {
			t.Errorf("%d events %s, want at least %d", got, kind, n)
		}
	}
	if n := home.Logins(); n != len(ways) {
		t.Errorf("%d logins at home, %d recordings", n, len(ways))
	}
	s.stop()
	s.mustEntry("audit", "verify")
}

// TestNestedSSH: a listed forward that turns out to carry SSH is an alarm, and
// is closed where recording is required.
func TestNestedSSH(t *testing.T) {
	beside(t)
	for record, refused := range map[string]bool{"full": true, "metadata": false} {
		t.Run("record "+record, func(t *testing.T) {
			t.Parallel()
			s, _, wayfarer := matrixSite(t, func(echo, inner int) []string {
				return []string{testkit.Rule("all", testkit.MayAll, fmt.Sprintf(`forward_local: ["127.0.0.1:%d"]`, inner), "forward_remote: [0]", "record: "+record)}
			})
			c := s.client(s.enrolled("alice"))
			c.master()
			if err := tryNested(t, wayfarer(c)); (err != nil) != refused {
				t.Errorf("nested SSH: %v", err)
			}
			s.awaitEvent("alarm.nested-ssh", func(e event) bool { return e.User == "alice" })
		})
	}
}

// TestTransferRights: SFTP goes both ways, and what lacks a right is refused as it
// asks for it.
func TestTransferRights(t *testing.T) {
	beside(t)
	// shell and exec imply download.
	for may, lacks := range map[string]string{"[shell, exec, download]": "upload", "[upload]": "download", "[shell, exec]": "upload"} {
		t.Run(may, func(t *testing.T) {
			t.Parallel()
			s, _, wayfarer := matrixSite(t, func(int, int) []string { return []string{testkit.Rule("some", "may: "+may, "record: full")} })
			c := s.client(s.enrolled("alice"))
			c.master()
			if err := trySFTP(t, wayfarer(c)); err == nil {
				t.Error("sftp works")
			}
			s.awaitRefusal(lacks, "home.tinker")
		})
	}
}
