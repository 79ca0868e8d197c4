package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"entry/bastion/identity/secret"
	"entry/session/group"
)

// ahead is a first factor that is judged while the code is asked for: where codes
// may go by SMS, the passphrase has to be judged before one is sent. Everybody
// then gets the prompt at once and has one hash computed, whoever they are:
// accounts with codes by SMS, accounts with an authenticator, and names that
// nobody has. Only the first can have anything sent.
//
// How long that takes depends on whose passphrase it is, and so does whether a directory
// is asked that may be down. So nobody but who has given a right code, or shown what
// nobody guesses, waits for it or is told its error: it goes on beside the dialogue, until
// it is over or the client has left, and Close waits for it.
//
// From a network that nobody has logged in from, its hash goes behind all others, or else
// strangers would have those who may be owners wait for theirs. What has no turn is
// crowded out.
type ahead struct {
	group  *group.Group
	leave  func() bool // it ends no more when the client leaves
	verify func(ctx context.Context, stored, passphrase string) (bool, error)
	hashed chan struct{} // closed once hashing is set
	over   chan struct{} // closed once all below is set

	hashing error // of the hash
	judged  bool  // first counts, and is not asked again
	first   verdict
	member  membership
	err     error
}

// errCrowded: a stranger's passphrase had no turn ahead of the code. The dialogue goes on
// as where no code can go by SMS, whoever's name it is: nothing is sent, and a right code
// of an authenticator has the passphrase judged before what strangers type.
var errCrowded = errors.New("identity: no turn for a stranger's passphrase")

// underway counts what goes on beside dialogues. It is safe for concurrent use.
type underway struct {
	mu   sync.Mutex // guards all below
	n    int
	none chan struct{} // closed when n is 0 next; nil while nobody waits
}

func (u *underway) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n++
}

func (u *underway) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n--; u.n == 0 && u.none != nil {
		close(u.none)
		u.none = nil
	}
}

