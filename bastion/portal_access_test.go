package bastion_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion"
	"entry/e2e/testkit"
	"entry/e2e/testkit/policies"
)

// codeOf is a code that was not used yet.
func (s *site) codeOf(seed string) string {
	s.t.Helper()
	return testkit.Must(totp.GenerateCode(seed, s.clock.Advance(30*time.Second)))(s.t)
}

func TestEnrollASecondDevice(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	c := s.login("alice")
	k := c.talk("enroll tablet")
	k.answer("entry one-time code: ", s.code("alice"))
	shown := k.await("code")
	key := regexp.MustCompile(`(?m)^  ((?:[A-Z2-7]{4} ){3}[A-Z2-7]{4}\r?\n  (?:[A-Z2-7]{4} ){3}[A-Z2-7]{4})\r?$`)
	m := key.FindStringSubmatch(shown)
	for tries := 0; m == nil && tries < 5; tries++ {
		shown += k.await(": ")
		m = key.FindStringSubmatch(shown)
	}
	if m == nil {
		t.Fatalf("no secret in %q", k.seen.String())
	}
	seed := strings.Join(strings.Fields(m[1]), "")
	k.say(s.codeOf(seed))
	k.await("Enrolled: tablet.")
	if status := k.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	s.log.Await(t, audit.AuthenticatorEnrolled, "")
	if out, _, status := c.verb("", "enroll list"); status != 0 || !strings.Contains(out, "tablet") || strings.Count(out, "\n") != 2 {
		t.Errorf("status %d: %q", status, out)
	}
	out, errs, status := c.verb(s.codeOf(seed)+"\n", "enroll remove tablet")
	if status != 0 || !strings.Contains(out, "Removed: tablet.") {
		t.Errorf("status %d: %q %q", status, out, errs)
	}
	if _, errs, status := c.verb(s.code("alice")+"\n", "enroll remove 1"); status != 1 || !strings.Contains(errs, "only authenticator") {
		t.Errorf("status %d: %q", status, errs)
	}
	if _, _, status := c.verb("", "enroll remove nothing"); status != 4 {
		t.Errorf("status %d", status)
	}
}

func TestPasswd(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	c := s.login("alice")
	const fresh = "seven loud herons wade south"
	k := c.talk("passwd")
	k.answer("entry one-time code: ", s.code("alice"))
	k.answer("passphrase: ", passphrase)
	k.answer("passphrase: ", fresh)
	k.answer("passphrase: ", fresh)
	k.await("Your passphrase is changed.")
	if status := k.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	if strings.Contains(k.seen.String(), fresh) || strings.Contains(k.seen.String(), passphrase) {
		t.Error("a passphrase was echoed")
	}
	s.log.Await(t, audit.PassphraseChanged, "")
	for p, ok := range map[string]bool{passphrase: false, fresh: true} {
		cfg := s.config("alice")
		cfg.Auth = []ssh.AuthMethod{ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
			answers := make([]string, len(q))
			for i := range q {
				answers[i] = p
				if strings.HasSuffix(q[i], "code: ") {
					answers[i] = s.code("alice")
				}
			}
			return answers, nil
		})}
		c, err := s.tryDial(cfg)
		if (err == nil) != ok {
			t.Errorf("%q: %v", p, err)
		}
		if err == nil {
			c.Close()
		}
	}
	for _, e := range s.log.All() {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, "herons") || strings.Contains(text, "otters") {
			t.Errorf("a passphrase is in the log: %s", text)
		}
	}
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	c := s.login("alice")
	k := c.talk("recovery")
	k.answer("entry one-time code: ", s.code("alice"))
	shown := k.await(": ")
	for tries := 0; !strings.Contains(shown, "-") && tries < 4; tries++ {
		shown += k.await(": ")
	}
	codes := regexp.MustCompile(`\b[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}\b`).FindAllString(k.seen.String(), -1)
	if len(codes) < 8 {
		t.Fatalf("%d codes in %q", len(codes), k.seen.String())
	}
	k.say("")
	k.await("your recovery codes now")
	if status := k.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	s.log.Await(t, audit.RecoveryCreated, "")
}

