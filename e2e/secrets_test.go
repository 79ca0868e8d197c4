package e2e

import (
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"entry/e2e/testkit"
)

// TestSecrets leaves canaries everywhere a user may put a secret, then looks
// through everything that entry keeps and says.
func TestSecrets(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	s.configure(func(c map[string]any) { section(c, "log")["level"] = "debug" })
	s.stop()
	s.serve()
	alice := s.enrolled("alice")
	codes := []string{alice.phone.used(t)}
	canaries := []string{alice.temporary, alice.passphrase, alice.phone.secret}
	canaries = append(canaries, alice.recovery...)

	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(alice.phone.secret)
	if err != nil {
		t.Fatal(err)
	}
	canaries = append(canaries, string(raw))

	// The passphrase where the name belongs, a wrong one, and one too many.
	mistyped, wrong := "canary mistyped as a name 81", "canary wrong passphrase 82"
	canaries = append(canaries, mistyped, wrong)
	for name, answer := range map[string]string{mistyped: "x", "alice": wrong, wrong + "+home": mistyped} {
		p := &person{t: t, name: name}
		p.mistakes(answer, "111111", answer, "222222")
		if c, err := s.dial(p); err == nil {
			c.Close()
			t.Fatal("let in")
		}
	}

	c := s.client(alice)
	w := onTerminal(t, c.home(nil))
	shellAnswers(w)
	codes = append(codes, alice.phone.used(t))
	// A password for the target: it is typed, never shown. And one on the
	// command line, which belongs in the sealed recording only.
	typed, shown := "canary-typed-at-the-target-83", "canary-on-the-command-line-84"
	w.sendLine("stty -echo; echo si''lent; read secret; stty echo; echo len-${#secret}")
	w.expect(`silent\r\n`)
	w.sendLine(typed)
	w.expect(`len-` + fmt.Sprint(len(typed)))
	w.sendLine("exit")
	w.wait()
	c.master()
	codes = append(codes, alice.phone.used(t))
	testkit.MustRun(t, c.exec("true "+shown))
	recs := s.awaitSessions(2)

	t.Run("events, database, recordings, keys", func(t *testing.T) {
		for _, found := range grepTree(t, s.dir, append(canaries, typed, shown)...) {
			t.Error(found)
		}
		eachFile(t, s.dir, func(path, text string) {
			for _, code := range codes {
				// Six digits among others prove nothing; alone they do.
				if strings.Contains(path, "spool") || strings.HasSuffix(path, "entry.db") {
					continue
				}
				if regexp.MustCompile(`(^|[^0-9A-Za-z.:+/=-])` + code + `($|[^0-9A-Za-z.:+/=-])`).MatchString(text) {
					t.Errorf("%s holds the code %s", path, code)
				}
			}
		})
	})
	t.Run("what the auditor sees", func(t *testing.T) {
		for _, rec := range recs {
			for _, format := range []string{"raw", "text", "asciicast-v3"} {
				out := s.export(rec.ID, format)
				for _, secret := range append(canaries, typed) {
					if strings.Contains(out, secret) {
						t.Errorf("%s of %s holds %q", format, rec.ID, secret)
					}
				}
			}
		}
	})
	t.Run("logs, listings and a crash", func(t *testing.T) {
		said := s.mustEntry("audit", "tail") + s.mustEntry("sessions", "ls") + s.mustEntry("user", "show", "alice")
		proc := s.proc
		proc.Signal(syscall.SIGQUIT) // Go prints every goroutine's stack
		proc.Wait()
		said += proc.Stdout.String() + proc.Stderr.String()
		if !strings.Contains(said, "goroutine ") {
			t.Error("no stacks: SIGQUIT proved nothing")
		}
		for _, secret := range append(canaries, typed, shown) {
			if strings.Contains(said, secret) {
				t.Errorf("printed: %q", secret)
			}
		}
	})
}
