package bastion

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion/identity"
	"entry/session/fastconn"
)

const (
	refusalEvery = time.Minute // one event a source and reason
	maxRefusals  = 4096        // sources remembered; past it, one event stands for all the others
)

// refusals counts connections refused before login, so that a flood of them is
// a few events with a count. It is safe for concurrent use.
type refusals struct {
	mu   sync.Mutex
	seen map[refusalKey]*refusalCount
}

type refusalKey struct {
	source netip.Prefix
	reason string
}

type refusalCount struct {
	n    int
	last time.Time
}

func newRefusals() *refusals { return &refusals{seen: map[refusalKey]*refusalCount{}} }

// note counts one refusal and tells whether an event is due, and for how many.
func (r *refusals) note(source netip.Prefix, reason string, now time.Time) (n int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := refusalKey{source, reason}
	c := r.seen[k]
	if c == nil {
		if len(r.seen) >= maxRefusals {
			for k, c := range r.seen {
				if now.Sub(c.last) < refusalEvery || k.source == (netip.Prefix{}) {
					continue
				}
				delete(r.seen, k)
				if c.n > 0 { // it didn't come again: what it left is told with the rest
					r.rest(k.reason).n += c.n
				}
			}
		}
		if len(r.seen) >= maxRefusals {
			c = r.rest(reason)
		} else {
			c = &refusalCount{}
			r.seen[k] = c
		}
	}
	c.n++
	if now.Sub(c.last) < refusalEvery {
		return 0, false
	}
	n, c.n, c.last = c.n, 0, now
	return n, true
}

// rest is what the sources share that there is no room for.
func (r *refusals) rest(reason string) *refusalCount {
	k := refusalKey{reason: reason}
	if r.seen[k] == nil {
		r.seen[k] = &refusalCount{}
	}
	return r.seen[k]
}

// connectionRefused is an event at most once a minute for a source and reason, and from
// all sources together at the rates of logins that come to nothing: a flood must not
// become a flood of durable writes.
func (s *Server) connectionRefused(source netip.AddrPort, reason string) {
	n, due := s.refusals.note(sourceOf(source.Addr()), reason, s.now())
	if !due {
		return
	}
	e := audit.Event{Type: audit.ConnectionRefused, Source: source.String(), Reason: reason, Detail: fmt.Sprintf("%d refused since the last such event", n)}
	noted, err := s.o.Auth.Refused(context.Background(), identity.Attempt{Source: source, Familiar: s.admission.knows(source.Addr())}, e, n)
	switch {
	case err != nil: // which ends the server through Events.Failed
		s.log.Error("append events", zap.Error(err))
	case noted:
		s.log.Warn("connections refused", zap.String("source", source.String()), zap.String("reason", reason), zap.Int("since the last such line", n))
	}
}

const (
	maxAway   = 32              // connections that are told at once; the others are closed
	awayGrace = 2 * time.Second // to read it
)

// turnAway tells a connection that got no place why, as far as that can be done
// for many at a time.
func (s *Server) turnAway(nc net.Conn, why string) {
	select {
	case s.away <- struct{}{}:
		defer func() { <-s.away }()
	default:
		return
	}
	text := "too many connections from your address have not logged in; try again in a minute"
	switch why {
	case "startups":
		text = "too many connections are being opened right now; try again in a minute"
	case "files":
		text = filesText
	case "log-full":
		text = "the disk is full, so nobody can log in; tell your lab's administrator"
	}
	if nc.SetDeadline(time.Now().Add(awayGrace)) != nil {
		return
	}
	if _, err := io.WriteString(nc, fastconn.Version+"\r\n"); err == nil {
		_ = fastconn.Disconnect(nc, fastconn.TooMany, s.cfg.Name+": "+s.contact().In(text)) // the client may be gone
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
