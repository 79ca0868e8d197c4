package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/bastion/identity/secret"
	"entry/session/group"
)

// Texter hands a text for a number in E.164 to an SMS gateway. It is safe for
// concurrent use and returns nil once the gateway has taken the text.
type Texter interface {
	Send(ctx context.Context, number, text string) error
}

const (
	// smsLifetime is how long a code by SMS is good, on its own connection.
	smsLifetime = 2 * time.Minute
	// smsPerHour bounds what somebody with the passphrase can have sent to its
	// owner, in any hour, over all processes. A network with a login before has as
	// many of its own, so have logins behind a key, and commands inside connections
	// (those that a key opened again), so that who has stolen one thing can't use up
	// what its owner needs to get in by another.
	smsPerHour = 5
	// newPerDay bounds the codes to numbers that aren't anybody's yet, of one user, and
	// newPerSite those of all together, in any 24 hours, over all processes.
	newPerDay  = 10
	newPerSite = 100
	// smsTimeout bounds handing one code to the gateway, retries included.
	smsTimeout = time.Minute
	// smsAtOnce bounds the hand-overs of a process. One more fails and says so.
	smsAtOnce = 16
)

// bySMS tells whether the account's codes go by SMS: an operator has said so,
// and its owner has no authenticator yet.
func (a *core) bySMS(acct Account) bool {
	return a.texter != nil && acct.CodeBySMS && acct.Phone != "" && len(acct.Authenticators) == 0
}

// bare tells whether the account has nothing that gives codes.
func (a *core) bare(acct Account) bool {
	return len(acct.Authenticators) == 0 && !a.bySMS(acct)
}

// reaches tells whether SMS go to a number's country.
func (a *core) reaches(number string) bool {
	return len(a.countries) == 0 || slices.ContainsFunc(a.countries, func(c string) bool { return strings.HasPrefix(number, c) })
}

// unreached is a *Refusal of a number to which no SMS go; nil of every other one.
func (a *core) unreached(number string) error {
	if a.reaches(number) {
		return nil
	}
	return &Refusal{Text: "SMS go only to numbers that begin with " + strings.Join(a.countries, ", ") + "."}
}

// shortened is a number as far as a log needs it.
func shortened(number string) string { return "ending in " + number[max(0, len(number)-2):] }

// Close waits until no passphrase is being looked at, no code is being handed to the gateway and no wrong one being
// counted. After it none is; if ctx is done first, it returns an error and nothing
// has changed.
func (a *Authenticator) Close(ctx context.Context) error {
	if err := a.beside.wait(ctx); err != nil { // it may send a code
		return fmt.Errorf("identity: passphrases are still being looked at: %w", err)
	}
	if err := fill(ctx, a.looking); err != nil {
		return fmt.Errorf("identity: wrong codes are still being counted: %w", err)
	}
	if err := fill(ctx, a.sending); err != nil {
		drain(a.looking)
		return fmt.Errorf("identity: codes are still being sent: %w", err)
	}
	if left := a.strangers.due(a.now(), true); len(left) > 0 {
		return a.report(ctx, left...)
	}
	return nil
}

// fill takes every token of c, or none and returns the cause of ctx.
func fill(ctx context.Context, c chan struct{}) error {
	for n := range cap(c) {
		select {
		case c <- struct{}{}:
		case <-ctx.Done():
			for range n {
				<-c
			}
			return context.Cause(ctx)
		}
	}
	return nil
}

// drain gives back what fill took.
func drain(c chan struct{}) {
	for range cap(c) {
		<-c
	}
}

// texted is a code sent by SMS, as its connection remembers it: nowhere else
// could it be used, so it is stored nowhere else.
type texted struct {
	account string
	code    string
	until   time.Time
	problem string // why none was sent, for the user; "" while that isn't known
}

// beginText notes a new code unless one for the account is still good.
func (c *ConnState) beginText(account string, now time.Time) (code string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.text; t.account == account && t.problem == "" && now.Before(t.until) {
		return "", false
	}
	c.text = texted{account: account, code: secret.NewCode(), until: now.Add(smsLifetime)}
	return c.text.code, true
}

