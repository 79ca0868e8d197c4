package access

import (
	"context"
	"errors"
	"time"

	"entry/audit/refusal"
	"entry/bastion/identity"
	"entry/session/group"
)

const (
	// farewell is how long users have to read why they are hung up on: what was
	// revoked ends within two seconds, whether or not they take it.
	farewell = time.Second

	// endTimeout bounds the end of what was revoked, once it was hung up on.
	endTimeout = 5 * time.Second

	// feedPause is how long a database that can't tell of changes is left alone.
	feedPause = time.Second
)

// follow keeps what is open in step with its users' accounts: with changes at
// this server and at others on the same database, and with dates that come.
func (g *Gate) follow() {
	ctx := g.own.Context()
	feed := group.Vital("feed of account changes", func() {
		for since := int64(0); ; {
			now, err := g.o.Accounts.Changed(ctx, since)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				// What runs goes on, and nothing new opens: deciding needs the database.
				g.o.Trouble("watch accounts", err)
				pause(ctx, feedPause)
				continue
			}
			since = now
			signal(g.wake)
		}
	})
	looks := group.Vital("watch of the accounts", func() {
		g.lapse()
		for all := true; ; {
			// What can't be told now is asked again: the change that it was asked for
			// has been taken from the feed.
			unsure := g.look(all)
			unsure = g.obey() || unsure
			wait := g.nextLook()
			if unsure {
				wait = feedPause
			}
			t := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-g.wake:
				all = true
				// Approvals given and withdrawn are such changes, too.
				g.waits.look("")
				g.approvalsChanged()
				g.lapse()
			case <-g.dates:
				all = unsure
			case <-t.C:
				all = unsure
			}
			t.Stop()
		}
	})
	g.own.Go("end of the watch of the accounts", func() { <-feed; <-looks })
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// nextLook is how long nothing ends by a date.
func (g *Gate) nextLook() time.Duration {
	wait := watchMost
	now := g.now()
	for l := range g.registry.present(func(*Login) bool { return true }) {
		if at := l.until.Load(); at != 0 {
			wait = min(wait, max(time.Unix(0, at).Sub(now), watchPause))
		}
	}
	return wait
}

// look ends what its user's account no longer covers: of all logins, or of those
// whose date has come. unsure says that of some of them nobody could tell.
func (g *Gate) look(all bool) (unsure bool) {
	now := g.now().UnixNano()
	due := g.registry.present(func(l *Login) bool {
		at := l.until.Load()
		// Whoever changes an account here ends what is its own, and says why.
		return g.registry.changing[l.who.User()] == 0 && (all || at != 0 && at <= now)
	})
	if len(due) == 0 {
		return false
	}
	hangUp, unsure := g.end(due, false, &refusal.Error{Code: refusal.Revoked, Text: "your access was changed; connect again"})
	g.own.Go("close what was revoked", hangUp)
	return unsure
}

// Changing says that user's account is being changed here: whoever does that
// ends what no longer stands, with EndUser, and says why. done says that this is
// over.
func (g *Gate) Changing(user string) (done func()) {
	over := g.registry.change(user)
	return func() {
		over()
		signal(g.wake)
	}
}

// EndUser ends what is open for user on connections whose login no longer
// stands, because the account was changed since, then those connections. It
// returns when they have ended, after a few seconds at most.
func (g *Gate) EndUser(user string, why *refusal.Error) {
	g.waits.look(user)
	theirs := g.registry.present(func(l *Login) bool { return l.who.User() == user })
	hangUp, _ := g.end(theirs, true, why)
	hangUp()
}

// end tells the holds of those logins to end whose account doesn't cover them
// any more. Where nobody can tell, they end if strict; else unsure says so.
// hangUp returns once they have ended and their connections are closed.
func (g *Gate) end(present map[*Login]*presence, strict bool, why *refusal.Error) (hangUp func(), unsure bool) {
	type answer struct {
		until time.Time
		err   error
	}
	answers := map[identity.Identity]answer{} // a question to the store for each
	var gone []func()
	ended := map[*Hold]bool{}
	for l, here := range present {
		a, asked := answers[l.who]
		if !asked {
			// Not under the login's own context: a connection that is ending mustn't
			// answer for others of the same login.
			a.until, a.err = g.o.Accounts.Standing(g.own.Context(), l.who)
			answers[l.who] = a
		}
		switch {
		case a.err == nil, errors.Is(a.err, identity.ErrSuspended): // what is open goes on
			l.lasts(a.until)
			continue
		case !strict && !errors.Is(a.err, identity.ErrRevoked):
			unsure = true
			continue
		}
		g.waits.look(l.who.User())
		if here.hangUp != nil {
			gone = append(gone, here.hangUp)
		}
		for _, h := range here.holds {
			ended[h] = true
			h.End(why)
		}
	}
	if unsure {
		g.o.Trouble("check accounts", errUnsure)
	}
	return func() {
		said, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		g.registry.until(said, func(h *Hold) bool { return ended[h] })
		closing := group.New(context.Background(), func(p *group.Panic) { g.o.Trouble("panic", p) })
		for _, hangUp := range gone {
			closing.Go("close a revoked connection", hangUp)
		}
		over, cancelOver := context.WithTimeout(context.Background(), endTimeout)
		defer cancelOver()
		g.registry.until(over, func(h *Hold) bool { return ended[h] })
		closing.Wait()
	}, unsure
}

var errUnsure = errors.New("the database can't tell of some logins whether they stand; they are asked about again")