func TestKeysRememberedAndForgotten(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	first := s.login("alice") // key and code
	key := newKey()
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
	// What is no key costs no code.
	for _, rubbish := range []string{"rubbish", "/home/alice/.ssh/id_ed25519.pub", "ssh-dss AAAA"} {
		if out, errs, status := first.verb(rubbish+"\n", "keys add"); status == 0 || strings.Contains(out+errs, "one-time code") || !strings.Contains(errs, "key") {
			t.Errorf("%s: status %d: %q %q", rubbish, status, out, errs)
		}
	}
	saved := "---- BEGIN SSH2 PUBLIC KEY ----\r\nComment: \"laptop\"\r\n" + strings.Fields(line)[1] + "\r\n---- END SSH2 PUBLIC KEY ----\r\n" // by PuTTYgen
	out, errs, status := first.verb(saved+s.code("alice")+"\n", "keys add")
	if status != 0 || !strings.Contains(out, ssh.FingerprintSHA256(key.PublicKey())) {
		t.Fatalf("status %d: %q %q", status, out, errs)
	}
	s.log.Await(t, audit.KeyAdded, "")

	asked := 0
	cfg := s.config("alice")
	cfg.Auth = []ssh.AuthMethod{ssh.PublicKeys(key), ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
		answers := make([]string, len(q))
		for i := range q {
			asked++
			answers[i] = s.code("alice")
		}
		return answers, nil
	})}
	login := func(want int) *client {
		t.Helper()
		asked = 0
		c := testkit.Must(s.tryDial(cfg))(t)
		if asked != want {
			t.Errorf("asked %d times, want %d", asked, want)
		}
		return c
	}
	login(1) // key and code, remembered from now on
	c := login(0)
	if out, _, err := run(t, c.jump("home"), "say hello"); err == nil || !strings.Contains(out, "hello") {
		t.Errorf("%q, %v", out, err) // say ends with 3
	}
	if e := s.log.All(audit.LoginSucceeded); e[len(e)-1].Method != "publickey+remembered" {
		t.Errorf("%+v", e[len(e)-1])
	}
	// A remembered key leads to one target as well, and each change of access
	// still asks for a code.
	cfg.User = "alice+home"
	direct := login(0)
	direct.Close()
	cfg.User = "alice"
	if _, _, status := c.verb("\n", "recovery"); status == 0 {
		t.Error("recovery codes without a code")
	}

	fingerprint := ssh.FingerprintSHA256(key.PublicKey())
	out, _, status = c.verb("", "keys")
	if status != 0 || !strings.Contains(out, fingerprint+" ssh-ed25519 laptop") || !strings.Contains(out, "127.0.0.1/32") {
		t.Errorf("status %d: %q", status, out)
	}
	if _, errs, status := c.verb("", "keys forget SHA256:nothing"); status != 4 || !strings.Contains(errs, "no such key") {
		t.Errorf("status %d: %q", status, errs)
	}
	if _, errs, status := c.verb("", "keys forget "+fingerprint); status != 0 {
		t.Errorf("status %d: %q", status, errs)
	}
	login(1)
	if _, errs, status := c.verb("", "keys remove "+fingerprint); status != 0 {
		t.Errorf("status %d: %q", status, errs)
	}
	s.log.Await(t, audit.KeyRemoved, "")
	if _, err := s.tryDial(cfg); err == nil {
		t.Error("a removed key logs in")
	}
}

// What is about to end is the first thing that a user reads, wherever that is.
func TestWarningsComeFirst(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	testkit.Check(t, s.auth.SetEnd(context.Background(), "alice", s.clock.Now().Add(5*24*time.Hour)))
	c := s.login("alice")
	out, errs, _ := c.verb("", "targets")
	if !strings.HasPrefix(errs, "entry: ") || !strings.Contains(errs, "2026-03-06") || strings.Contains(out, "2026-03-06") {
		t.Errorf("%q %q", out, errs)
	}
	warning := strings.TrimSpace(errs)
	if got := c.talk("").await("entry> "); !strings.HasPrefix(got, warning) {
		t.Errorf("%q doesn't begin with %q", got, warning)
	}
	home := testkit.Must(c.jump("home").NewSession())(t)
	defer home.Close()
	testkit.Check(t, home.RequestPty("xterm", 24, 80, nil))
	shown, err := home.Output("say hello")
	if statusOf(t, err) != 3 || !strings.HasPrefix(string(shown), warning) {
		t.Errorf("%q doesn't begin with %q", shown, warning)
	}
	if out, _, status := c.verb("", "doctor"); status != 0 || !strings.Contains(out, "look: your account ends on 2026-03-06") {
		t.Errorf("status %d: %q", status, out)
	}
}

