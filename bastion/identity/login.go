package identity

import (
	"context"
	"errors"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/identity/secret"
	"entry/policy"
)

// Login runs the dialogue with the client behind ask until it has proven who it
// is or the connection has had its three dialogues. It blocks as long as ask
// does; the grace is ctx's. A first factor in at.Key is used if the account
// admits it; otherwise the passphrase is asked. Verdicts stand in the next
// prompt, or in a last one that only asks for Enter.
//
// Errors: ErrAbandoned, ErrExhausted, ErrUnavailable. One Login
// at a time per ConnState.
func (a *Authenticator) Login(ctx context.Context, at Attempt, c *ConnState, ask Asker) (Identity, error) {
	d := &dialogue{a: a.core, at: at, conn: c, ask: ask, pair: a.lockout.pairOf(at.Name, at.Source.Addr())}
	for {
		st, err := a.lockout.look(ctx, d.pair, a.now())
		if err != nil {
			return Identity{}, d.end(ctx, err)
		}
		if !c.take() {
			if d.verdict == "" {
				d.verdict = "Nothing was typed. "
			}
			say := d.verdict + "That was the last try on this connection: connect again, which may be at once, or ask " + d.a.contact + "."
			if d.misnamed() == "" { // else the verdict says more
				say += " " + clockAdvice
			}
			d.notice(ctx, say)
			return Identity{}, ErrExhausted
		}
		// What is locked still gets the prompts, so that neither names nor those who
		// are judged nevertheless stand out.
		d.barred = st
		id, err := d.run(ctx)
		var retry *again
		switch {
		case err == nil:
			return id, nil
		case errors.As(err, &retry):
			d.verdict = retry.text + " "
		default:
			return Identity{}, d.end(ctx, err)
		}
	}
}

// KnowsKey tells whether key may be the first factor of name: registered, and
// neither is the account disabled nor its passphrase temporary nor without an
// authenticator. Any failure means no. The key need not be proven.
func (a *Authenticator) KnowsKey(ctx context.Context, name string, key ssh.PublicKey) bool {
	acct, _, err := a.load(ctx, name)
	return err == nil && a.admitsKey(acct, key, a.now())
}

// ReasonUnknownKey is that of a login.failed where nothing but public keys was offered,
// of which none opens the account.
const ReasonUnknownKey = "unknown-key"

// KeysRefused notes that a connection came to nothing that offered only public keys
// that KnowsKey knew none of, and n-1 before it of which nothing was noted; at.Key is the
// last of them, detail says of how many. They were never proven, and nothing is counted
// for them; they are noted at the rates of other logins that come to nothing.
func (a *Authenticator) KeysRefused(ctx context.Context, at Attempt, n int, detail string) error {
	d := &dialogue{a: a.core, at: at, key: ssh.FingerprintSHA256(at.Key)}
	if _, err := d.load(ctx); err != nil {
		return err
	}
	e := d.event(audit.LoginFailed, reasonUnknownKey)
	e.Detail = detail
	_, err := a.reportPaced(ctx, whose{source: at.Source.Addr(), familiar: at.Familiar}, e, n)
	return err
}

// again is a verdict that the next dialogue's first prompt carries.
type again struct{ text string }

func (e *again) Error() string { return "identity: " + e.text }

const notAccepted = "Not accepted."

// misnamed is what somebody reads who logs in under a name that no user can have, as
// clients send it that were told none: the name alone says so, whatever was typed.
func (d *dialogue) misnamed() string {
	if d.serving || d.inside || policy.ValidUser(d.at.Name) == nil { // a command is somebody's who is in
		return ""
	}
	return "No user here can be called as you connected: names are in lower case and without a domain, as in your guide. Put yours before the @, or under User in your client."
}

// dialogue is one Login at work. It belongs to one goroutine.
type dialogue struct {
	a    *core
	at   Attempt
	conn *ConnState
	ask  Asker
	pair pair

	verdict string // in front of the next first prompt, with its space; or ""
	user    string // the account's name; "" for an unknown one
	key     string // fingerprint of the key in use as first factor
	step    int64  // of the newest code that it spent, for events
	// authenticator is whose that is; "" where none was spent.
	authenticator string
	touched       bool // the key's touch stands for the code, so the passphrase is asked
	charged       bool // this dialogue is counted as failed until it succeeds
	locks         bool // the charge began a lock
	serving       bool // a command inside a connection, not a login
	inside        bool // the passphrase is asked inside a connection, without a code
	member        membership
	texted        bool      // a command has sent its code
	ahead         *ahead    // nil where no code can go by SMS
	barred        lockState // the lock that the dialogue began under, or that its charge found
	trusted       bool      // there was a login from this network before; known once charge has run

	keyCharge  keyCharge
	passphrase factor // that was proven with a right code; zero before
}

// answers are what a dialogue has collected.
type answers struct {
	passphrase string
	code       string
	split      bool // the code came at the end of the passphrase's field
}

