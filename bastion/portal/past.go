package portal

import (
	"context"
	"slices"
	"sync"
	"time"

	"entry/audit"
)

// pastFor is how long what was read for a user answers the same question again, while
// their sessions are the same.
const pastFor = 10 * time.Second

// pasts read users' sessions from the log, one at a time, because that costs what no user
// should cost others: one read of a user's waits, and who asks again meanwhile, or soon
// after, has its answer. They are safe for concurrent use.
type pasts struct {
	reading chan struct{} // a place for the one that reads the log

	mu sync.Mutex // guards of
	of map[string]*past
}

// past are a user's sessions as they were read, or are about to be.
type past struct {
	read chan struct{} // closed once the rest is set
	at   time.Time     // when it was closed
	turn uint64        // the user's turnover before it was read
	all  []pastSession // oldest first, at most twice as many as are shown
	err  error
}

func newPasts() *pasts {
	return &pasts{reading: make(chan struct{}, 1), of: map[string]*past{}}
}

// sessions are those of user, by what read returns. turnover is another number once one of
// them has begun or ended.
func (p *pasts) sessions(ctx context.Context, user string, turnover uint64, now func() time.Time, read func() ([]pastSession, error)) ([]pastSession, error) {
	for {
		x, mine := p.enter(user, turnover, now())
		if mine {
			x.all, x.err = p.inTurn(ctx, read)
			p.mu.Lock()
			x.at = now()
			if x.err != nil && p.of[user] == x {
				delete(p.of, user)
			}
			p.mu.Unlock()
			close(x.read)
			return x.all, x.err
		}
		select {
		case <-x.read:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// Another command's read is no answer where it was begun too early, or cut off.
		if x.err == nil && x.turn == turnover {
			return x.all, nil
		}
	}
}

// enter is what answers, or has to be waited for, and whether the caller is to read it.
func (p *pasts) enter(user string, turnover uint64, now time.Time) (x *past, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for u, old := range p.of {
		if !old.at.IsZero() && now.Sub(old.at) >= pastFor {
			delete(p.of, u)
		}
	}
	if x = p.of[user]; x != nil && (x.at.IsZero() || x.turn == turnover) {
		return x, false
	}
	x = &past{read: make(chan struct{}), turn: turnover}
	p.of[user] = x
	return x, true
}

// inTurn reads once nobody else does.
func (p *pasts) inTurn(ctx context.Context, read func() ([]pastSession, error)) ([]pastSession, error) {
	select {
	case p.reading <- struct{}{}:
		defer func() { <-p.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	all, err := read()
	return slices.Clone(all[max(0, len(all)-2*historyShown):]), err
}

// readPast reads the user's sessions from the log, oldest first.
func (v *visit) readPast(ctx context.Context) ([]pastSession, error) {
	var all []pastSession
	at := map[string]int{}
	for e, err := range v.p.o.History(ctx, historyEvents) {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.User != v.login.Who().User() {
			continue
		}
		switch e.Type {
		case audit.SessionStarted:
			at[e.Session] = len(all)
			all = append(all, pastSession{id: e.Session, target: e.Target, source: e.Source, started: e.Time})
		case audit.SessionEnded:
			if i, ok := at[e.Session]; ok {
				all[i].ended, all[i].end = e.Time, e.Reason
			}
		}
	}
	return all, nil
}
