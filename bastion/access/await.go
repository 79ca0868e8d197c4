package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/policy"
)

// waitBeat is how often something that isn't shown is sent to who waits: it
// keeps the connection alive for clients that give up a silent server
// (OpenSSH's ServerAliveInterval), and finds out whether they are still there.
const waitBeat = 5 * time.Second

// Await keeps the user waiting until enough people have approved, and returns
// the grant that policy gives then. say shows a line to the user and, with "",
// keeps the connection alive; its error says that the user has left. What is
// asked for is decided anew at every approval, every new policy, every change
// of the user's account and every beat.
func (l *Login) Await(ctx context.Context, t *policy.Target, q policy.Quorum, say func(string) error) (policy.Grant, *Refused) {
	return l.AwaitAs(ctx, t, q, say, func() (policy.Grant, *Refused) { return l.Again(t) })
}

// AwaitAs is Await for what decide decides.
func (l *Login) AwaitAs(ctx context.Context, t *policy.Target, q policy.Quorum, say func(string) error, decide func() (policy.Grant, *Refused)) (policy.Grant, *Refused) {
	left := func() (policy.Grant, *Refused) {
		return policy.Grant{}, l.unapproved(t, q, "left", "the client left before anybody approved")
	}
	w, r := l.ask(ctx, t, q, func(id string, until time.Time) error {
		return say(fmt.Sprintf("entry: %s needs the approval of %s%s. Waiting until %s; keep this open. They approve with: ssh %s approve %s",
			t.FullName(), plain.Clip(q.String(), maxPeer), because(q), plain.Moment(until), l.gate.o.Name, id))
	})
	if r != nil {
		return policy.Grant{}, r
	}
	defer func() { l.leave(w) }()
	end := time.NewTimer(q.Wait)
	defer end.Stop()
	beat := time.NewTicker(waitBeat)
	defer beat.Stop()
	told := strings.Join(q.By, ", ")
	for {
		select {
		case <-ctx.Done():
			return left()
		case <-end.C:
			return policy.Grant{}, l.unapproved(t, q, "not-approved", fmt.Sprintf("%s didn't approve in time; ask them and connect again", plain.Clip(q.String(), maxPeer)))
		case <-beat.C:
			if say("") != nil {
				return left()
			}
		case <-w.wake:
		}
		if r := l.open(); r != nil {
			r.Event.Lab, r.Event.Target = t.Lab, t.FullName()
			return policy.Grant{}, r
		}
		g, r := decide()
		switch {
		case r == nil:
			if say("entry: approved by "+strings.Join(g.Approval().By, ", ")) != nil {
				return left()
			}
			return g, nil
		case r.Approval == nil:
			return policy.Grant{}, r
		case r.Approval.Rule.Name != q.Rule.Name || r.Approval.String() != q.String() || r.Approval.Gives != q.Gives:
			// A new policy asks others, or for something else: that is another request.
			l.leave(w)
			q = *r.Approval
			next, r := l.ask(ctx, t, q, func(id string, until time.Time) error {
				return say(fmt.Sprintf("entry: the policy changed: %s now needs the approval of %s%s. They approve with: ssh %s approve %s", t.FullName(), plain.Clip(q.String(), maxPeer), because(q), l.gate.o.Name, id))
			})
			if r != nil {
				return policy.Grant{}, r
			}
			w, told = next, strings.Join(q.By, ", ")
		case strings.Join(r.Approval.By, ", ") != told:
			q = *r.Approval
			told = strings.Join(q.By, ", ")
			text := "entry: approved by " + told + "; more are needed"
			if told == "" {
				text = "entry: an approval is over before the next one came; all are needed again"
			}
			if say(text) != nil {
				return left()
			}
		}
	}
}

func because(q policy.Quorum) string {
	if q.Because == "" {
		return ""
	}
	return " (" + q.Because + ")"
}