// wait returns once nothing is underway, or the cause of ctx.
func (u *underway) wait(ctx context.Context) error {
	u.mu.Lock()
	none := u.none
	if u.n > 0 && none == nil {
		none = make(chan struct{})
		u.none = none
	}
	idle := u.n == 0
	u.mu.Unlock()
	if idle {
		return nil
	}
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errPanicked stands for a panic of which Options.Panicked has the rest.
var errPanicked = fmt.Errorf("%w: a goroutine panicked", ErrUnavailable)

// judgeAhead counts the dialogue as a try and begins. It returns nil where no
// gateway is configured and while nothing may be evaluated.
func (d *dialogue) judgeAhead(ctx context.Context, acct Account, passphrase string) (*ahead, error) {
	if d.a.texter == nil {
		return nil, nil
	}
	d.conn.awaitCode()
	if d.barred.locked() {
		return nil, nil // nothing is sent
	}
	// Whether a passphrase is right may show, by an SMS, to whoever leaves now.
	if ok, err := d.charge(ctx); err != nil || !ok {
		return nil, err
	}
	h := &ahead{
		group: group.New(context.WithoutCancel(ctx), d.a.panicked), verify: d.a.hasher.Verify,
		hashed: make(chan struct{}), over: make(chan struct{}), hashing: errPanicked, err: errPanicked,
	}
	h.leave = context.AfterFunc(ctx, func() { h.group.Cancel(context.Cause(ctx)) })
	if !d.at.Familiar {
		h.verify = func(ctx context.Context, stored, passphrase string) (bool, error) {
			right, err := d.a.hasher.VerifyAhead(ctx, stored, passphrase)
			if errors.Is(err, secret.ErrBusy) {
				err = errCrowded
			}
			return right, err
		}
	}
	e, conn, a := d.event("", ""), d.conn, d.a
	key, place := d.keyStands(acct), bindPlace{d.textsOf(), d.trusted || d.key != ""}
	a.beside.begin()
	h.group.Go("first factor ahead of the code", func() {
		defer a.beside.end()
		defer h.leave()
		defer close(h.over)
		if right := h.judge(h.group.Context(), a, acct, passphrase, key, place); right && a.bySMS(acct) {
			a.text(ctx, conn, acct, place.name, e)
		}
	})
	return h, nil
}

// judge computes one hash and tells whether the first factor is right. Until it returns,
// h.err says that it panicked.
func (h *ahead) judge(ctx context.Context, a *core, acct Account, passphrase string, key bool, place bindPlace) (right bool) {
	if key {
		h.hashing, h.err = nil, nil
		close(h.hashed)
		return true
	}
	isTemporary := acct.temporaryFor(passphrase)
	own := acct.Realm == "" && acct.Passphrase != "" && !isTemporary
	stored := a.dummy.Passphrase
	if own {
		stored = acct.Passphrase
	}
	fits := false
	h.group.Go("hash of a passphrase", func() {
		defer close(h.hashed)
		fits, h.hashing = h.verify(ctx, stored, passphrase)
	})
	var asking error
	if acct.directoryJudges() && a.bySMS(acct) {
		asking = h.bind(ctx, a, acct, passphrase, place)
	}
	<-h.hashed
	if own {
		h.first = verdict{reason: reasonWrongPassphrase}
		if h.judged = h.hashing == nil; h.judged && fits {
			h.first = verdict{}
		}
	}
	h.err = errors.Join(asking, h.hashing)
	return h.err == nil && (h.judged && h.first.reason == "" || isTemporary && a.now().Before(acct.Temporary.Expires))
}

// A directory locks its users everywhere, some after five wrong passphrases, and may be
// asked ahead of a code by who has proven nothing. So it is asked again only after fewer
// wrong ones in a day: bindsOfStrangers from all networks without a login before together,
// bindsAtHome from each other one, and as many behind a key. A right one forgives those of
// its place, as it does in the directory.
const (
	bindsOfStrangers = 2
	bindsAtHome      = 3
)

// bindPlace is whose wrong passphrases of a day one is: see textsOf.
type bindPlace struct {
	name  string
	known bool // a login was there before, or a key proven
}

func bindsOf(account, place string) string { return "bind|" + account + "|" + place }

// bind asks the directory of acct, if it may be asked ahead of a code. If not, h judges
// nothing: no code is sent, and one of recovery goes the way of any account's.
func (h *ahead) bind(ctx context.Context, a *core, acct Account, passphrase string, place bindPlace) (err error) {
	most, name := bindsOfStrangers, bindsOf(acct.ID, place.name)
	if place.known {
		most = bindsAtHome
	}
	t := a.lockout.namedTry(name, most)
	free, _, err := t.begin(ctx, a.now)
	if err != nil || !free {
		return err
	}
	answered, o := false, tryWrong // also if the client leaves
	defer func() {
		switch {
		case !answered && ctx.Err() == nil: // it is down, or asking it panicked
			o = tryNone
		case answered && (h.first.reason == "" || h.first.innocent):
			o = tryForgive
		}
		_, settling := t.settle(ctx, o, a.now())
		err = errors.Join(err, settling)
	}()
	h.first, h.member, err = a.askDirectory(ctx, acct, passphrase)
	answered = err == nil
	h.judged = answered // no answer is no verdict, whatever else fails
	return err
}

// wait returns once h is judged, or its error. A nil ahead is nothing.
func (h *ahead) wait() error {
	if h == nil {
		return nil
	}
	<-h.over
	return h.err
}

// crowded tells whether h is known to have had no turn at hashing.
func (h *ahead) crowded() bool {
	if h == nil {
		return false
	}
	select {
	case <-h.hashed:
		return errors.Is(h.hashing, errCrowded)
	default:
		return false
	}
}

// aheadKnown tells whether what ahead has found is known without waiting; who has shown
// what nobody guesses waits.
func (d *dialogue) aheadKnown(acct Account, typed string) bool {
	if d.ahead == nil {
		return false
	}
	if d.keyStands(acct) || acct.temporaryFor(typed) {
		return d.ahead.wait() == nil
	}
	select {
	case <-d.ahead.over:
		return d.ahead.err == nil
	default:
		return false
	}
}

// awaitAhead waits for what is ahead behind a code that is right.
func (d *dialogue) awaitAhead(ctx context.Context) error {
	err := d.ahead.wait()
	switch {
	case err == nil, errors.Is(err, errCrowded) && d.ahead.judged: // by a directory, which isn't asked again
		return nil
	case errors.Is(err, errCrowded):
		d.ahead = nil
		return nil
	}
	return errors.Join(err, d.refundKey(ctx))
}

// textProblem is why the owner of acct, whose passphrase was right, got no code. From a
// network without a login before it is told only to who has shown what nobody guesses:
// else whoever tries passphrases there would learn, without a code, which one is right.
func (d *dialogue) textProblem(acct Account, typed string) string {
	if !d.a.bySMS(acct) || !d.trusted && !d.keyStands(acct) && !acct.temporaryFor(typed) || !d.aheadKnown(acct, typed) {
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