// failText takes a code back that was not sent.
func (c *ConnState) failText(code, problem string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text.code == code {
		c.text.code, c.text.problem = "", problem
	}
}

// wasTexted tells whether code was sent for the account on this connection, at
// most two minutes ago. A login that succeeds forgets it.
func (c *ConnState) wasTexted(account, code string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.text
	left := t.until.Sub(now)
	return t.account == account && t.code != "" && left > 0 && left <= smsLifetime &&
		subtle.ConstantTimeCompare([]byte(t.code), []byte(code)) == 1
}

// textProblem is why no code came, for the holder of the passphrase.
func (c *ConnState) textProblem(account string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text.account != account {
		return ""
	}
	return c.text.problem
}

// noText notes why the account gets no code.
func (c *ConnState) noText(account, problem string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = texted{account: account, problem: problem}
}

// CodeAwaited is closed once a code is asked for that may have to arrive by SMS:
// the server then extends the grace to 300 s. Where a gateway is configured
// that is so for every name, because what differs would tell who has a right
// passphrase.
func (c *ConnState) CodeAwaited() <-chan struct{} { return c.awaited }

func (c *ConnState) awaitCode() { c.await.Do(func() { close(c.awaited) }) }

// text sends a code to the owner of acct, who has proven the first factor, unless
// one is under way on this connection. It returns at once: how long a gateway
// takes must not show. e names the dialogue.
func (a *core) text(ctx context.Context, c *ConnState, acct Account, place string, e audit.Event) {
	now := a.now()
	switch v := a.lifetimes.unfit(acct.standing(""), now); {
	case v.reason != "":
		c.noText(acct.ID, v.text)
		return
	case now.Before(acct.LockedUntil):
		c.noText(acct.ID, a.lockedText(acct.LockedUntil))
		return
	}
	code, ok := c.beginText(acct.ID, now)
	if !ok {
		return
	}
	select {
	case a.sending <- struct{}{}:
	default:
		a.textFailed(ctx, c, acct, code, e, errBusyGateway)
		return
	}
	// The login may be over before the gateway has answered, so the group is the
	// message's own. It ends within smsTimeout; Close waits for it.
	g := group.New(context.WithoutCancel(ctx), a.panicked)
	g.Go("sender of a code by SMS", func() {
		defer func() { <-a.sending }()
		err := errPanicked
		g.Run("hand-over of a code by SMS", func() { err = a.hand(g.Context(), acct, place, code, e) })
		if err != nil {
			a.textFailed(context.WithoutCancel(ctx), c, acct, code, e, err)
		}
		g.Cancel(nil)
	})
}

var (
	errTooManyTexts = errors.New("too many codes in an hour")
	errTooManyNew   = errors.New("too many codes to new numbers in a day")
	errCountry      = errors.New("no SMS go to numbers of that country")
	errBusyGateway  = errors.New("too many codes are being sent")
	errGateway      = errors.New("the gateway has not taken it")
)

// hand gives a code to the gateway, if the account has one left in this hour.
func (a *core) hand(ctx context.Context, acct Account, place, code string, e audit.Event) error {
	return a.send(ctx, acct.ID, place, acct.Phone, a.issuer+" one-time code: "+code+" (good for 2 minutes). Nobody will ask you for it but "+a.issuer+" itself.", e)
}

// send gives a text with a code to the gateway, if the account has one left at place:
// see textsOf.
func (a *core) send(ctx context.Context, account, place, number, text string, e audit.Event) error {
	ctx, cancel := context.WithTimeout(ctx, smsTimeout)
	defer cancel()
	if !a.reaches(number) {
		return errCountry
	}
	if err := a.takeText(ctx, account, place); err != nil {
		return err
	}
	if err := a.texter.Send(ctx, number, text); err != nil {
		return errGateway // its own words are for who wired it: here they may quote the number
	}
	e.Type, e.Detail = audit.SMSSent, "to the number "+shortened(number)
	return a.report(ctx, e)
}

