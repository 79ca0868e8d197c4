package e2e

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"entry/e2e/testkit"
)

// The prompts of entry's dialogue. Clients put their own text before them
// ("(alice@127.0.0.1) "), so the patterns aren't anchored at the start.
var (
	askPassphrase = regexp.MustCompile(`entry passphrase: ?$`)
	askCode       = regexp.MustCompile(`entry one-time code: ?$`)
	askNew        = regexp.MustCompile(`New entry passphrase: ?$`)
	askRepeat     = regexp.MustCompile(`Repeat new entry passphrase: ?$`)
	groupedSecret = regexp.MustCompile(`\b((?:[A-Z2-7]{4}[\s|]+){7}[A-Z2-7]{4})\b`)
	recoveryCode  = regexp.MustCompile(`\b[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}\b`)
)

// otpStep is the length of a TOTP step in seconds (RFC 6238's default).
const otpStep = 30

// authenticator is a user's phone. Each step's code counts once, so it deals
// them out in order, beginning with the oldest that the server still accepts:
// three logins need no waiting.
type authenticator struct {
	mu     sync.Mutex
	secret string
	last   int64 // the newest step dealt
}

func newAuthenticator(grouped string) *authenticator {
	return &authenticator{secret: strings.NewReplacer(" ", "", "|", "", "\r", "", "\n", "").Replace(grouped)}
}

// code gives a code that the server accepts now and for some seconds more.
// Only if all of them are used does it wait for the next step.
func (a *authenticator) code(t testing.TB) string {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		now := time.Now()
		// The server takes steps −1..+1 of *its* clock when it looks: stay in
		// the window for a few seconds more, and on a busy machine for longer.
		margin := min(testkit.Bound(5*time.Second), otpStep*time.Second)
		oldest := now.Add(margin).Unix()/otpStep - 1
		newest := now.Unix()/otpStep + 1
		if step := max(oldest, a.last+1); step <= newest {
			a.last = step
			return a.at(t, step)
		}
		next := time.Unix((a.last)*otpStep, 0).Sub(now)
		t.Logf("all codes of this window are used; the next one in %s", next.Round(time.Second))
		<-time.After(max(next, 100*time.Millisecond))
	}
}

// used is the code dealt last.
func (a *authenticator) used(t testing.TB) string {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at(t, a.last)
}

// wrong is six digits that no step near now gives.
func (a *authenticator) wrong(t testing.TB) string {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	var near []string
	now := time.Now().Unix() / otpStep
	for step := now - 12; step <= now+12; step++ {
		near = append(near, a.at(t, step))
	}
	for n := 123456; ; n++ {
		if c := fmt.Sprintf("%06d", n); !slices.Contains(near, c) {
			return c
		}
	}
}

func (a *authenticator) at(t testing.TB, step int64) string {
	t.Helper()
	c, err := totp.GenerateCodeCustom(a.secret, time.Unix(step*otpStep, 0), totp.ValidateOpts{Period: otpStep, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		t.Fatalf("code of secret %q: %v", a.secret, err)
	}
	return c
}

// person is one user of entry, with what they know and carry.
type person struct {
	t          testing.TB
	name       string
	temporary  string // the temporary passphrase, as printed by `user add`
	passphrase string // the one chosen, after the first login
	phone      *authenticator
	recovery   []string

	mu      sync.Mutex                         // guards what follows
	answer  func(prompt string) (string, bool) // see answering
	prompts []string                           // every prompt that reached this person
}

// answering overrides what the person types at a prompt; false presses Ctrl-C.
// Nil answers everything rightly again.
func (p *person) answering(f func(prompt string) (text string, ok bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// reply is what the person types at prompt.
func (p *person) reply(prompt string) (string, bool) {
	p.mu.Lock()
	p.prompts = append(p.prompts, prompt)
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		return answer(prompt)
	}
	return p.rightAnswer(prompt)
}

// rightAnswer carries a person through the whole dialogue, the first login
// included.
func (p *person) rightAnswer(prompt string) (string, bool) {
	if m := groupedSecret.FindStringSubmatch(prompt); m != nil && p.phone == nil {
		p.phone = newAuthenticator(m[1])
		return p.phone.code(p.t), true
	}
	if codes := recoveryCode.FindAllString(prompt, -1); len(codes) > 1 {
		p.recovery = codes
		return "", true // Enter
	}
	switch {
	case askRepeat.MatchString(prompt):
		p.passphrase = p.chosen()
		return p.passphrase, true
	case askNew.MatchString(prompt):
		return p.chosen(), true
	case askPassphrase.MatchString(prompt):
		if p.passphrase == "" {
			return p.temporary, true
		}
		return p.passphrase, true
	case askCode.MatchString(prompt) && p.phone != nil:
		return p.phone.code(p.t), true
	}
	p.t.Logf("%s has no answer to %q", p.name, prompt)
	return "", false
}

// chosen is the passphrase that this person picks: good by any rule, and
// recognisable wherever it must not turn up.
func (p *person) chosen() string { return "quartz-Ferry 71 " + p.name + " lantern/moss" }

// asked gives the prompts since the last call.
func (p *person) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.prompts
	p.prompts = nil
	return out
}

// askpass makes OpenSSH ask this person without a terminal, in every program
// that runs ssh. It gives the environment for it.
func (p *person) askpass() []string {
	p.t.Helper()
	socket := filepath.Join(testkit.ShortDir(p.t), "ask")
	l, err := net.Listen("unix", socket)
	if err != nil {
		p.t.Fatal(err)
	}
	serve(p.t, l, func(c net.Conn) {
		prompt, err := io.ReadAll(io.LimitReader(c, 1<<20))
		if err != nil {
			return
		}
		if text, ok := p.reply(string(prompt)); ok {
			// A lost answer fails the login, which the test sees.
			_, _ = io.WriteString(c, "+"+text)
		}
	})
	return []string{
		roleVar + "=" + roleAskpass,
		askpassVar + "=" + socket,
		"SSH_ASKPASS=" + ownPath(p.t),
		"SSH_ASKPASS_REQUIRE=force",
	}
}

// unbroken is what was asked, without the line ends at which texts are broken for a
// terminal.
func unbroken(asked []string) string {
	return strings.Join(strings.Fields(strings.Join(asked, " ")), " ")
}
