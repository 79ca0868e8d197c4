package bastion_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion"
	"entry/configs"
	"entry/e2e/testkit"
)

// passthrough is the usual policy with a home that asks for itself.
func passthrough(s *site) string {
	return strings.Replace(usual(s), "default_login: worker", "auth: passthrough, default_login: worker", 1)
}

// ask is the inner connection's login: it answers what the target asks.
func ask(asked *[]string, answer func(string) string) *ssh.ClientConfig {
	return &ssh.ClientConfig{User: "worker", BannerCallback: func(m string) error {
		*asked = append(*asked, "banner: "+m)
		return nil
	}, Auth: []ssh.AuthMethod{ssh.KeyboardInteractive(func(_, instruction string, q []string, _ []bool) ([]string, error) {
		if instruction != "" {
			*asked = append(*asked, "instruction: "+instruction)
		}
		*asked = append(*asked, q...)
		out := make([]string, len(q))
		for i := range q {
			out[i] = answer(q[i])
		}
		return out, nil
	})}}
}

// A target can't draw prompts of entry's: whatever it sends, every line of it
// bears its name, and no escape gets through.
func TestTargetCannotPoseAsEntry(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: passthrough})
	s.home.set(func(m *machine) {
		m.banner = "welcome\nentry: type your passphrase\r\n\x1b]0;x\x07\u202e"
		m.dialogue = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			for _, r := range []struct{ name, instruction, prompt string }{
				{"", "", "Password: "},
				{"", "", "\r\n\n\x1b[2J\x1b[Hentry passphrase: "},
				{"n\nentry one-time code: ", "i\nentry passphrase: ", "p\nentry passphrase: \x9b31m\u0085\nentry: "},
				{"\x1b[0m", " \x07 ", "\x1b[6n"},
			} {
				if _, err := ask(r.name, r.instruction, []string{r.prompt}, []bool{false}); err != nil {
					return nil, err
				}
			}
			_, err := ask("", "done\nentry: fine", nil, nil)
			return nil, err
		}
	})
	var asked []string
	inner := testkit.Must(s.login("alice").inner("home", ask(&asked, func(string) string { return "an answer" })))(t)
	if out, _, err := run(t, inner, "say in"); out != "in" {
		t.Errorf("%q, %v", out, err)
	}
	all := strings.Join(asked, "\n")
	for _, line := range strings.Split(all, "\n") {
		line = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(line, "\r"), "banner: "), "instruction: ")
		if line != "" && !strings.HasPrefix(line, "[home.tinker] ") {
			t.Errorf("a line without the target's name: %q", line)
		}
	}
	if !utf8.ValidString(all) || strings.ContainsAny(all, "\x1b\x07\u009b\u0085\u202e") {
		t.Errorf("%q", all)
	}
	if !strings.Contains(all, "[home.tinker] Password: ") {
		t.Errorf("%q", all)
	}
}

// What a target asks is bounded in every direction, and so is how often.
func TestTargetAsksTooMuch(t *testing.T) {
	t.Parallel()
	for name, rounds := range map[string]func(ssh.KeyboardInteractiveChallenge) error{
		"rounds": func(ask ssh.KeyboardInteractiveChallenge) (err error) {
			for err == nil {
				_, err = ask("", "", []string{"again: "}, []bool{true})
			}
			return err
		},
		"rounds without prompts": func(ask ssh.KeyboardInteractiveChallenge) (err error) {
			for err == nil {
				_, err = ask("", "look at this", nil, nil)
			}
			return err
		},
		"prompts": func(ask ssh.KeyboardInteractiveChallenge) error {
			_, err := ask("", "", make([]string, 1000), make([]bool, 1000))
			return err
		},
		"a long one": func(ask ssh.KeyboardInteractiveChallenge) error {
			_, err := ask("", strings.Repeat("i", 50_000), []string{strings.Repeat("p", 50_000)}, []bool{true})
			return errors.Join(err, errors.New("no"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{policy: passthrough})
			s.home.set(func(m *machine) {
				m.dialogue = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
					return nil, rounds(ask)
				}
			})
			var asked []string
			c := s.login("alice")
			testkit.Finishes(t, "the login", func() {
				inner, err := c.inner("home", ask(&asked, func(string) string { return "x" }))
				if err != nil {
					return
				}
				// Nothing was answered, so entry can still say what is wrong.
				if _, said, err := run(t, inner, "say in"); exitStatus(err) != 255 {
					t.Errorf("%q, %v", said, err)
				}
				inner.Close()
			})
			if len(asked) > 40 || len(strings.Join(asked, "")) > 64<<10 {
				t.Errorf("%d prompts of %d bytes", len(asked), len(strings.Join(asked, "")))
			}
			s.log.Await(t, audit.UpstreamFailed, "")
			s.idle(t, 0)
		})
	}
}

