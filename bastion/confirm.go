package bastion

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/access"
	"entry/bastion/identity"
)

// maxConfirms is how many inner connections of other programs may come to
// nothing on one client connection: their prompt is no place to guess a
// passphrase at.
const maxConfirms = 3

// confirmations are the tries at the passphrase that other programs have on one client
// connection: maxConfirms wrong ones. No more than are left are judged side by side; one
// more waits for the verdict on those, and is refused only if they were wrong. It is safe
// for concurrent use, and its zero value has had none.
type confirmations struct {
	mu            sync.Mutex // guards all below
	trying, wrong int
	changed       chan struct{} // closed when that changes; nil while nobody waits
}

// errConfirms: there were maxConfirms wrong ones.
var errConfirms = errors.New("too many wrong passphrases on one connection")

// over tells whether none is left.
func (t *confirmations) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wrong >= maxConfirms
}

// take returns nil once the caller has a try, which it gives back with give;
// errConfirms, or the cause of ctx.
func (t *confirmations) take(ctx context.Context) error {
	for {
		changed, err := t.next()
		if changed == nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// next takes a try if there is one, or says what to wait for if there may be one.
func (t *confirmations) next() (changed <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.wrong >= maxConfirms:
		return nil, errConfirms
	case t.trying+t.wrong < maxConfirms:
		t.trying++
		return nil, nil
	}
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed, nil
}

// give gives a try back, for good if it was wrong.
func (t *confirmations) give(wrong bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trying--
	if wrong {
		t.wrong++
	}
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// confirming takes a try once something was typed: prompts that stand side by side are
// none yet, and nobody waits for those that nobody answers.
type confirming struct {
	identity.Asker
	tries *confirmations
	took  bool
}

func (a *confirming) Ask(ctx context.Context, prompt string, echo bool) (string, error) {
	typed, err := a.Asker.Ask(ctx, prompt, echo)
	if err == nil && typed != "" && !a.took {
		err = a.tries.take(ctx)
		a.took = err == nil
	}
	return typed, err
}

// confirmed asks whoever is behind an unknown program for the passphrase, once.
func (c *client) confirmed(ctx context.Context, ask ssh.KeyboardInteractiveChallenge) bool {
	a := &confirming{Asker: asker(ask), tries: &c.confirms}
	var err error
	defer func() {
		if a.took {
			a.tries.give(errors.Is(err, identity.ErrRefused))
		}
	}()
	err = c.s.o.Auth.Confirm(ctx, c.login.Who(), identity.Attempt{Source: c.login.Source(), Conn: c.login.Conn()}, a)
	if errors.Is(err, errConfirms) {
		_, _ = a.Asker.Ask(ctx, c.s.cfg.Name+": "+c.note(noConfirms())+". Press Enter: ", false) // a courtesy: it is refused
	}
	return err == nil
}

func noConfirms() *access.Refused {
	return access.Refuse("confirmations", "too many wrong passphrases on this connection, so no other program gets in on it; end the ssh that holds it (the one with -L, -D or -W) and connect again", audit.Event{Type: audit.AccessRefused})
}
