package bastion

import (
	"sync"

	"entry/audit"
	"entry/bastion/access"
	"entry/session"
	"entry/session/fastconn"
	"entry/session/group"
)

// What may be in memory because a client or its targets don't take it.
const (
	backlogOfConnection = 32 << 20 // bytes
	backlogOfUser       = 64 << 20 // bytes, of all connections
)

// backlogs are those of the users who are connected. It is safe for concurrent
// use; its zero value is ready.
type backlogs struct {
	mu sync.Mutex
	of map[string]*userBacklog
}

type userBacklog struct {
	*session.Backlog
	ahead       fastconn.Ahead
	connections int
}

// watch counts what i holds as the connection's until leave. Where nothing else can
// be ended for it, the connection below i ends, with an event.
func (c *client) watch(i *fastconn.Intake) (leave func()) {
	return c.backlog.Watch(i, sync.OnceFunc(func() {
		c.group.Go("end of a connection that holds too much", func() {
			_ = i.Close() // its peer may be gone
			c.note(access.Refuse("backlog", "", audit.Event{Type: audit.AccessRefused,
				Detail: "a connection was ended that held too much which nobody read"}))
		})
	}))
}

// connection is the backlog of a connection of user, whose goroutines are g.
// ahead is what is accepted and not delivered in all of the user's jumps; leave gives both up.
func (b *backlogs) connection(user string, g *group.Group) (own *session.Backlog, ahead *fastconn.Ahead, leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.of[user]
	if u == nil {
		if b.of == nil {
			b.of = map[string]*userBacklog{}
		}
		u = &userBacklog{Backlog: session.NewBacklog(backlogOfUser, nil, nil)}
		b.of[user] = u
	}
	u.connections++
	return session.NewBacklog(backlogOfConnection, u.Backlog, g), &u.ahead, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if u.connections--; u.connections == 0 {
			delete(b.of, user)
		}
	}
}