// A remembered key spares entry's questions, not the target's own.
func TestRememberedKeyAndPassthrough(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: passthrough})
	s.home.set(func(m *machine) {
		m.dialogue = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err == nil && (len(answers) != 1 || answers[0] != "hers") {
				err = errors.New("wrong")
			}
			return nil, err
		}
	})
	s.login("alice").Close()
	var asked []string
	answer := "hers"
	cfg := s.config("alice+home")
	cfg.Auth = []ssh.AuthMethod{cfg.Auth[0], ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
		asked = append(asked, q...)
		answers := make([]string, len(q))
		for i := range q {
			answers[i] = answer
		}
		return answers, nil
	})}
	c := testkit.Must(s.tryDial(cfg))(t)
	if got := strings.Join(asked, "|"); got != "[home.tinker] Password: " {
		t.Errorf("asked %q", got)
	}
	c.Close()
	answer = "not hers"
	if c, err := s.tryDial(cfg); err == nil {
		c.Close()
		t.Error("in without the target's consent")
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	c := s.login("alice")
	out, errs, status := c.verb("", "doctor")
	if status != 0 || errs != "" {
		t.Fatalf("status %d: %q %q", status, out, errs)
	}
	for _, want := range []string{"alice at 2026-03-01", "connected from 127.0.0.1", "ok: authenticator ", "recovery codes are left", "ok: logins are not locked", "ok: passphrase set on 2026-03-01",
		"from 127.0.0.1 with publickey+otp", "ssh -J entry home", "isn't open to you; ask your lab's administrator"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
}

// The doctor knows how the last way to a target failed, in the words that its user read,
// until a session comes about there.
func TestDoctorKnowsWhatFailed(t *testing.T) {
	t.Parallel()
	text := func(s *site, address string) string {
		return s.policyText(`      dead: {address: "`+address+`", host_keys: ["`+s.home.key()+`"], default_login: worker}
`, "") + `  - {name: dead, who: {labs: [tinker]}, where: {targets: [dead.tinker]}, may: [exec]}
`
	}
	s := newSite(t, options{policy: func(s *site) string { return text(s, "127.0.0.1:1") }, options: func(o *bastion.Options) {
		cfg := *o.Config
		cfg.Guides.Contact = "it@tinker.example"
		o.Config = &cfg
	}})
	c := s.login("alice")
	if out, _, status := c.verb("", "doctor"); status != 0 || strings.Contains(out, "failed for you") {
		t.Errorf("before: status %d, %q", status, out)
	}
	_, said, err := run(t, c.jump("dead"), "true")
	if err == nil || !strings.Contains(said, "Try again in some minutes, then tell it@tinker.example (ref ") {
		t.Fatalf("%v, %q", err, said)
	}
	want := "problem: dead.tinker failed for you on " + plain.Moment(s.clock.Now()) + ": " + strings.TrimSpace(strings.TrimPrefix(said, "entry: "))
	if out, _, status := c.verb("", "doctor"); status != 1 || !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
		t.Errorf("after: status %d, %q, want %q", status, out, want)
	}
	s.server.Access().SetPolicy(policies.Parse(t, text(s, s.home.addr)))
	if out, said, _ := run(t, c.jump("dead"), "say in"); out != "in" {
		t.Fatalf("%q, %q", out, said)
	}
	if out, _, status := c.verb("", "doctor"); status != 0 || strings.Contains(out, "failed for you") {
		t.Errorf("after a session: status %d, %q", status, out)
	}
}

// Who jumps to a service reads how it is reached: no other port makes a machine of it.
func TestAServiceIsNoMachine(t *testing.T) {
	t.Parallel()
	alice := portalSite(t).login("alice")
	for _, port := range []uint32{22, 80} {
		if said := alice.refused(jumpTo("workbench", port)); !strings.Contains(said, "workbench.tinker is a service on port 8888, not a machine to log in to: ssh -N -L 8888:workbench.tinker:8888 entry (ref ") {
			t.Errorf("port %d: %q", port, said)
		}
	}
}