// ask enters a request, puts it on record if it is a new one, and has tell say
// it to the user. The caller ends the waiting.
func (l *Login) ask(ctx context.Context, t *policy.Target, q policy.Quorum, tell func(id string, until time.Time) error) (*wait, *Refused) {
	g := l.gate
	until := g.now().Add(q.Wait).UTC()
	x := Waiter{ID: rand.Text(), Request: refusal.NewRef(), Seat: l.seat(t), Rule: q.Rule.Name, Gives: q.Gives, Until: until}
	proposed := x.Request
	var err error
	x.Request, err = g.o.Book.Wait(context.WithoutCancel(ctx), x, g.now())
	switch {
	case errors.Is(err, ErrCrowded):
		return nil, l.unapproved(t, q, "too-many-waiting", "too many connections wait for approval already; end one, or try again later")
	case err != nil:
		return nil, l.unapproved(t, q, refusal.Unavailable, "entry can't ask for approval right now; try again in some minutes").With(err)
	}
	w := g.waits.enter(x)
	// Whoever takes access away changes the account first, and with it goes what
	// waits: who comes after that finds out here.
	if r := l.open(); r != nil {
		l.leave(w)
		r.Event.Lab, r.Event.Target = t.Lab, t.FullName()
		return nil, r
	}
	if x.Request == proposed {
		e := l.Event(audit.ApprovalRequested)
		e.Ref, e.Lab, e.Target, e.Rule, e.Policy = x.Request, t.Lab, t.FullName(), q.Rule.String(), g.Policy().Hash()
		e.Until, e.Uses, e.Detail = &until, int64(q.Uses), "needs "+q.String()
		g.spent(e.User, 1)
		if err := g.o.Events.Append(context.WithoutCancel(ctx), e); err != nil {
			l.leave(w)
			return nil, l.unapproved(t, q, "audit", "the audit log can't be written, so nothing was started; tell your lab's administrator")
		}
	}
	if tell(x.Request, until) != nil {
		l.leave(w)
		return nil, l.unapproved(t, q, "left", "the client left before anybody approved")
	}
	return w, nil
}

// leave ends w's waiting; a request for which nobody waits is gone.
func (l *Login) leave(w *wait) {
	l.gate.waits.leave(w)
	if err := l.gate.o.Book.Leave(context.Background(), w.ID); err != nil {
		l.gate.o.Trouble("leave off waiting for approval", err) // until its end it is listed
	}
}

// unapproved is the refusal of what nobody approved.
func (l *Login) unapproved(t *policy.Target, q policy.Quorum, why refusal.Code, text string) *Refused {
	return Refuse(why, text, audit.Event{Type: audit.ApprovalMissing, Lab: t.Lab, Target: t.FullName(), Rule: q.Rule.String(), Policy: l.gate.Policy().Hash()})
}

// AskAside enters a request that waits beside the channel that needs it, as
// long as the connection and the rule's wait last, and returns the refusal of
// that channel: only a refusal can say anything to the user of a forward. With
// the approval given, the next try goes through.
func (l *Login) AskAside(ctx context.Context, t *policy.Target, q policy.Quorum) *Refused {
	r, open := l.asked(t, q)
	if !open {
		entered := make(chan *Refused, 1)
		l.group.Go("wait for approval", func() {
			told := false
			_, no := l.Await(ctx, t, q, func(string) error {
				if !told { // the request is there
					told = true
					entered <- nil
				}
				return ctx.Err()
			})
			switch {
			case no != nil && told:
				l.Note(no)
			case !told:
				entered <- no
			}
		})
		select {
		case no := <-entered:
			if no != nil {
				return no
			}
		case <-ctx.Done():
		}
		if r, open = l.asked(t, q); !open {
			return l.unapproved(t, q, "left", "nobody approved yet; try again")
		}
	}
	return Refuse("needs-approval", fmt.Sprintf("%s needs the approval of %s%s; try again once they have given it, until %s, with: ssh %s approve %s",
		t.FullName(), plain.Clip(q.String(), maxPeer), because(q), plain.Moment(r.Until), l.gate.o.Name, r.Request),
		audit.Event{Type: audit.AccessRefused, Lab: t.Lab, Target: t.FullName(), Rule: q.Rule.String(), Policy: l.gate.Policy().Hash()})
}

// asked is what waits for l and t for what q asks for, if anything does.
func (l *Login) asked(t *policy.Target, q policy.Quorum) (Waiter, bool) {
	all, err := l.gate.o.Book.Waiters(l.group.Context(), l.gate.now())
	if err != nil {
		l.gate.o.Trouble("read who waits for approval", err)
	}
	i := slices.IndexFunc(all, func(w Waiter) bool { return w.Seat == l.seat(t) && w.Rule == q.Rule.Name && w.Gives == q.Gives })
	if i < 0 {
		return Waiter{}, false
	}
	return all[i], true
}