func (a *core) textFailed(ctx context.Context, c *ConnState, acct Account, code string, e audit.Event, err error) {
	problem, why := "The SMS with your code could not be sent, which is not your fault: try again later, or ask "+a.contact+".", reasonGateway
	switch {
	case errors.Is(err, errTooManyTexts):
		problem, why = fmt.Sprintf("%d codes were sent to you within an hour, the most there may be: wait, or ask %s.", smsPerHour, a.contact), reasonTooManyTexts
	case errors.Is(err, errCountry):
		problem, why = "No SMS are sent to your number's country: ask "+a.contact+".", reasonCountry
	case errors.Is(err, errBusyGateway):
		why = reasonBusy
	case errors.Is(err, ErrUnavailable):
		why = reasonUnavailable
	}
	c.failText(code, problem)
	e.Type, e.Reason, e.Detail = audit.SMSFailed, string(why), "to the number "+shortened(acct.Phone)
	_, _ = a.reportPaced(ctx, whose{account: acct.Name}, e, 1) // if the log fails, the login fails by it too: nothing was sent, and nobody gets in
}

// takeText uses up one of the account's codes of this hour. Each holds a place
// for an hour, so that no hour sees more, wherever it begins.
func (a *core) takeText(ctx context.Context, account, place string) error {
	err := a.takeOne(ctx, account+"|"+place, smsPerHour, time.Hour, errTooManyTexts)
	if err == nil && place == newNumbers {
		err = a.takeOne(ctx, account+"|"+place+" of a day", newPerDay, 24*time.Hour, errTooManyNew)
	}
	if err == nil && place == newNumbers {
		err = a.takeOne(ctx, "|"+place+" of a day", newPerSite, 24*time.Hour, errTooManyNew)
	}
	return err
}

// takeOne uses up one of most codes of what in any window; over says that none is
// left.
func (a *core) takeOne(ctx context.Context, what string, most int, window time.Duration, over error) error {
	now := a.now()
	keys := make([]TallyKey, most)
	for i := range keys {
		keys[i] = a.keys.HashTally(fmt.Sprintf("sms|%s|%d", what, i))
	}
	taken := false
	err := a.store.Count(ctx, now, func(places []Tally) bool {
		for i := range places {
			if !now.Before(places[i].Locked) {
				end := now.Add(window)
				places[i] = Tally{Failures: 1, Since: now, Locked: end, Keep: end}
				taken = true
				break
			}
		}
		return taken
	}, keys...)
	switch {
	case err != nil:
		return fmt.Errorf("%w: count codes: %w", ErrUnavailable, err)
	case !taken:
		return over
	}
	return nil
}

const byKey = " by key"

// textsOf names whose codes of an hour the dialogue's is one of: see smsPerHour.
func (d *dialogue) textsOf() string {
	place := ""
	if d.trusted || d.serving {
		place = sourceOf(d.at.Source.Addr()).String()
	}
	if d.key != "" {
		place += byKey
	}
	if d.serving {
		place += " inside"
	}
	return place
}

// textFresh sends a code to the holder of id inside a connection, once a command,
// where codes go by SMS. Here nothing has to be hidden: it waits for the gateway.
func (d *dialogue) textFresh(ctx context.Context, id Identity) error {
	if d.a.texter == nil || d.texted {
		return nil
	}
	d.texted = true
	acct, err := d.a.owned(ctx, id)
	if err != nil || !d.a.bySMS(acct) {
		return err
	}
	code, _ := d.conn.beginText(acct.ID, d.a.now())
	if err := d.a.hand(ctx, acct, d.textsOf(), code, d.event("", "")); err != nil {
		d.a.textFailed(ctx, d.conn, acct, code, d.event("", ""), err)
		d.notice(ctx, d.conn.textProblem(acct.ID))
		return ErrRefused
	}
	return nil
}
