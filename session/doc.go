// Package session relays one authorised SSH connection, channel by channel,
// between a client leg, on which entry is the server, and an upstream leg, on
// which it is the client; and single channels of a client to a target that
// isn't SSH. It is the hot path: every byte of every user passes Relay or
// Forward, which share all that moves, counts and ends it, and two or three
// conns of package fastconn.
//
// # What passes
//
// What isn't in these tables is refused by its name.
//
//	channel, opened by the client      capability
//	session                            none; what it runs needs one
//	direct-tcpip                       forward-local, and the destination listed
//	direct-streamlocal@openssh.com     forward-local, and the path listed
//
//	channel, opened by the target      capability, and asked for on this connection by
//	forwarded-tcpip                    forward-remote    tcpip-forward of that port
//	forwarded-streamlocal@openssh.com  forward-remote    streamlocal-forward of that path
//	auth-agent@openssh.com             agent             auth-agent-req@openssh.com
//	x11                                x11               x11-req
//
//	request in a session channel       when                  capability
//	pty-req (once), env (by rules)     before a program runs
//	x11-req                            before                x11
//	auth-agent-req@openssh.com         always                agent
//	shell                              before                shell
//	exec                               before                exec, and the command if they are listed
//	subsystem sftp                     before                download and upload
//	subsystem, any other               before                exec, as a command of its name
//	window-change                      always
//	signal, break, eow@openssh.com     while a program runs
//	from the target: exit-status, exit-signal, eow@openssh.com; xon-xoff is ignored
//
//	global request of the client
//	tcpip-forward and its cancelling                     forward-remote, and the port listed
//	streamlocal-forward@openssh.com and its cancelling   forward-remote, and the path listed
//	no-more-sessions@openssh.com                         swallowed
//
// Keep-alives are answered on the leg on which they come. No other global
// request of the target is relayed, hostkeys-00@openssh.com least of all.
//
// # Guarantees
//
// Policy is asked anew for every channel, program and listen. A byte reaches
// the client only after the recorder has taken it, and an event that says that
// something happens is durable before it happens. If the recorder or the log
// fails, the session ends and its users read why.
//
// The client gets all output before the exit status, then EOF, then CLOSE.
// Either direction can end alone. A reader that takes nothing stops its own
// channel, once the 2 MiB of that channel's window are full, and no other;
// where too many of a connection's or a user's channels stand so (Options.Backlog),
// new ones wait, and those that have been slow for longest end.
//
// When policy changes (Options.Recheck), all that runs is asked about again.
// A program or forward that the new grant doesn't cover moves no more bytes
// from then on but those in hand, whatever its peers do; a program is sent HUP
// and TERM and its user reads why. A recheck sees what is being opened while it
// runs. The same way ends the channel whose bytes no budget covers: every byte
// is taken out of its budget before it is recorded, and recorded before it is
// written; of a line that may answer a password prompt the first 256 bytes are
// recorded, or counted, once it is known whether it does.
//
// Where a decoder looks into a channel (decoderFor), both directions pass it in
// order, between reading and delivering: what is counted is what was read, what
// is recorded is what is delivered. It can let bytes pass, replace them, answer,
// and end the channel; neither direction waits for what the other one delivers.
//
// A message for the user comes between what a program writes to its terminal,
// never inside an escape sequence or a character.
//
// A panic, a malformed payload or a flood ends or refuses the session in which
// it happens. Nothing is logged here: errors are returned, facts appended.
//
// # What is noted
//
// Events: channel.opened, channel.refused and channel.closed for sessions;
// exec.requested for every shell, command and subsystem, by the program's name
// and a digest; forward.opened, forward.refused and forward.closed with byte
// counts for every other channel, for a listen, and for agent or X11 as such,
// that a recheck took away; listen.opened; alarm.nested-ssh; alarm.terminal-digested,
// once; alarm.start-file, once for each; recording.failed. What a transfer says beside its
// files is bounded by Options.Beside for all of a user's; who counts that raises its alarm.
// Where entry ended a channel by itself its closing has a reason and a
// reference. A refusal carries the reference that the user reads. The
// answer to a refused listen has no room for one: there only the log says why.
// What is refused the same again within a minute is counted under the reference of
// the first, and summed up in one event a minute and at the end. Options.Count may
// take refusals out of that, and count them for all of a user's sessions.
//
// Frames, unless the grant says metadata: Request for what a channel is, asks
// and comes to ("channel-open", "pty-req", "exec", "channel-close"), Resize,
// Exit, and Transfer for bytes that aren't kept. Output, Error and Input are
// kept under a full recording, beyond the user's share of the day (Options.Share) only
// what a person can read on a terminal, for as much again. A forward's payload never is, nor the secret of
// an x11-req.
//
// A program that policy refuses is granted to the client, as far as its answer
// goes, says why on standard error and exits with status 254: OpenSSH's client
// prints nothing that came before a failure.
//
// # Goroutines and locks
//
// All goroutines of a session are its group's, under the names that a panic has
// in the log. Relay, on its caller's, owns the Go channels of both legs and
// blocks on no peer. Each channel has an owner, which starts and then waits for
// one goroutine for each stream, one for the request being handled, and one for
// each thing that may wait for a peer: a line for the user, a CLOSE, the answer
// to a keep-alive. What comes on a channel after its owner has ended is
// discarded by one more. Beside those: one recheck at a time, a keep-alive for
// each leg, the end of each leg. A copying goroutine waits for its source, then
// for the budget, the recorder and its destination; nothing else waits for it
// but the owner of its channel. Where a decoder answers, one more goroutine
// delivers that. Relay returns when all have ended. Forward is the same with one
// channel, whose group ends with it.
//
// Locks: the turn of an outlet is held while recording and writing, and so can
// be waited for as long as a peer takes nothing; that of an allowance is held
// while a budget is asked. Neither is taken under another one. flow.mu is held
// across nothing that waits; those of the listens and of the group are taken
// under it. A hook's is held while its decoder looks, and a lane's is taken under
// it, neither across anything that waits. The others (places, names told) stand
// alone.
//
// Not covered: the goroutines of x/crypto itself, about which nothing is
// promised, and its OpenChannel where it never returns (see lost). No function
// of the package runs by time.AfterFunc; timers are channels that an owner
// looks at.
//
// # When not to use it
//
// The package neither authenticates, nor dials, nor checks host keys. It relays
// what SSH offers as channels, and what a client opens one for.
//
// # Sources
//
// RFC 4251, 4253 and 4254; OpenSSH's PROTOCOL (eow, streamlocal,
// no-more-sessions, hostkeys); golang.org/x/crypto/ssh v0.58.0, whose mux
// decides what may wait for what.
package session
