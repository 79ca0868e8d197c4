// Package admin is what operators do, and both sides of the admin socket on
// which they do it.
//
// Server has the operations; it answers them on the socket (Serve) or in the
// process of an operator's verb while no server runs (InProcess). Client is the
// other side of either. Every change is an event with who did it, as the kernel
// tells it (SO_PEERCRED, loginuid), because the one writer of the audit log does
// all of them.
//
// What is begun is finished, audited and answered for, whether or not the
// operator waits. Taking access away ends what is open by it, here at once and
// at other servers on the same database within two seconds (package access).
//
// Operators read causes, unlike users: whoever may use the socket may read the
// server's own log too. It admits root and the server's own account.
//
// When not to use it: for anything a user does for themselves (package portal),
// or that reads recordings (reviewers' verbs read files; only that they do is
// noted here).
package admin
