package identity_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/e2e/testkit"
)

// mine is a defect of what a login calls on a goroutine beside it: armed, it
// panics once.
type mine struct {
	mu    sync.Mutex
	armed bool
	heard []error
	told  chan struct{} // closed by the first panic; nil where nobody waits
}

func (m *mine) arm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.armed, m.heard = true, nil
}

func (m *mine) step() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.armed {
		m.armed = false
		panic("stepped on a mine")
	}
}

func (m *mine) hear(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = append(m.heard, err)
	if m.told != nil {
		close(m.told)
		m.told = nil
	}
}

// wantHeard compares the goroutine that panicked.
func (m *mine) wantHeard(t *testing.T, name string) {
	t.Helper()
	testkit.Within(testkit.Soon, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.heard) > 0
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.heard) != 1 || !strings.HasPrefix(m.heard[0].Error(), "panic in "+name+": stepped on a mine\n") || !strings.Contains(m.heard[0].Error(), "panic_test.go") {
		t.Errorf("heard %v, want %s", m.heard, name)
	}
}

type minedTexter struct {
	mine
	texts
}

func (m *minedTexter) Send(ctx context.Context, number, text string) error {
	m.step()
	return m.texts.Send(ctx, number, text)
}

type minedRealm struct {
	mine
	directory
}

func (m *minedRealm) Check(ctx context.Context, user, passphrase string) (bool, []string, time.Time, string, error) {
	m.step()
	return m.directory.Check(ctx, user, passphrase)
}

type minedStore struct {
	identity.Store
	mine
}

// Count has more than two tallies only where a code by SMS is counted, which is
// on the sender's goroutine.
func (m *minedStore) Count(ctx context.Context, at time.Time, edit func([]identity.Tally) bool, keys ...identity.TallyKey) error {
	if len(keys) > 2 {
		m.step()
	}
	return m.Store.Count(ctx, at, edit, keys...)
}

const notSent = "The SMS with your code could not be sent, which is not your fault: try again later, or ask your lab's administrator. "

// wantUnsent has a code fail to go out by what was armed, and the next one arrive.
func wantUnsent(t *testing.T, w *world, g *texts, m *mine, name string) {
	t.Helper()
	m.arm()
	from := w.log.Mark()
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, w.afterFailure("123456")}, round{notSent + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.settled()
	w.wantLog(from, "sms.failed unavailable", "login.failed no-code-sent", "login.abandoned empty-answer")
	m.wantHeard(t, name)
	if id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)}); err != nil || id.Method() != "passphrase+sms" {
		t.Errorf("the next login: %v %q", err, id.Method())
	}
}

func TestPanickingTexterCostsOneCode(t *testing.T) {
	t.Parallel()
	m := &minedTexter{texts: texts{out: make(chan string, 64)}}
	w, g := texting(t, func(o *identity.Options) {
		m.out = o.Texter.(*texts).out // where the harness reads
		o.Texter, o.Panicked = m, m.hear
	})
	wantUnsent(t, w, g, &m.mine, "hand-over of a code by SMS")
}

func TestPanickingStoreCostsOneCode(t *testing.T) {
	t.Parallel()
	m := &minedStore{}
	w, g := texting(t, func(o *identity.Options) {
		m.Store, o.Store, o.Panicked = o.Store, m, m.hear
	})
	wantUnsent(t, w, g, &m.mine, "hand-over of a code by SMS")
}

// The log panics where a code that wasn't sent is reported: nobody is left to
// tell but the server's own log.
func TestPanickingLogCostsOneCode(t *testing.T) {
	t.Parallel()
	told := make(chan struct{})
	m := &mine{told: told}
	w, g := texting(t, func(o *identity.Options) { o.Panicked = m.hear })
	m.arm()
	g.set(errDisk, nil)
	w.log.Before(func(e audit.Event) {
		if e.Type == audit.SMSFailed {
			m.step()
		}
	})
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, func(string) string { <-told; return "123456" }}, round{notSent + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	m.wantHeard(t, "sender of a code by SMS")
	w.settled() // it has given its place back
	g.set(nil, nil)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)}); err != nil {
		t.Errorf("the next login: %v", err)
	}
}

func TestPanickingRealmRefusesOneLogin(t *testing.T) {
	t.Parallel()
	m := &minedRealm{directory: directory{at: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)}}
	w, g := texting(t, func(o *identity.Options) {
		o.Realms, o.Panicked = map[string]identity.FirstFactor{"duo": m}, m.hear
	})
	if err := w.a.SetRealm(t.Context(), "alice", "duo"); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w, &m.mine, kept, "first factor ahead of the code")
	if id, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, g.code(t)}); err != nil || id.Method() != "passphrase+sms" {
		t.Errorf("the next login: %v %q", err, id.Method())
	}
}

// wantRefused has a login end by what was armed, with nothing counted.
func wantRefused(t *testing.T, w *world, m *mine, passphrase, name string) {
	t.Helper()
	for i := range 5 {
		m.arm()
		mark := w.log.Mark()
		_, err := w.login(from(attempt("alice"), fmt.Sprintf("198.51.100.%d", i+1)), round{askPass, passphrase}, round{askCode, w.settledThen("123456")}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
		w.wantLog(mark, "login.failed wrong-code", "login.abandoned empty-answer")
		m.wantHeard(t, name)
	}
}

func TestPanickingHashRefusesOneLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, passphrase, goroutine string }{
		{"of the account", good, "hash of a passphrase"},
		{"of nobody", kept, "hash of a passphrase"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &mine{}
			dir := &directory{}
			w, g := texting(t, func(o *identity.Options) {
				o.Realms, o.Panicked = map[string]identity.FirstFactor{"duo": dir}, m.hear
			})
			w.a.OnHash(m.step)
			if c.passphrase == kept {
				if err := w.a.SetRealm(t.Context(), "alice", "duo"); err != nil {
					t.Fatal(err)
				}
			}
			wantRefused(t, w, m, c.passphrase, c.goroutine)
			for drained := false; !drained; { // a hash of nobody's doesn't keep the directory from being right
				select {
				case <-g.out:
				default:
					drained = true
				}
			}
			if _, err := w.login(attempt("alice"), round{askPass, c.passphrase}, round{askCode, g.code(t)}); err != nil {
				t.Errorf("the next login: %v", err)
			}
		})
	}
}