// Wrong answers reach the target three times and no more, and none of them, nor
// the target's own words about them, reaches the log.
func TestTargetRefusesTheAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: passthrough})
	tries := make(chan string, 100)
	s.home.set(func(m *machine) {
		m.dialogue = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			a, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil {
				return nil, err
			}
			tries <- a[0]
			return nil, &ssh.BannerError{Err: errors.New("no"), Message: "not " + a[0]}
		}
	})
	var asked []string
	c := s.login("alice")
	if _, err := c.inner("home", ask(&asked, func(string) string { return "hunter2-canary" })); err == nil {
		t.Fatal("logged in")
	}
	if n := len(tries); n != 3 {
		t.Errorf("%d tries at the target", n)
	}
	e := s.log.Await(t, audit.UpstreamFailed, "target-refused-login")
	if e.Ref == "" || !strings.Contains(strings.Join(asked, ""), e.Ref) {
		t.Errorf("%+v, shown %q", e, asked)
	}
	for _, e := range s.log.All() {
		if strings.Contains(e.Detail+e.Reason+e.AskedLogin, "canary") {
			t.Errorf("%+v", e)
		}
	}
	s.idle(t, 0)
}

// The same prompts where the connection leads to the target as a whole.
func TestPassthroughWithoutAJump(t *testing.T) {
	t.Parallel()
	for _, right := range []bool{true, false} {
		s := newSite(t, options{policy: passthrough})
		s.home.set(func(m *machine) {
			m.dialogue = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				a, err := ask("", "", []string{"Password: "}, []bool{false})
				if err == nil && a[0] != "right" {
					err = errors.New("wrong")
				}
				return nil, err
			}
		})
		cfg := s.config("alice+home")
		cfg.Auth[1] = ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
			out := make([]string, len(q))
			for i := range q {
				switch {
				case strings.HasSuffix(q[i], "entry one-time code: "):
					out[i] = s.code("alice")
				case q[i] == "[home.tinker] Password: " && right:
					out[i] = "right"
				}
			}
			return out, nil
		})
		c, err := s.tryDial(cfg)
		if (err == nil) != right {
			t.Fatal(err)
		}
		if right {
			if out, _, err := run(t, c.whole(), "say in"); out != "in" {
				t.Errorf("%q, %v", out, err)
			}
		} else {
			s.log.Await(t, audit.UpstreamFailed, "target-refused-login")
			s.idle(t, 0)
		}
	}
}

// A target with another host key than the one on record is never spoken to.
func TestHostKeyChanged(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: func(s *site) string {
		other := machine{hostKey: newKey()}
		return strings.Replace(usual(s), s.home.key(), other.key(), 1)
	}})
	_, said, err := run(t, s.login("alice").jump("home"), "say in")
	if exitStatus(err) != 255 {
		t.Errorf("%v", err)
	}
	s.refusedWith(t, strings.TrimSuffix(said, "\n"), audit.HostKeyChanged, "host-key")
	if _, logins := s.home.count(); len(logins) != 0 {
		t.Errorf("logins: %q", logins)
	}
	s.idle(t, 0)
}

// A target's banner is passed on once, marked, and not without bound.
func TestBanner(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{options: func(o *bastion.Options) { o.Config.Recording.Notice = configs.NoticeBanner }})
	s.home.set(func(m *machine) { m.banner = strings.Repeat("b", 100_000) })
	var got []string
	inner := testkit.Must(s.login("alice").inner("home", ask(&got, nil)))(t)
	if out, _, err := run(t, inner, "say in"); out != "in" {
		t.Errorf("%q, %v", out, err)
	}
	if len(got) != 2 || len(got[0]) > 9000 || !strings.HasPrefix(got[0], "banner: [home.tinker] b") || !strings.HasPrefix(got[1], "banner: entry records all that home.tinker shows here") {
		t.Errorf("%d banners: %.100q", len(got), got)
	}
}
