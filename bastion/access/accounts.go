package access

import (
	"context"
	"time"

	"entry/audit/refusal"
	"entry/bastion/identity"
	"entry/session/group"
)

const (
	// endTimeout bounds the end of what was revoked, once its user has been told.
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
		for all := true; ; {
			g.look(all)
			t := time.NewTimer(g.nextLook())
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-g.wake:
				all = true
			case <-g.dates:
				all = false
			case <-t.C:
				all = false
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
// whose date has come.
func (g *Gate) look(all bool) {
	now := g.now().UnixNano()
	due := g.registry.present(func(l *Login) bool {
		at := l.until.Load()
		// Whoever changes an account here ends what is its own, and says why.
		return g.registry.busy[l.who.User()] == 0 && (all || at != 0 && at <= now)
	})
	if len(due) == 0 {
		return
	}
	revoked := func(err error) bool { return err != nil && refusal.Of(err).Code == refusal.Revoked }
	hangUp := g.end(due, revoked, &refusal.Error{Code: refusal.Revoked, Text: "your access was changed; connect again"})
	g.own.Go("close what was revoked", hangUp)
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
	g.approvals.look(func(o seat) bool { return o.user == user })
	theirs := g.registry.present(func(l *Login) bool { return l.who.User() == user })
	g.end(theirs, func(err error) bool { return err != nil }, why)()
}

// end tells the holds of those logins to end whose account gives an answer of
// the kind. hangUp returns once they have ended and their connections are
// closed.
func (g *Gate) end(present map[*Login]*presence, kind func(error) bool, why *refusal.Error) (hangUp func()) {
	answers := map[identity.Identity]error{} // a question to the store for each
	var gone []func()
	ended := map[*Hold]bool{}
	for l, here := range present {
		err, asked := answers[l.who]
		if !asked {
			err = l.stands()
			answers[l.who] = err
		}
		if !kind(err) {
			continue
		}
		g.approvals.look(func(o seat) bool { return o.user == l.who.User() })
		if here.hangUp != nil {
			gone = append(gone, here.hangUp)
		}
		for _, h := range here.holds {
			ended[h] = true
			h.End(why)
		}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
		defer cancel()
		g.registry.until(ctx, func(h *Hold) bool { return ended[h] })
		closing := group.New(ctx, func(p *group.Panic) { g.o.Trouble("panic", p) })
		for _, hangUp := range gone {
			closing.Go("close a revoked connection", hangUp)
		}
		closing.Wait()
	}
}
