package identity

import (
	"context"
	"errors"
	"sync"
)

// ahead is a first factor that is judged while the code is asked for: where codes
// may go by SMS, the passphrase has to be judged before one is sent. Everybody
// then gets the prompt at once and has one hash computed, whoever they are:
// accounts with codes by SMS, accounts with an authenticator, and names that
// nobody has. Only the first can have anything sent.
type ahead struct {
	done   chan struct{} // closed when the rest is set
	judged bool          // first counts, and is not asked again
	first  verdict
	member membership
	err    error
}

// judgeAhead counts the dialogue as a try and begins. It returns nil where no
// gateway is configured and while nothing may be evaluated. The caller has to
// wait for done.
func (d *dialogue) judgeAhead(ctx context.Context, acct Account, passphrase string, blind bool) (*ahead, error) {
	if d.a.texter == nil {
		return nil, nil
	}
	d.conn.awaitCode()
	if blind {
		return nil, nil
	}
	// Whether a passphrase is right may show, by an SMS, to whoever leaves now.
	if ok, err := d.charge(ctx); err != nil || !ok {
		return nil, err
	}
	h := &ahead{done: make(chan struct{})}
	e := d.event("", "")
	key := d.keyStands(acct)
	go func() {
		defer close(h.done)
		if right := h.judge(ctx, d.a, acct, passphrase, key); right && d.a.bySMS(acct) {
			d.a.text(ctx, d.conn, acct, e)
		}
	}()
	return h, nil
}

// judge computes one hash and tells whether the first factor is right.
func (h *ahead) judge(ctx context.Context, a *Authenticator, acct Account, passphrase string, key bool) bool {
	if key {
		return true
	}
	isTemporary := acct.temporaryFor(passphrase)
	if acct.Realm == "" && acct.Passphrase != "" && !isTemporary {
		h.judged, h.first = true, verdict{reason: reasonWrongPassphrase}
		right, err := a.hasher.Verify(ctx, acct.Passphrase, passphrase)
		if h.err = err; right && err == nil {
			h.first = verdict{}
		}
		return right && err == nil
	}
	var same sync.WaitGroup
	var hashing error
	same.Go(func() { _, hashing = a.hasher.Verify(ctx, a.dummy.Passphrase, passphrase) })
	if acct.Realm != "" && acct.Temporary == nil && a.bySMS(acct) {
		h.judged = true
		h.first, h.member, h.err = a.askDirectory(ctx, acct, passphrase)
	}
	same.Wait()
	h.err = errors.Join(h.err, hashing)
	return h.err == nil && (h.judged && h.first.reason == "" || isTemporary && a.now().Before(acct.Temporary.Expires))
}

// wait returns once h is judged, or its error. A nil ahead is nothing.
func (h *ahead) wait() error {
	if h == nil {
		return nil
	}
	<-h.done
	return h.err
}

// textProblem is why the owner of acct, whose passphrase was right, got no code.
func (d *dialogue) textProblem(acct Account, typed string) string {
	if d.ahead == nil || !d.a.bySMS(acct) {
		return ""
	}
	if d.ahead.first.innocent {
		return d.ahead.first.text // a directory's word after a right passphrase
	}
	right := d.keyStands(acct) || d.ahead.judged && d.ahead.first.reason == "" || acct.temporaryFor(typed)
	if !right {
		return ""
	}
	return d.conn.textProblem(acct.ID)
}