// run is one dialogue. It returns *again if another may follow.
func (d *dialogue) run(ctx context.Context) (Identity, error) {
	d.charged, d.locks, d.key, d.user, d.touched = false, false, "", "", false
	d.member, d.ahead = membership{}, nil
	d.keyCharge, d.passphrase, d.authenticator = keyCharge{}, factor{}, ""
	var (
		acct Account
		in   answers
		err  error
	)
	if d.at.Key != nil {
		if acct, err = d.load(ctx); err != nil {
			return Identity{}, err
		}
		if d.a.admitsKey(acct, d.at.Key, d.a.now()) {
			d.key = ssh.FingerprintSHA256(d.at.Key)
			d.touched = d.a.touchIsCode && touches(d.at.Key)
		}
	}
	if d.touched {
		if in.passphrase, err = d.typePassphrase(ctx); err != nil {
			return Identity{}, err
		}
		v, err := d.judge(ctx, acct, in)
		return d.settle(ctx, acct, v, err)
	}
	if !d.keyStands(acct) {
		if in.passphrase, err = d.typePassphrase(ctx); err != nil {
			return Identity{}, err
		}
		if acct, err = d.load(ctx); err != nil {
			return Identity{}, err
		}
		if v, ok, err := d.judgeEarly(ctx, acct, in.passphrase); err != nil || ok {
			return d.settle(ctx, acct, v, err)
		}
	}
	if d.ahead, err = d.judgeAhead(ctx, acct, in.passphrase); err != nil {
		return Identity{}, err
	}
	in.code, err = d.typeCode(ctx, acct, in.passphrase)
	if err != nil {
		return Identity{}, err
	}
	v, err := d.judge(ctx, acct, in)
	return d.settle(ctx, acct, v, err)
}

// judgeEarly judges what the first answer alone may settle: a right temporary
// passphrase on an account without authenticator, and passphrase123456 in one
// field. ok is false if the code has to be asked.
func (d *dialogue) judgeEarly(ctx context.Context, acct Account, answer string) (v verdict, ok bool, err error) {
	now := d.a.now()
	// A temporary passphrase has 80 random bits: comparing it before anything
	// is counted gives nobody a useful guess.
	if t := acct.temporaryFor(answer); t && d.a.bare(acct) && now.Before(acct.Temporary.Expires) {
		v, err = d.judge(ctx, acct, answers{passphrase: answer})
		return v, true, err
	}
	passphrase, code, split := secret.SplitAnswer(answer)
	if !split {
		return verdict{}, false, nil
	}
	// Whether the digits match shows in the next prompt, so this is a try, even
	// if the client leaves before it.
	open, err := d.charge(ctx)
	if err != nil {
		return verdict{}, false, err
	}
	m, err := d.findCode(acct, code, now)
	if err != nil {
		return verdict{}, false, err
	}
	if !open && !d.mayProve(acct, passphrase) {
		if d.key == "" {
			return verdict{}, false, d.suspect(ctx, acct, passphrase, 0, true) // the work that it costs others
		}
		return verdict{}, false, nil
	}
	if d.key != "" { // beside a directory's passphrase
		if ok, err := d.chargeKey(ctx, acct); err != nil || !ok {
			return verdict{}, false, err
		}
	}
	if !m.Acceptable() {
		if d.key != "" {
			return verdict{}, false, d.keyJudged(ctx, acct, codeWrong)
		}
		return verdict{}, false, d.suspect(ctx, acct, passphrase, 0, true)
	}
	if err := d.refundKey(ctx); err != nil { // judge charges it
		return verdict{}, false, err
	}
	v, err = d.judge(ctx, acct, answers{passphrase: passphrase, code: code, split: true})
	return v, true, err
}

// settle turns a verdict into an identity or into the next prompt's text.
func (d *dialogue) settle(ctx context.Context, acct Account, v verdict, err error) (Identity, error) {
	if err != nil {
		return Identity{}, err
	}
	if v.locked {
		return Identity{}, d.locked(ctx, d.barred)
	}
	if v.reason != "" {
		err := d.failed(ctx, v)
		var said *again
		if v.text == "" && d.barred.locked() && errors.As(err, &said) {
			return Identity{}, d.locked(ctx, d.barred) // the same word for every answer
		}
		return Identity{}, err
	}
	if err := d.succeeded(ctx); err != nil {
		return Identity{}, err
	}
	if err := d.codeAccepted(ctx); err != nil {
		return Identity{}, err
	}
	return d.proceed(ctx, acct, v)
}

// failed logs a verdict and returns it for the next prompt.
func (d *dialogue) failed(ctx context.Context, v verdict) error {
	if v.innocent {
		if err := d.refund(ctx); err != nil {
			return err
		}
	}
	var e []audit.Event
	if d.locks && d.charged {
		locked := d.event(audit.LoginLocked, reasonTooMany)
		until := d.a.now().Add(d.a.lockout.limits.lock)
		locked.Until = &until
		e = append(e, locked)
	}
	if !v.accountLock.IsZero() {
		locked := d.event(audit.LoginLocked, reasonAccountLocked)
		locked.Until = &v.accountLock
		e = append(e, locked)
	}
	if err := d.reportFailure(ctx, v.innocent || v.text != "", d.event(audit.LoginFailed, v.reason), e...); err != nil {
		return err
	}
	text := v.text
	if text == "" {
		text = notAccepted
		if no := d.misnamed(); no != "" {
			text += " " + no
		}
	}
	return &again{text: text}
}

func (d *dialogue) event(t audit.Type, why reason) audit.Event {
	e := audit.Event{Type: t, Conn: d.at.Conn, User: d.user, Key: d.key, Reason: string(why), Step: d.step}
	if d.at.Source.IsValid() {
		e.Source = d.at.Source.String()
	}
	if d.user == "" {
		e.UserHash = d.a.keys.HashName(d.at.Name)
	}
	return e
}
