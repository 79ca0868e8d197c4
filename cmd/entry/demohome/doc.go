// Package demohome is the *home* machine of `entry demo`: an SSH server inside
// the same program that gives a real shell, so that a newcomer sees a whole
// session without a second machine. It is plainly the demo's: every login runs
// as the account that started the demo, in one folder, whatever its name, and
// a line says so.
//
// It isn't a bastion and isn't for production: use sshd. It serves loopback
// listeners only and trusts one thing, a user certificate by the demo's user
// CA for exactly the login, whose extensions (permit-pty,
// permit-port-forwarding, permit-agent-forwarding) it honours as sshd does.
//
// It does what clients expect of a home: shell and exec with a pty or without
// (separate stderr), window changes, terminal modes, signals, exit-status and
// exit-signal, the SFTP subsystem, direct-tcpip, tcpip-forward,
// direct-streamlocal, streamlocal-forward and agent forwarding. X11 is refused.
//
// Guarantees: no process of a session outlives its channel (SIGHUP to all of
// them, SIGKILL half a second later), and output is drained before exit-status,
// EOF and CLOSE, in this order. Close ends everything and waits for it.
//
// Sources: RFC 4254, OpenSSH PROTOCOL (eow, streamlocal, auth-agent).
package demohome
