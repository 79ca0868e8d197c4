package identity_test

import (
	"context"
	"regexp"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/e2e/testkit"
)

const phone = "+46701234567"

// texts is a Texter whose messages tests read.
type texts struct {
	out chan string

	mu   sync.Mutex
	err  error
	to   []string
	hold chan struct{} // Send waits for it where set
}

func (g *texts) Send(ctx context.Context, number, text string) error {
	g.mu.Lock()
	g.to = append(g.to, number)
	err, hold := g.err, g.hold
	g.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	g.out <- text
	return nil
}

func (g *texts) sent() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.to)
}

func (g *texts) set(err error, hold chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err, g.hold = err, hold
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// code reads the code of the next message, as its owner would.
func (g *texts) code(t *testing.T) func(string) string {
	return func(string) string {
		text, ok := testkit.ReceiveWithin(testkit.Soon, g.out)
		if !ok {
			t.Error("no message came")
			return ""
		}
		c := sixDigits.FindAllString(text, -1)
		if len(c) != 1 || len(text) > 160 {
			t.Errorf("the message %q", text)
		}
		return c[0]
	}
}

// anotherThan is a code that is not c.
func anotherThan(c string) string {
	if c[0] == '1' {
		return "2" + c[1:]
	}
	return "1" + c[1:]
}

// texting makes a user whose codes go by SMS and who has a passphrase.
func texting(t *testing.T, with func(*identity.Options)) (*world, *texts) {
	t.Helper()
	g := &texts{out: make(chan string, 64)}
	w := newWorldWith(t, func(o *identity.Options) {
		o.Texter = g
		if with != nil {
			with(o)
		}
	})
	t.Cleanup(func() {
		if err := w.a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.a.SetPhone(t.Context(), "alice", phone, true); err != nil {
		t.Fatal(err)
	}
	id, err := w.login(attempt("alice"), round{askPass, temp}, round{"That temporary passphrase has no typing error.\nIf a code comes by SMS now, enter it.\nIf none comes, an authenticator's code is right. Without either the\npassphrase is no longer valid: ask your lab's administrator for a new one.\nEnter goes back to the passphrase. " + askCode, g.code(t)},
		round{askOwn, good}, round{"Repeat new entry passphrase: ", good})
	if err != nil || id.Method() != "temporary+sms" {
		t.Fatalf("first login: %v %q", err, id.Method())
	}
	w.settled()
	w.clock.Advance(61 * time.Minute) // the first code is out of the hour
	return w, g
}

// settled waits until every code has been handed over and logged.
func (w *world) settled() {
	w.t.Helper()
	if err := w.a.Settle(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// settledThen answers once what was typed before has been counted.
func (w *world) settledThen(answer string) func(string) string {
	return func(string) string {
		w.settled()
		return answer
	}
}

// afterFailure answers once the log has it that a code was not sent.
func (w *world) afterFailure(answer string) func(string) string {
	before := len(w.log.All(audit.SMSFailed))
	return func(string) string {
		if !testkit.Within(testkit.Soon, func() bool { return len(w.log.All(audit.SMSFailed)) > before }) {
			w.t.Error("no failure was logged")
		}
		return answer
	}
}
