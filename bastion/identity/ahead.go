package identity

import (
	"context"
	"errors"
	"fmt"

	"entry/bastion/identity/secret"
	"entry/session/group"
)

// ahead is a first factor that is judged while the code is asked for: where codes
// may go by SMS, the passphrase has to be judged before one is sent. Everybody
// then gets the prompt at once and has one hash computed, whoever they are:
// accounts with codes by SMS, accounts with an authenticator, and names that
// nobody has. Only the first can have anything sent.
//
// From a network that nobody has logged in from, its hash goes behind all others, or else
// strangers would have those who may be owners wait for theirs. What has no turn is
// crowded out.
type ahead struct {
	group  *group.Group // of the dialogue; when it is over, the rest is set
	verify func(ctx context.Context, stored, passphrase string) (bool, error)
	judged bool // first counts, and is not asked again
	first  verdict
	member membership
	err    error
}

// errCrowded: a stranger's passphrase had no turn ahead of the code. The dialogue goes on
// as where no code can go by SMS, whoever's name it is: nothing is sent, and a right code
// of an authenticator has the passphrase judged before what strangers type.
var errCrowded = errors.New("identity: no turn for a stranger's passphrase")

// errPanicked stands for a panic of which Options.Panicked has the rest.
var errPanicked = fmt.Errorf("%w: a goroutine panicked", ErrUnavailable)

// judgeAhead counts the dialogue as a try and begins. It returns nil where no
// gateway is configured and while nothing may be evaluated. The caller has to
// call end.
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
	h := &ahead{group: group.New(ctx, d.a.panicked), verify: d.a.hasher.Verify}
	if !d.at.Familiar {
		h.verify = func(ctx context.Context, stored, passphrase string) (bool, error) {
			right, err := d.a.hasher.VerifyAhead(ctx, stored, passphrase)
			if errors.Is(err, secret.ErrBusy) {
				err = errCrowded
			}
			return right, err
		}
	}
	e := d.event("", "")
	key, place := d.keyStands(acct), bindPlace{d.textsOf(), d.trusted || d.key != ""}
	h.group.Go("first factor ahead of the code", func() {
		if right := h.judge(h.group.Context(), d.a, acct, passphrase, key, place); right && d.a.bySMS(acct) {
			d.a.text(ctx, d.conn, acct, place.name, e)
		}
	})
	return h, nil
}

// judge computes one hash and tells whether the first factor is right.
func (h *ahead) judge(ctx context.Context, a *core, acct Account, passphrase string, key bool, place bindPlace) bool {
	if key {
		return true
	}
	isTemporary := acct.temporaryFor(passphrase)
	if acct.Realm == "" && acct.Passphrase != "" && !isTemporary {
		h.first = verdict{reason: reasonWrongPassphrase}
		right, err := h.verify(ctx, acct.Passphrase, passphrase)
		if h.judged, h.err = err == nil, err; right && err == nil {
			h.first = verdict{}
		}
		return right && err == nil
	}
	hashed, hashing := make(chan struct{}), errPanicked
	h.group.Go("hash of nobody's passphrase", func() {
		defer close(hashed)
		_, hashing = h.verify(ctx, a.dummy.Passphrase, passphrase)
	})
	if acct.directoryJudges() && a.bySMS(acct) {
		h.err = h.bind(ctx, a, acct, passphrase, place)
	}
	<-hashed
	h.err = errors.Join(h.err, hashing)
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
	h.group.Wait()
	var p *group.Panic
	if errors.As(context.Cause(h.group.Context()), &p) {
		return fmt.Errorf("%w: %s", errPanicked, p.Name)
	}
	return h.err
}

// end waits for what is left of h and frees what it holds.
func (h *ahead) end() {
	if h != nil {
		h.group.Wait()
		h.group.Cancel(nil)
	}
}

// textProblem is why the owner of acct, whose passphrase was right, got no code. From a
// network without a login before it is told only to who has shown what nobody guesses:
// else whoever tries passphrases there would learn, without a code, which one is right.
func (d *dialogue) textProblem(acct Account, typed string) string {
	if d.ahead == nil || !d.a.bySMS(acct) || !d.trusted && !d.keyStands(acct) && !acct.temporaryFor(typed) {
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
