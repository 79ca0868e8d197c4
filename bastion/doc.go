// Package bastion is the server: it accepts client connections, proves who
// they are, decides where they may go, dials the target and hands both ends
// to session.Relay.
//
// The data goes one way:
//
//	net.Conn → identity proof → access.Login → policy.Grant → dial → session.Relay → recording and audit log
//
// and the files follow it:
//
//	bastion.go     the server: listeners, each connection's beginning and end, drain
//	admission.go   who may open a connection at all (MaxStartups, per source)
//	sources.go     what counts as one source, and how often it may come
//	grace.go       how long a login may take
//	floods.go      refused connections are a few events with a count
//	handshake.go   the client connection's SSH handshake and login dialogue
//	client.go      what an authenticated client connection may ask for
//	jump.go        `ssh -J entry home`: originators, the inner connection
//	tcp.go         targets of kind tcp over -L and -D
//	direct.go      `ssh alice+home@entry` and listeners bound to one target
//	lines.go       who waits until a target, or a user's jumps, take one more
//	room.go        what a user may have open, and when files run short
//	upstream.go    SSH from entry to the target: host key, certificate, passthrough
//	live.go        one live session: recording, events, relay, end
//
// What is decided, and what is open, is package access's: budgets, approvals,
// rechecks, revocation. `ssh entry` is package portal, the admin socket package
// admin.
//
// Guarantees:
//   - Nothing opens before login.succeeded is durable, and no channel of a
//     session is confirmed before its session.started is durable.
//   - Whatever isn't a named target is never dialled, and no SSH target before the client
//     inside its jump has logged in.
//   - A session that can't be recorded as its grant demands doesn't start, and
//     one whose recorder or log fails ends, saying so.
//   - A user is told what to do and a reference; causes go to the log.
//   - What is live follows its grant and its account; it ends within two seconds
//     of what ends it. Of a channel whose capability is gone only that one ends.
//
// # Goroutines and locks
//
// Each listener has an accept loop, which ends the process if it panics. Each
// client connection has a group (session/group) from its first byte on: takeOver
// makes it and returns when all of it has ended. In it are, by name: the
// connection itself, which runs the handshake and then hands out channels; one
// for its global requests; its keep-alive and the request that it waits for; one
// for each open jump or portal channel, in which the inner connection and its
// session live (session.Relay has a group of its own); the requests of a jump's
// channel; the watch of each hold; the conns' (package fastconn). A panic in one
// closes this connection. Shutdown waits for all connections, for a while.
//
// What time.AfterFunc and context.AfterFunc start only closes a connection or
// cancels a context. x/crypto runs goroutines of its own on every connection,
// net/http on the admin socket, of which nothing is promised.
//
// Locks, none of which is held across I/O or under another one: Server.mu
// (listeners, closing), the admission's, a login's (its timer), the refusals', the lines'.
// The gate's are in package access.
//
// gliderlabs/ssh is used as the accept loop only: its handshake skips
// authentication when no handler is set and can't carry the login dialogue, so
// every connection is taken over in ConnCallback.
package bastion
