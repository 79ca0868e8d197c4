// Package bastion is the server: it accepts client connections, proves who
// they are, decides where they may go, dials the target and hands both ends
// to session.Relay. It is the one place where the lower layers meet.
//
// The data goes one way:
//
//	net.Conn → identity proof → policy.Request → policy.Grant → dial → session.Relay → recording and audit log
//
// and the files follow it:
//
//	admission.go   who may open a connection at all (MaxStartups, per source)
//	handshake.go   the client connection's SSH handshake and login dialogue
//	client.go      what an authenticated client connection may ask for
//	jump.go        `ssh -J entry home`: names, originators, the inner connection
//	tcp.go         targets of kind tcp over -L and -D
//	direct.go      `ssh alice+home@entry` and listeners bound to one target
//	upstream.go    SSH from entry to the target: host key, certificate, passthrough
//	live.go        one live session: recording, events, relay, end
//	watch.go       a live session follows its grant: warnings, ends, rechecks
//	budget.go      brakes on bytes, by session and day
//	approvals.go   who waits for whose approval; await.go is the waiting
//	registry.go    all live sessions; revocation and drain
//	portal.go      `ssh entry`: its channel; portal_*.go are its terminal and its commands
//	admin.go       the admin socket, and the same operations without a server;
//	               admin_*.go are those on users and on the policy
//
// Guarantees:
//   - Nothing opens before login.succeeded is durable, and no channel of a
//     session is confirmed before its session.started is durable.
//   - Whatever isn't a named target is never dialled.
//   - A session that can't be recorded as its grant demands doesn't start, and
//     one whose recorder or log fails ends, saying so.
//   - A user is told what to do and a reference; causes go to the log.
//
// What is live follows its grant. It is decided anew at every reload and at
// every moment at which time may change something; it ends within two seconds
// of what ends it, approvals included: what runs by one ends with it. Of a
// channel whose capability is gone only that one ends.
//
// Approvals live in one server's memory, bound to user, target, rule and source
// address. A restart forgets them, and so who waits asks again. Where an
// approval would give more than the user has without it, nobody waits when
// connecting: `ssh entry ask` asks.
//
// Budgets count all bytes of every channel, in the direction they have. They are
// brakes, not data-loss prevention: what a screen shows can be copied by hand.
// A day is one of UTC. Its bytes are reserved in the store in blocks before they
// are moved, so that sessions side by side, on all servers of one database,
// never move more than the limit; a crash counts what was reserved, at most
// 64 MiB a session, as moved. A reload's limits hold for what is live.
//
// gliderlabs/ssh is used as the accept loop only: its handshake skips
// authentication when no handler is set and can't carry the login dialogue, so
// every connection is taken over in ConnCallback.
package bastion
